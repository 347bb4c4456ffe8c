#include "host/data/npy_header.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The header's text between `at` and `end`: a Python dictionary with three keys. */
typedef struct cursor {
    const char *name;
    const char *at, *end;
} cursor;

static mien_status damaged(const cursor *c) {
    return MIEN_FAIL(FORMAT, "'%s' is damaged: its header is not that of a NumPy array", c->name);
}

static void skip_spaces(cursor *c) {
    while (c->at < c->end && isspace((unsigned char)*c->at))
        c->at++;
}

/* Consumes a character if it comes next. */
static bool take(cursor *c, char what) {
    skip_spaces(c);
    if (c->at == c->end || *c->at != what) return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word) {
    const size_t n = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) return false;
    c->at += n;
    return true;
}

static bool take_text(cursor *c, char *out, size_t size) {
    size_t n = 0;
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    const char quote = *c->at++;
    while (c->at < c->end && *c->at != quote && n + 1 < size)
        out[n++] = *c->at++;
    out[n] = 0;
    return take(c, quote);
}

static bool take_number(cursor *c, size_t *out) {
    skip_spaces(c);
    if (c->at == c->end || !isdigit((unsigned char)*c->at)) return false;
    for (*out = 0; c->at < c->end && isdigit((unsigned char)*c->at); c->at++) {
        if (*out > SIZE_MAX / 16) return false;
        *out = *out * 10 + (size_t)(*c->at - '0');
    }
    return true;
}

static mien_status read_type(cursor *c, npy_header *out) {
    char text[16];
    char *end;
    skip_spaces(c);
    if (c->at < c->end && *c->at == '[')
        return MIEN_FAIL(UNSUPPORTED, "'%s' holds an array of records, which is not supported",
                         c->name);
    if (!take_text(c, text, sizeof text) || !strchr("<>|=", text[0]) || !text[0] || !text[1])
        return damaged(c);
    if (text[1] == 'O')
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' holds Python objects, which are not supported: save the array with "
                         "a numeric dtype",
                         c->name);
    out->kind = text[1];
    out->big = text[0] == '>';
    const unsigned long item = strtoul(text + 2, &end, 10);
    const unsigned long unit = out->kind == 'U' ? 4 : 1;
    if (!isdigit((unsigned char)text[2]) || *end || item == 0 || item > 4096 ||
        !isalpha((unsigned char)out->kind))
        return damaged(c);
    out->item = item * unit;
    return MIEN_OK;
}

static mien_status read_shape(cursor *c, npy_header *out) {
    if (!take(c, '(')) return damaged(c);
    out->count = 1;
    while (!take(c, ')')) {
        if (out->dims == NPY_DIMS)
            return MIEN_FAIL(UNSUPPORTED, "'%s' has more than %d dimensions", c->name, NPY_DIMS);
        size_t *side = &out->shape[out->dims++];
        if (!take_number(c, side)) return damaged(c);
        if (*side && out->count > SIZE_MAX / 65536 / *side) return damaged(c);
        out->count *= *side;
        if (!take(c, ',')) {
            if (!take(c, ')') || out->dims == 1) return damaged(c); /* (5) is not a tuple */
            break;
        }
    }
    return MIEN_OK;
}

static mien_status read_entry(cursor *c, npy_header *out, unsigned *seen) {
    char key[16];
    if (!take_text(c, key, sizeof key) || !take(c, ':')) return damaged(c);
    const unsigned which = strcmp(key, "descr") == 0           ? 1
                           : strcmp(key, "fortran_order") == 0 ? 2
                           : strcmp(key, "shape") == 0         ? 4
                                                               : 0;
    if (which == 0 || *seen & which) return damaged(c);
    *seen |= which;
    if (which == 1) return read_type(c, out);
    if (which == 4) return read_shape(c, out);
    if (take_word(c, "False")) return MIEN_OK;
    if (!take_word(c, "True")) return damaged(c);
    return MIEN_FAIL(UNSUPPORTED,
                     "'%s' is in Fortran order, which is not supported: save "
                     "numpy.ascontiguousarray(array)",
                     c->name);
}

static mien_status read_dictionary(cursor *c, npy_header *out) {
    unsigned seen = 0;
    if (!take(c, '{')) return damaged(c);
    while (!take(c, '}')) {
        MIEN_TRY(read_entry(c, out, &seen));
        if (take(c, ',')) continue;
        if (!take(c, '}')) return damaged(c);
        break;
    }
    skip_spaces(c);
    return seen == 7 && c->at == c->end ? MIEN_OK : damaged(c);
}

mien_status npy_parse(const char *name, const uint8_t *bytes, size_t size, uint64_t whole,
                      npy_header *out) {
    *out = (npy_header){0};
    cursor c = {name, NULL, NULL};
    if (whole == 0) return MIEN_FAIL(FORMAT, "'%s' is empty (0 bytes)", name);
    if (size < 6 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return MIEN_FAIL(FORMAT, "'%s' is not a NumPy array", name);
    if (size < 12) return damaged(&c);
    if (bytes[6] < 1 || bytes[6] > 3)
        return MIEN_FAIL(UNSUPPORTED, "'%s' has NumPy format version %d, which is not supported",
                         name, bytes[6]);
    const size_t head = bytes[6] == 1 ? 10 : 12;
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (head == 12) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > size - head) return damaged(&c);
    c.at = (const char *)bytes + head;
    c.end = c.at + length;
    MIEN_TRY(read_dictionary(&c, out));
    out->start = head + length;
    if (out->count * out->item <= whole - out->start) return MIEN_OK;
    return MIEN_FAIL(FORMAT,
                     "'%s' is cut short: its header promises %zu bytes, but only %llu are there",
                     name, out->count * out->item, (unsigned long long)(whole - out->start));
}

static bool digits_integer(const npy_header *h, const uint8_t *at, long long *out) {
    const size_t unit = h->kind == 'U' ? 4 : 1;
    size_t n = 0;
    for (*out = 0; n < h->item / unit; n++, at += unit) {
        const uint8_t digit = at[h->big ? unit - 1 : 0];
        if (digit == 0) break;
        if (!isdigit(digit) || n > 15) return false;
        *out = *out * 10 + (digit - '0');
    }
    return n > 0;
}

bool npy_integer(const npy_header *h, const uint8_t *data, size_t i, long long *out) {
    const uint8_t *at = data + i * h->item;
    uint64_t value = 0;
    if (h->kind == 'U' || h->kind == 'S') return digits_integer(h, at, out);
    if (!strchr("uib", h->kind) || h->item > 8) return false;
    for (size_t b = 0; b < h->item; b++)
        value = value << 8 | at[h->big ? b : h->item - 1 - b];
    if (h->kind == 'i' && h->item < 8 && value >> (8 * h->item - 1)) value -= 1ull << 8 * h->item;
    if (h->kind == 'u' && value > INT64_MAX) return false;
    *out = (long long)value;
    return true;
}
