#include "host/base/json.h"

#include <json-c/json.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

static mien_status convert(mien_tree *tree, json_object *object, mien_value *parent,
                           const char *key, size_t *keys);

static mien_status children(mien_tree *tree, json_object *object, mien_value *value, size_t *keys) {
    if (value->kind == MIEN_VALUE_MAP) {
        json_object_object_foreach(object, name, child) {
            const char *copy;
            (*keys)++;
            MIEN_TRY(mien_tree_text(tree, name, strlen(name), &copy));
            MIEN_TRY(convert(tree, child, value, copy, keys));
        }
    } else {
        const size_t n = json_object_array_length(object);
        for (size_t i = 0; i < n; i++)
            MIEN_TRY(convert(tree, json_object_array_get_idx(object, i), value, NULL, keys));
    }
    return MIEN_OK;
}

/* Copies a text with NUL bytes, each as 0xC0 0x80, which no valid UTF-8 has. */
static mien_status copy_nul(mien_tree *tree, const char *text, size_t length, const char **out) {
    char *copy = malloc(2 * length + 1);
    size_t n = 0;
    if (!copy) return MIEN_FAIL(NO_MEMORY, "out of memory for JSON");
    for (size_t i = 0; i < length; i++) {
        if (text[i]) {
            copy[n++] = text[i];
        } else {
            copy[n++] = '\xc0';
            copy[n++] = '\x80';
        }
    }
    const mien_status status = mien_tree_text(tree, copy, n, out);
    free(copy);
    return status;
}

static mien_status convert(mien_tree *tree, json_object *object, mien_value *parent,
                           const char *key, size_t *keys) {
    mien_value *value;
    MIEN_TRY(mien_tree_value(tree, MIEN_VALUE_NULL, &value));
    value->key = key;
    switch (json_object_get_type(object)) {
    case json_type_null:
        break;
    case json_type_boolean:
        value->kind = MIEN_VALUE_BOOL;
        value->number = json_object_get_boolean(object);
        break;
    case json_type_int: {
        const int64_t whole = json_object_get_int64(object);
        if (whole == INT64_MAX || whole == INT64_MIN) /* json-c saturates silently */
            return MIEN_FAIL(FORMAT, "%s: an integer does not fit in 64 bits", tree->source);
        value->kind = MIEN_VALUE_NUMBER;
        value->number = (double)whole;
        break;
    }
    case json_type_double:
        value->kind = MIEN_VALUE_NUMBER;
        value->number = json_object_get_double(object);
        break;
    case json_type_string:
        value->kind = MIEN_VALUE_STRING;
        break;
    case json_type_array:
        value->kind = MIEN_VALUE_LIST;
        break;
    case json_type_object:
        value->kind = MIEN_VALUE_MAP;
        break;
    }
    if (value->kind == MIEN_VALUE_STRING) {
        const size_t length = (size_t)json_object_get_string_len(object);
        const char *text = json_object_get_string(object);
        if (strlen(text) == length)
            MIEN_TRY(mien_tree_text(tree, text, length, &value->text));
        else if (tree->keeps_nul)
            MIEN_TRY(copy_nul(tree, text, length, &value->text));
        else
            return MIEN_FAIL(FORMAT, "%s: a string contains a NUL byte", tree->source);
    }
    if (parent)
        MIEN_TRY(mien_tree_append(tree, parent, value));
    else
        tree->root = value;
    if (value->kind == MIEN_VALUE_LIST || value->kind == MIEN_VALUE_MAP)
        return children(tree, object, value, keys);
    return MIEN_OK;
}

/* The number of keys in the file: colons outside strings. json-c keeps only the last of duplicate
 * keys, so a count that differs from the tree's reveals a duplicate. */
static size_t count_colons(const char *text, size_t size) {
    size_t colons = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (quoted && text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && text[i] == ':') {
            colons++;
        }
    }
    return colons;
}

static mien_status parse(const char *text, size_t size, const char *source, bool keeps_nul,
                         mien_tree *tree) {
    MIEN_TRY(mien_tree_start(tree, source));
    tree->keeps_nul = keeps_nul;
    if (size > INT32_MAX) return MIEN_FAIL(FORMAT, "%s: more than 2 GiB of JSON", source);
    json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    if (!tokener) return MIEN_FAIL(NO_MEMORY, "out of memory for JSON");
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    json_object *root = json_tokener_parse_ex(tokener, text, (int)size);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    if (error == json_tokener_continue && size) { /* a lone scalar only ends at a following byte */
        root = json_tokener_parse_ex(tokener, "\n", 1);
        error = json_tokener_get_error(tokener);
    }
    const size_t end = json_tokener_get_parse_end(tokener);
    mien_status status = MIEN_OK;
    size_t keys = 0;
    if (error != json_tokener_success)
        status = MIEN_FAIL(FORMAT, "%s: not JSON: %s", source, json_tokener_error_desc(error));
    else if (end < size && strspn(text + end, " \t\r\n") < size - end)
        status = MIEN_FAIL(FORMAT, "%s: text follows the JSON value", source);
    else
        status = convert(tree, root, NULL, NULL, &keys);
    if (status == MIEN_OK && keys != count_colons(text, size))
        status = MIEN_FAIL(FORMAT, "%s: an object has a duplicate key", source);
    json_object_put(root);
    json_tokener_free(tokener);
    return status;
}

mien_status mien_json_parse(const char *text, size_t size, const char *source, mien_tree *tree) {
    return parse(text, size, source, false, tree);
}

mien_status mien_json_parse_nul(const char *text, size_t size, const char *source,
                                mien_tree *tree) {
    return parse(text, size, source, true, tree);
}

static void line_break(mien_json *json) {
    if (json->pretty) mien_text_printf(json->text, "\n%*s", 2 * json->depth, "");
}

/* Length in bytes of the UTF-8 character at `text`, 0 when it is invalid (RFC 3629: no overlong
 * form, no surrogate, nothing above U+10FFFF). The terminating zero is never a continuation
 * byte. */
static size_t utf8_length(const char *text) {
    const unsigned char *c = (const unsigned char *)text;
    if (*c < 0x80) return 1;
    const size_t length = *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : 2;
    unsigned low = 0x80, high = 0xbf; /* range of the second byte */
    if (*c < 0xc2 || *c > 0xf4) return 0;
    if (*c == 0xe0) low = 0xa0;
    if (*c == 0xed) high = 0x9f;
    if (*c == 0xf0) low = 0x90;
    if (*c == 0xf4) high = 0x8f;
    if (c[1] < low || c[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    return length;
}

/* File names may hold any byte, JSON only UTF-8: an invalid byte becomes U+FFFD. */
static void escape(mien_json *json, const char *value) {
    mien_text_puts(json->text, "\"");
    for (const char *c = value; *c;) {
        const size_t length = utf8_length(c);
        if (*c == '"' || *c == '\\')
            mien_text_printf(json->text, "\\%c", *c);
        else if (length == 0)
            mien_text_puts(json->text, "\\ufffd");
        else if ((unsigned char)*c < 0x20)
            mien_text_printf(json->text, "\\u%04x", *c);
        else
            mien_text_append(json->text, c, length);
        c += length ? length : 1;
    }
    mien_text_puts(json->text, "\"");
}

static void start(mien_json *json, const char *key) {
    if (json->has_entries) mien_text_puts(json->text, json->pretty ? "," : ", ");
    if (json->depth) line_break(json);
    json->has_entries = true;
    if (!key) return;
    escape(json, key);
    mien_text_puts(json->text, ": ");
}

void mien_json_open(mien_json *json, const char *key, char bracket) {
    start(json, key);
    mien_text_append(json->text, &bracket, 1);
    json->has_entries = false;
    json->depth++;
}

void mien_json_close(mien_json *json, char bracket) {
    json->depth--;
    if (json->has_entries) line_break(json);
    mien_text_append(json->text, &bracket, 1);
    json->has_entries = true;
}

void mien_json_string(mien_json *json, const char *key, const char *value) {
    start(json, key);
    if (value)
        escape(json, value);
    else
        mien_text_puts(json->text, "null");
}

void mien_json_number(mien_json *json, const char *key, double value) {
    start(json, key);
    if (isfinite(value))
        mien_text_printf(json->text, "%.9g", value);
    else
        mien_text_puts(json->text, "null");
}

void mien_json_exact(mien_json *json, const char *key, double value) {
    char text[32] = "null";
    start(json, key);
    for (int digits = 15; isfinite(value) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    mien_text_puts(json->text, text);
}

void mien_json_integer(mien_json *json, const char *key, long long value) {
    start(json, key);
    mien_text_printf(json->text, "%lld", value);
}

void mien_json_bool(mien_json *json, const char *key, bool value) {
    start(json, key);
    mien_text_puts(json->text, value ? "true" : "false");
}

void mien_json_null(mien_json *json, const char *key) {
    start(json, key);
    mien_text_puts(json->text, "null");
}
