/* Text helpers of mien-h5: the error message, UTF-8 and object paths. */
#include "host/h5/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Messages contain names from hostile files and may reach a terminal, so they may contain only
 * printable text, and no character cut in half. */
static void make_printable(char *text) {
    const bool ascii_only = !h5_utf8_valid(text, strlen(text));
    for (char *c = text; *c; c++) {
        const unsigned char byte = (unsigned char)*c;
        const bool c1_control = byte == 0xC2 && (unsigned char)c[1] < 0xA0;
        if (byte < 0x20 || byte == 0x7F || (ascii_only && byte > 0x7F)) {
            *c = '?';
        } else if (c1_control) {
            c[0] = '?';
            c[1] = '?';
        }
    }
}

bool h5_fail(struct h5_error *err, const char *format, ...) {
    if (err->text[0]) return false;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    make_printable(err->text);
    return false;
}

/* Returns how many bytes the character at `s` takes, or 0 when it is malformed. */
static size_t utf8_step(const unsigned char *s, size_t left) {
    if (s[0] < 0x80) return 1;
    size_t length = 0;
    uint32_t value = 0;
    uint32_t least = 0;
    if ((s[0] & 0xE0) == 0xC0) {
        length = 2, value = s[0] & 0x1Fu, least = 0x80;
    } else if ((s[0] & 0xF0) == 0xE0) {
        length = 3, value = s[0] & 0x0Fu, least = 0x800;
    } else if ((s[0] & 0xF8) == 0xF0) {
        length = 4, value = s[0] & 0x07u, least = 0x10000;
    }
    if (length == 0 || length > left) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
        value = value << 6 | (s[i] & 0x3Fu);
    }
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    return value < least || value > 0x10FFFF || surrogate ? 0 : length;
}

bool h5_utf8_valid(const char *text, size_t length) {
    const unsigned char *const bytes = (const unsigned char *)text;
    for (size_t at = 0; at < length;) {
        const size_t step = utf8_step(bytes + at, length - at);
        if (step == 0) return false;
        at += step;
    }
    return true;
}

bool h5_is_ascii(const char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text > 0x7F) return false;
    }
    return true;
}

bool h5_name_valid(const char *name, size_t length) {
    if (length == 0 || length > H5_MAX_PATH || memchr(name, '/', length)) return false;
    if (length == 1 && name[0] == '.') return false;
    if (length == 2 && name[0] == '.' && name[1] == '.') return false;
    return h5_utf8_valid(name, length);
}

bool h5_path_valid(const char *path) {
    if (path[0] != '/' || strlen(path) >= H5_MAX_PATH) return false;
    size_t depth = 0;
    for (const char *name = path; *name;) {
        name++;
        const size_t length = strcspn(name, "/");
        if (!h5_name_valid(name, length) || ++depth > H5_MAX_DEPTH) return false;
        name += length;
    }
    return true;
}
