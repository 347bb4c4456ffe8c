/* Lambda layers hold compiled Python functions, which Mien never runs. Those that only scale pixels
 * are recognised by following their few instructions over numbers a * x + b; any other
 * instruction ends the attempt. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/keras.h"

enum { BYTES_MAX = 4096, CONSTANTS_MAX = 16, STACK_MAX = 16, CONSTANT = -1, NONE = -2 };

typedef struct line { /* a * x + b */
    double a, b;
} line;

typedef struct function {
    const uint8_t *code;
    size_t size;
    double constants[CONSTANTS_MAX];
    int count;
} function;

/* ---- Python's marshal format ---- */

static uint32_t number(const uint8_t *at, int bytes) {
    uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

/* An item of the tuple of constants; those that are no numbers become NaN. */
static bool read_constant(const uint8_t **at, const uint8_t *end, double *out) {
    const uint8_t *p = *at;
    if (p >= end) return false;
    const int type = *p++ & 0x7f;
    const size_t left = (size_t)(end - p);
    *out = NAN;
    size_t size = 0;
    if (type == 'g' && left >= 8) {
        memcpy(out, p, size = 8);
    } else if (type == 'i' && left >= 4) {
        *out = (int32_t)number(p, 4);
        size = 4;
    } else if (type == 'f' && left >= 1) { /* text, as Python 2 may write it */
        return false;
    } else if ((type == 'z' || type == 'Z') && left >= 1) {
        size = 1 + (size_t)p[0];
    } else if ((type == 'u' || type == 's' || type == 't' || type == 'a' || type == 'A') &&
               left >= 4) {
        size = 4 + (size_t)number(p, 4);
    } else if (type == 'r' && left >= 4) {
        size = 4;
    } else if (!strchr("NTF.", type)) {
        return false;
    }
    if (size > left) return false;
    *at = p + size;
    return true;
}

/* A code object: 4 to 6 numbers, by Python's version, the instructions, the constants. */
static bool read_function(const uint8_t *bytes, size_t size, int numbers, function *f) {
    const size_t at = 1 + 4 * (size_t)numbers;
    if (size < at + 5 || (bytes[0] & 0x7f) != 'c' || (bytes[at] & 0x7f) != 's') return false;
    f->size = number(bytes + at + 1, 4);
    f->code = bytes + at + 5;
    if (f->size > size - at - 5) return false;
    const uint8_t *p = f->code + f->size, *const end = bytes + size;
    if (end - p < 5) return false;
    const int type = *p++ & 0x7f;
    if (type != ')' && type != '(') return false;
    const uint32_t count = number(p, type == ')' ? 1 : 4);
    p += type == ')' ? 1 : 4;
    if (count > CONSTANTS_MAX) return false;
    for (f->count = 0; f->count < (int)count; f->count++)
        if (!read_constant(&p, end, &f->constants[f->count])) return false;
    return true;
}

/* ---- instructions ---- */

typedef struct dialect {
    int width; /* bytes of an instruction with an argument; 3: those without have 1 */
    int load_fast, load_const, binary, back, nop, small_int;
} dialect;

static const dialect dialects[] = {
    {3, 124, 100, -1, 83, -1, -1},   /* Python 2.7 to 3.5 */
    {2, 124, 100, -1, 83, -1, -1},   /* 3.6 to 3.10 */
    {2, 124, 100, 122, 83, 151, -1}, /* 3.11, 3.12 */
    {2, 85, 83, 45, 36, 149, -1},    /* 3.13 */
    {2, 86, 82, 44, 35, 128, 94},    /* 3.14 */
};

static bool combine(int operation, line *x, const line *y) {
    switch (operation) {
    case '+':
        *x = (line){x->a + y->a, x->b + y->b};
        return true;
    case '-':
        *x = (line){x->a - y->a, x->b - y->b};
        return true;
    case '*':
        if (x->a != 0 && y->a != 0) return false;
        *x = (line){x->a * y->b + y->a * x->b, x->b * y->b};
        return true;
    case '/':
        if (y->a != 0 || y->b == 0) return false;
        *x = (line){x->a / y->b, x->b / y->b};
        return true;
    default:
        return false;
    }
}

/* The operation of an instruction before Python 3.11, and of an argument since. */
static int old_operation(int code) {
    return code == 20                 ? '*'
           : code == 21 || code == 27 ? '/'
           : code == 23               ? '+'
           : code == 24               ? '-'
                                      : 0;
}

static int new_operation(int argument) {
    return argument == 5    ? '*'
           : argument == 11 ? '/'
           : argument == 0  ? '+'
           : argument == 10 ? '-'
                            : 0;
}

static bool follow(const function *f, const dialect *d, line *out) {
    line stack[STACK_MAX];
    int depth = 0;
    for (size_t at = 0; at < f->size;) {
        const int code = f->code[at];
        const bool narrow = d->width == 3 && code < 90;
        const size_t width = narrow ? 1 : (size_t)d->width;
        if (f->size - at < width) return false;
        const int argument = narrow ? 0 : (int)number(f->code + at + 1, (int)width - 1);
        at += width;
        const int operation = d->binary < 0 ? old_operation(code) : 0;
        if (code == d->nop || (d->binary >= 0 && code == 0)) continue; /* also a cache entry */
        if (code == d->back) {
            if (depth != 1) return false;
            *out = stack[0];
            return isfinite(out->a) && isfinite(out->b);
        }
        if (operation || code == d->binary) {
            if (depth < 2) return false;
            depth--;
            if (!combine(operation ? operation : new_operation(argument), &stack[depth - 1],
                         &stack[depth]))
                return false;
            continue;
        }
        if (depth == STACK_MAX) return false;
        if (code == d->load_fast && argument == 0)
            stack[depth++] = (line){1, 0};
        else if (code == d->load_const && argument < f->count)
            stack[depth++] = (line){0, f->constants[argument]};
        else if (code == d->small_int)
            stack[depth++] = (line){0, argument};
        else
            return false;
    }
    return false;
}

/* ---- text ---- */

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t decode_base64(const char *text, uint8_t *out) {
    unsigned bits = 0;
    int held = 0;
    size_t size = 0;
    for (; *text && size < BYTES_MAX; text++) {
        const int digit = base64_digit(*text);
        if (digit < 0) continue;
        bits = bits << 6 | (unsigned)digit;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out[size++] = (uint8_t)(bits >> held);
    }
    return size;
}

/* Keras 1 stored the bytes as characters U+0000 to U+00FF (U+0000 in two bytes: json.h). */
static size_t decode_characters(const char *text, uint8_t *out) {
    size_t size = 0;
    for (const uint8_t *p = (const uint8_t *)text; *p && size < BYTES_MAX; p++) {
        if (*p < 0x80)
            out[size++] = *p;
        else if ((*p & 0xe0) == 0xc0 && (p[1] & 0xc0) == 0x80)
            out[size++] = (uint8_t)(*p << 6 | (p[1] & 0x3f)), p++;
        else
            return 0;
    }
    return size;
}

bool keras_lambda_affine(const char *text, bool base64, double *scale, double *offset) {
    uint8_t bytes[BYTES_MAX];
    const size_t size = base64 ? decode_base64(text, bytes) : decode_characters(text, bytes);
    function f;
    line result;
    for (int numbers = 4; numbers <= 6; numbers++) {
        if (!read_function(bytes, size, numbers, &f)) continue;
        for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++) {
            if (!follow(&f, &dialects[i], &result)) continue;
            *scale = result.a;
            *offset = result.b;
            return true;
        }
    }
    return false;
}
