/* Reading and writing of the safetensors container in memory. */
#include "host/h5/container.h"

#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER    100000000u /* the limit that the safetensors format itself sets */
#define JSON_DEPTH    8
#define JSON_STYLE    (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
#define METADATA_NAME "__metadata__"

static const struct {
    const char *name;
    unsigned bytes;
} type_table[] = {
    [TENSOR_F32] = {"F32", 4},
    [TENSOR_F64] = {"F64", 8},
    [TENSOR_I64] = {"I64", 8},
};

bool container_init(struct container *c, struct h5_error *err) {
    memset(c, 0, sizeof *c);
    c->metadata = json_object_new_object();
    return c->metadata ? true : h5_fail(err, "There is not enough memory for the container.");
}

void container_free(struct container *c) {
    for (size_t i = 0; i < c->count; i++) {
        free(c->tensors[i].name);
    }
    free(c->tensors);
    json_object_put(c->metadata);
    memset(c, 0, sizeof *c);
}

bool tensor_measure(struct tensor *t) {
    uint64_t bytes = type_table[t->type].bytes;
    bool fits = true;
    for (unsigned i = 0; i < t->rank; i++) {
        if (t->shape[i] == 0) {
            /* One empty axis empties the tensor, however large the others claim to be. */
            t->bytes = 0;
            return true;
        }
        fits = fits && !__builtin_mul_overflow(bytes, t->shape[i], &bytes);
    }
    t->bytes = bytes;
    return fits && bytes <= INT64_MAX;
}

bool container_add(struct container *c, const struct tensor *t, struct h5_error *err) {
    if (c->count >= H5_MAX_OBJECTS) return h5_fail(err, "There are too many tensors.");
    if (c->count == c->capacity) {
        const size_t capacity = c->capacity ? 2 * c->capacity : 64;
        struct tensor *const grown = realloc(c->tensors, capacity * sizeof *grown);
        if (!grown) return h5_fail(err, "There is not enough memory for the list of tensors.");
        c->tensors = grown;
        c->capacity = capacity;
    }
    struct tensor copy = *t;
    copy.name = strdup(t->name);
    if (!copy.name) return h5_fail(err, "There is not enough memory for the list of tensors.");
    c->tensors[c->count++] = copy;
    return true;
}

bool container_note(struct container *c, const char *key, const char *text, struct h5_error *err) {
    struct json_object *const value = json_object_new_string(text);
    if (value && json_object_object_add(c->metadata, key, value) == 0) return true;
    json_object_put(value);
    return h5_fail(err, "There is not enough memory for the metadata.");
}

/* Gives each tensor its offset.  Types of 8 bytes go first: the data section starts at a multiple
 * of 8, so every tensor is then aligned for its own type. */
static bool lay_out(struct container *c) {
    struct tensor *const sorted = malloc((c->count + 1) * sizeof *sorted);
    if (!sorted) return false;
    size_t filled = 0;
    uint64_t offset = 0;
    for (unsigned width = 8; width >= 4; width -= 4) {
        for (size_t i = 0; i < c->count; i++) {
            if (type_table[c->tensors[i].type].bytes != width) continue;
            sorted[filled] = c->tensors[i];
            sorted[filled++].offset = offset;
            if (c->tensors[i].in_file) continue;
            if (__builtin_add_overflow(offset, c->tensors[i].bytes, &offset)) {
                free(sorted);
                return false;
            }
        }
    }
    free(c->tensors);
    c->tensors = sorted;
    c->capacity = c->count + 1;
    c->data_bytes = offset;
    return true;
}

/* Appends an integer to a JSON array. */
static bool push(struct json_object *array, uint64_t value) {
    struct json_object *const number = json_object_new_int64((int64_t)value);
    if (number && json_object_array_add(array, number) == 0) return true;
    json_object_put(number);
    return false;
}

/* Attaches a member, releasing it when that fails, so that callers need no clean-up. */
static bool attach(struct json_object *owner, const char *key, struct json_object *member) {
    if (member && json_object_object_add(owner, key, member) == 0) return true;
    json_object_put(member);
    return false;
}

/* Fills in the header entry of one tensor. */
static bool describe(struct json_object *entry, const struct tensor *t) {
    struct json_object *const shape = json_object_new_array();
    struct json_object *const span = json_object_new_array();
    const char *const type = type_table[t->type].name;
    bool ok = attach(entry, "dtype", json_object_new_string(type));
    ok = attach(entry, "shape", shape) && ok;
    ok = attach(entry, "data_offsets", span) && ok;
    for (unsigned i = 0; ok && i < t->rank; i++) {
        ok = push(shape, t->shape[i]);
    }
    if (t->in_file)
        ok = attach(entry, "file_offset", json_object_new_int64((int64_t)t->file_offset)) && ok;
    return ok && push(span, t->offset) && push(span, t->offset + (t->in_file ? 0 : t->bytes));
}

/* Builds the header object; NULL when memory runs out. */
static struct json_object *build_header(const struct container *c) {
    struct json_object *const header = json_object_new_object();
    if (!header) return NULL;
    bool ok = attach(header, METADATA_NAME, json_object_get(c->metadata));
    for (size_t i = 0; ok && i < c->count; i++) {
        struct json_object *const entry = json_object_new_object();
        ok = attach(header, c->tensors[i].name, entry) && describe(entry, &c->tensors[i]);
    }
    if (ok) return header;
    json_object_put(header);
    return NULL;
}

static void put_le64(unsigned char *at, uint64_t value) {
    for (int i = 0; i < 8; i++) {
        at[i] = (unsigned char)(value >> 8 * i);
    }
}

static uint64_t get_le64(const unsigned char *at) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) {
        value = value << 8 | at[i];
    }
    return value;
}

bool container_store(struct container *c, h5_allocate *allocate, struct h5_bytes *out,
                     struct h5_error *err) {
    if (!lay_out(c)) return h5_fail(err, "There is not enough memory for the container.");
    struct json_object *const header = build_header(c);
    size_t length = 0;
    const char *const text =
        header ? json_object_to_json_string_length(header, JSON_STYLE, &length) : NULL;
    const size_t padded = (length + 7) / 8 * 8;
    bool ok = false;
    if (!text) {
        h5_fail(err, "There is not enough memory for the container's header.");
    } else if (padded > MAX_HEADER) {
        h5_fail(err, "The names and attributes are too large for a safetensors header.");
    } else {
        out->size = 8 + padded + (size_t)c->data_bytes;
        out->data = allocate(out->size);
        ok = out->data ? true : h5_fail(err, "There is not enough memory for the tensors.");
    }
    if (ok) {
        put_le64(out->data, padded);
        memset(out->data + 8, ' ', padded);
        memcpy(out->data + 8, text, length);
        c->data = out->data + 8 + padded;
    }
    json_object_put(header);
    return ok;
}

/* json-c ends keys at a NUL, so an escaped one would silently change a name. */
static bool has_escaped_nul(const char *text) {
    for (const char *c = text; *c; c++) {
        if (*c != '\\') continue;
        c++;
        if (strncmp(c, "u0000", 5) == 0) return true;
        if (*c == '\0') break;
    }
    return false;
}

struct json_object *container_json(const char *text) {
    if (strlen(text) >= INT_MAX || has_escaped_nul(text)) return NULL;
    struct json_tokener *const tok = json_tokener_new_ex(JSON_DEPTH);
    if (!tok) return NULL;
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    /* With -1 the terminating NUL counts as input, which a lone number needs to end. */
    struct json_object *value = json_tokener_parse_ex(tok, text, -1);
    if (json_tokener_get_error(tok) != json_tokener_success) {
        json_object_put(value);
        value = NULL;
    }
    json_tokener_free(tok);
    return value;
}

/* Returns array[index] when it is an integer of at least zero. */
static bool get_count(struct json_object *array, size_t index, uint64_t *value) {
    struct json_object *const item = json_object_array_get_idx(array, index);
    if (!json_object_is_type(item, json_type_int)) return false;
    const int64_t number = json_object_get_int64(item);
    *value = (uint64_t)number;
    /* json-c saturates what does not fit, and no real size is as large as INT64_MAX. */
    return number >= 0 && number < INT64_MAX;
}

/* Reads the header entry of one tensor; false when any part of it is wrong. */
static bool parse_entry(struct json_object *entry, struct tensor *t, uint64_t data_bytes) {
    if (!json_object_is_type(entry, json_type_object)) return false;
    struct json_object *const type = json_object_object_get(entry, "dtype");
    struct json_object *const shape = json_object_object_get(entry, "shape");
    struct json_object *const span = json_object_object_get(entry, "data_offsets");
    if (json_object_object_length(entry) != 3 || !json_object_is_type(type, json_type_string) ||
        !json_object_is_type(shape, json_type_array) || !json_object_is_type(span, json_type_array))
        return false;
    const char *const name = json_object_get_string(type);
    size_t kind = 0;
    const size_t kinds = sizeof type_table / sizeof type_table[0];
    while (kind < kinds && strcmp(name, type_table[kind].name) != 0) {
        kind++;
    }
    const size_t rank = json_object_array_length(shape);
    if (kind == kinds || rank > H5_MAX_RANK || json_object_array_length(span) != 2) return false;
    t->type = (enum tensor_type)kind;
    t->rank = (unsigned)rank;
    for (unsigned i = 0; i < t->rank; i++) {
        if (!get_count(shape, i, &t->shape[i])) return false;
    }
    uint64_t end = 0;
    if (!get_count(span, 0, &t->offset) || !get_count(span, 1, &end)) return false;
    return tensor_measure(t) && end <= data_bytes && t->offset <= end &&
           end - t->offset == t->bytes;
}

/* Keeps the metadata if every value is a string. */
static bool parse_metadata(struct container *c, struct json_object *metadata,
                           struct h5_error *err) {
    if (!json_object_is_type(metadata, json_type_object))
        return h5_fail(err, "The container's " METADATA_NAME " is not a JSON object.");
    json_object_object_foreach(metadata, key, value) {
        if (!json_object_is_type(value, json_type_string))
            return h5_fail(err, "The container's metadata entry '%.200s' is not a string.", key);
    }
    json_object_put(c->metadata);
    c->metadata = json_object_get(metadata);
    return true;
}

static int by_offset(const void *left, const void *right) {
    const struct tensor *const a = left;
    const struct tensor *const b = right;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* The header may list tensors in any order; their data must cover the section exactly once. */
static bool check_cover(struct container *c, struct h5_error *err) {
    if (c->count) qsort(c->tensors, c->count, sizeof *c->tensors, by_offset);
    uint64_t reached = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->tensors[i].offset != reached)
            return h5_fail(err, "The container's tensor '%.200s' leaves a gap or overlaps another.",
                           c->tensors[i].name);
        reached += c->tensors[i].bytes;
    }
    if (reached != c->data_bytes)
        return h5_fail(err, "The container's data is longer than its tensors.");
    return true;
}

/* Reads every entry of the header. */
static bool parse_entries(struct container *c, struct json_object *header, struct h5_error *err) {
    json_object_object_foreach(header, key, value) {
        if (strcmp(key, METADATA_NAME) == 0) {
            if (!parse_metadata(c, value, err)) return false;
            continue;
        }
        struct tensor t = {.name = key};
        if (!h5_path_valid(key))
            return h5_fail(err, "The container's tensor name '%.200s' is not a valid path.", key);
        if (!parse_entry(value, &t, c->data_bytes))
            return h5_fail(err, "The container's entry for tensor '%.200s' is malformed.", key);
        if (!container_add(c, &t, err)) return false;
    }
    return check_cover(c, err);
}

bool container_parse(struct container *c, struct h5_bytes in, struct h5_error *err) {
    if (!container_init(c, err)) return false;
    const uint64_t length = in.size < 8 ? UINT64_MAX : get_le64(in.data);
    if (length > MAX_HEADER || length > in.size - 8)
        return h5_fail(err, "The input is not a safetensors container.");
    char *const text = malloc((size_t)length + 1);
    if (!text) return h5_fail(err, "There is not enough memory for the container's header.");
    memcpy(text, in.data + 8, (size_t)length);
    text[length] = '\0';
    const bool whole = strlen(text) == length && text[0] == '{';
    struct json_object *const header = whole ? container_json(text) : NULL;
    free(text);
    if (!json_object_is_type(header, json_type_object)) {
        json_object_put(header);
        return h5_fail(err, "The container's header is not a JSON object.");
    }
    c->data = in.data + 8 + length;
    c->data_bytes = in.size - 8 - length;
    const bool ok = parse_entries(c, header, err);
    json_object_put(header);
    return ok;
}
