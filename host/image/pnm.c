/* PGM and PPM: P2 and P3 as text, P5 and P6 as binary, up to 16 bits per sample. */
#include <ctype.h>

#include "host/base/memory.h"
#include "host/image/formats.h"

typedef struct pnm {
    const image_source *from;
    size_t at; /* offset of the next byte of the file */
} pnm;

/* Reads the next whole number, at most `limit`, after white space and comments. */
static mien_status next_number(pnm *p, unsigned long limit, unsigned long *out) {
    const uint8_t *bytes = p->from->bytes;
    const size_t size = p->from->size;
    while (p->at < size && (isspace(bytes[p->at]) || bytes[p->at] == '#')) {
        if (bytes[p->at] == '#')
            while (p->at < size && bytes[p->at] != '\n')
                p->at++;
        if (p->at < size) p->at++;
    }
    if (p->at == size) return image_cut_short(p->from->name);
    if (!isdigit(bytes[p->at]))
        return MIEN_FAIL(FORMAT, "'%s' is damaged: no number at byte %zu", p->from->name, p->at);
    for (*out = 0; p->at < size && isdigit(bytes[p->at]); p->at++) {
        *out = *out * 10 + (unsigned long)(bytes[p->at] - '0');
        if (*out > limit)
            return MIEN_FAIL(FORMAT, "'%s' is damaged: a number above %lu at byte %zu",
                             p->from->name, limit, p->at);
    }
    return MIEN_OK;
}

static uint8_t scaled(unsigned long value, unsigned long most) {
    return (uint8_t)((value * 255 + most / 2) / most);
}

static mien_status read_text(pnm *p, size_t count, unsigned long most, uint8_t *to) {
    for (size_t i = 0; i < count; i++) {
        unsigned long value;
        MIEN_TRY(next_number(p, most, &value));
        to[i] = scaled(value, most);
    }
    return MIEN_OK;
}

static mien_status read_binary(pnm *p, size_t count, unsigned long most, uint8_t *to) {
    const uint8_t *bytes = p->from->bytes + p->at;
    for (size_t i = 0; i < count; i++) {
        const unsigned long value =
            most > 255 ? (unsigned long)bytes[2 * i] << 8 | bytes[2 * i + 1] : bytes[i];
        if (value > most)
            return MIEN_FAIL(FORMAT, "'%s' is damaged: a sample of %lu above its maximum %lu",
                             p->from->name, value, most);
        to[i] = scaled(value, most);
    }
    return MIEN_OK;
}

static mien_status decode_pnm(const image_source *from, mien_image *out, int *orientation) {
    pnm p = {from, 2};
    unsigned long width, height, most;
    const char kind = (char)from->bytes[1];
    const bool text = kind == '2' || kind == '3';
    const int channels = kind == '3' || kind == '6' ? 3 : 1;
    (void)orientation;
    MIEN_TRY(next_number(&p, 1000000000, &width));
    MIEN_TRY(next_number(&p, 1000000000, &height));
    MIEN_TRY(image_check_size(from->name, width, height));
    MIEN_TRY(next_number(&p, 65535, &most));
    if (most == 0) return MIEN_FAIL(FORMAT, "'%s' is damaged: its maximum is 0", from->name);
    if (p.at < from->size) p.at++; /* one white space ends the header */
    const size_t count = width * height * (size_t)channels;
    /* a text sample takes a digit and, except for the last, a space */
    const size_t need = text ? 2 * count - 1 : count * (most > 255 ? 2 : 1);
    if (from->size - p.at < need) return image_cut_short(from->name);
    MIEN_TRY(image_allocate((int)width, (int)height, channels, out));
    return (text ? read_text : read_binary)(&p, count, most, out->pixels);
}

static bool is_pnm(const uint8_t *bytes, size_t size) {
    return size >= 3 && bytes[0] == 'P' &&
           (bytes[1] == '2' || bytes[1] == '3' || bytes[1] == '5' || bytes[1] == '6') &&
           (isspace(bytes[2]) || bytes[2] == '#');
}

const image_format image_pnm = {"PGM", ".pgm .ppm", false, is_pnm, decode_pnm};
