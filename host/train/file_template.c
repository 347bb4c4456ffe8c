#include "host/train/file_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A field between its braces: name, and what follows the colon. */
typedef struct field {
    const char *name, *spec;
    int name_length, spec_length;
} field;

/* Reads the field at `text`, which starts after the brace; NULL if no brace closes it. */
static const char *read_field(const char *text, field *out) {
    const char *end = strchr(text, '}'), *colon = strchr(text, ':');
    if (!end) return NULL;
    if (!colon || colon > end) colon = end;
    *out = (field){text, colon < end ? colon + 1 : end, (int)(colon - text),
                   colon < end ? (int)(end - colon - 1) : 0};
    return end + 1;
}

static bool is_named(const field *f, const char *name) {
    return strlen(name) == (size_t)f->name_length && strncmp(f->name, name, strlen(name)) == 0;
}

/* Python's repr: the shortest that reads back as the same, with a point. */
static void print_plain(double value, char *out, size_t size) {
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, value);
        if (strtod(out, NULL) == value) break;
    }
    if (!strpbrk(out, ".en")) snprintf(out + strlen(out), size - strlen(out), ".0");
}

/* [0][width][.precision][type]; returns false for any other. */
static bool print_number(const field *f, const mien_template_value *v, char *out, size_t size) {
    const char *at = f->spec, *end = f->spec + f->spec_length;
    int width = 0, digits = 6;
    const bool zeros = at < end && *at == '0';
    for (; at < end && *at >= '0' && *at <= '9' && width < 100; at++)
        width = 10 * width + *at - '0';
    const bool precise = at < end && *at == '.';
    if (precise)
        for (at++, digits = 0; at < end && *at >= '0' && *at <= '9' && digits < 100; at++)
            digits = 10 * digits + *at - '0';
    const char type = at < end ? *at++ : v->whole && !precise ? 'd' : 0;
    if (at != end || width >= 100 || digits >= 30 || !type || !strchr("dfFeEgG%", type))
        return false;
    if (type == 'd') {
        if (!v->whole || precise) return false;
        snprintf(out, size, zeros ? "%0*lld" : "%*lld", width, (long long)v->value);
        return true;
    }
    const bool share = type == '%';
    char form[] = "%0*.*f";
    form[5] = share ? 'f' : type;
    if (!zeros) memmove(form + 1, form + 2, sizeof form - 2);
    snprintf(out, size, form, width - share > 0 ? width - share : 0, digits,
             v->value * (share ? 100 : 1));
    if (share) strncat(out, "%", size - strlen(out) - 1);
    return true;
}

static mien_status print_field(const char *text, const field *f, const mien_template_value *values,
                               char *out, size_t size) {
    for (const mien_template_value *v = values; v->name; v++) {
        if (!is_named(f, v->name)) continue;
        if (f->spec_length == 0 && !v->whole)
            print_plain(v->value, out, size);
        else if (!print_number(f, v, out, size))
            return MIEN_FAIL(INVALID,
                             "'%s': '%.*s' is no format of {%s}: write for example {epoch:02d} or "
                             "{val_accuracy:.4f}",
                             text, f->spec_length, f->spec, v->name);
        return MIEN_OK;
    }
    return MIEN_FAIL(INVALID,
                     "'%s': there is no {%.*s}: the fields are epoch, loss, accuracy, "
                     "learning_rate, val_loss, val_accuracy and val_macro_f1, the last three only "
                     "with validation",
                     text, f->name_length, f->name);
}

mien_status mien_template_expand(const char *text, const mien_template_value *values, char *out) {
    size_t size = 0;
    for (const char *at = text; *at;) {
        char part[256] = {*at, 0};
        const bool brace = *at == '{' || *at == '}';
        if (brace && at[1] == *at) {
            at += 2;
        } else if (brace) {
            field f;
            const char *next = *at == '{' ? read_field(at + 1, &f) : NULL;
            if (!next)
                return MIEN_FAIL(INVALID, "'%s' has a single brace: write {{ or }} for one", text);
            MIEN_TRY(print_field(text, &f, values, part, sizeof part));
            at = next;
        } else {
            at++;
        }
        const size_t length = strlen(part);
        if (size + length >= MIEN_PATH) return MIEN_FAIL(INVALID, "'%s' is too long", text);
        memcpy(out + size, part, length);
        size += length;
    }
    out[size] = 0;
    return MIEN_OK;
}

bool mien_template_has(const char *text, const char *name) {
    for (const char *at = text; (at = strchr(at, '{'));) {
        field f;
        if (at[1] == '{') {
            at += 2;
        } else if (!(at = read_field(at + 1, &f))) {
            return false;
        } else if (is_named(&f, name)) {
            return true;
        }
    }
    return false;
}
