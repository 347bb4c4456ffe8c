#include "host/base/interrupt.h"
#include "host/data/npy_pixels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/pictures.h"
#include "host/image/image.h"

enum { BLOCK = 8192 }; /* elements read at a time */

static double half_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == 31) return fraction ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

bool npy_real(const npy_header *h, const uint8_t *data, size_t i, double *out) {
    const uint8_t *at = data + i * h->item;
    uint8_t bytes[8];
    long long whole;
    if (h->kind != 'f') {
        if (h->kind == 'U' || h->kind == 'S' || !npy_integer(h, data, i, &whole)) return false;
        *out = (double)whole;
        return true;
    }
    if (h->item != 2 && h->item != 4 && h->item != 8) return false;
    for (size_t b = 0; b < h->item; b++) /* little-endian, as this machine */
        bytes[b] = at[h->big ? h->item - 1 - b : b];
    if (h->item == 2) {
        *out = half_value((uint16_t)(bytes[0] | bytes[1] << 8));
    } else if (h->item == 4) {
        float value;
        memcpy(&value, bytes, sizeof value);
        *out = (double)value;
    } else {
        memcpy(out, bytes, sizeof *out);
    }
    return true;
}

void npy_describe(const npy_header *h, char *out, size_t size) {
    static const struct {
        char kind;
        const char *name;
    } kinds[] = {{'u', "uint"}, {'i', "int"},  {'f', "float"},
                 {'b', "bool"}, {'U', "text"}, {'S', "text"}};
    const char *name = "type ";
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        if (kinds[k].kind == h->kind) name = kinds[k].name;
    int n = snprintf(out, size, "%s%zu [", name, h->item * 8);
    for (int d = 0; d < h->dims && n > 0 && (size_t)n < size; d++)
        n += snprintf(out + n, size - (size_t)n, "%s%zu", d ? "," : "", h->shape[d]);
    if (n > 0 && (size_t)n < size) snprintf(out + n, size - (size_t)n, "]");
}

static bool is_channels(size_t n) {
    return n == 1 || n == 3;
}

static size_t root_of(size_t n) {
    size_t side = (size_t)sqrt((double)n);
    return side * side == n ? side : 0;
}

/* Height, width, channels and their order; false for a shape that is not one of images. */
static bool read_shape(const npy_header *h, size_t *height, size_t *width, npy_pixels *out) {
    const size_t *s = h->shape;
    out->channels = 1;
    const bool flat = h->dims == 2 || (h->dims == 3 && s[2] == 1);
    if (flat) {
        *height = *width = root_of(s[1]);
        return *height >= PICTURE_SIDE_MIN;
    }
    out->planar = h->dims == 4 && !is_channels(s[3]) && is_channels(s[1]);
    if (h->dims != 3 && !out->planar && (h->dims != 4 || !is_channels(s[3]))) return false;
    *height = s[out->planar ? 2 : 1];
    *width = s[out->planar ? 3 : 2];
    if (h->dims == 4) out->channels = (int)s[out->planar ? 1 : 3];
    return true;
}

static mien_status check_shape(const npy_array *a, npy_pixels *out) {
    size_t height = 0, width = 0;
    if (!read_shape(&a->head, &height, &width, out))
        return MIEN_FAIL(FORMAT,
                         "'%s' is not an array of images: its shape must be [N,H,W], "
                         "[N,H,W,1], [N,H,W,3], [N,1,H,W], [N,3,H,W] or [N,pixels of a square]",
                         a->name);
    if (height < PICTURE_SIDE_MIN || width < PICTURE_SIDE_MIN)
        return MIEN_FAIL(FORMAT, "'%s' has images of %zux%zu pixels: too small for a face", a->name,
                         width, height);
    if (height > MIEN_IMAGE_PIXELS_MAX / width)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' has images of %zux%zu pixels; the limit is %d megapixels", a->name,
                         width, height, MIEN_IMAGE_PIXELS_MAX / 1000000);
    out->height = (int)height;
    out->width = (int)width;
    return MIEN_OK;
}

static mien_status find_range(const npy_array *a, double *least, double *most) {
    const npy_header *h = &a->head;
    uint8_t block[BLOCK * 8];
    *least = INFINITY;
    *most = -INFINITY;
    for (size_t from = 0; from < h->count; from += BLOCK) {
        const size_t rest = h->count - from, n = rest < BLOCK ? rest : BLOCK;
        MIEN_TRY(mien_interrupt_check(a->name));
        MIEN_TRY(npy_read(a, from * h->item, n * h->item, block));
        for (size_t i = 0; i < n; i++) {
            double value;
            if (!npy_real(h, block, i, &value) || !isfinite(value))
                return MIEN_FAIL(FORMAT, "'%s': image %zu holds NaN or infinity", a->name,
                                 (from + i) / (h->count / h->shape[0]));
            *least = fmin(*least, value);
            *most = fmax(*most, value);
        }
    }
    return MIEN_OK;
}

/* 0 to 1 becomes 0 to 255. Whole numbers of 0 and 1 alone may be either. */
static mien_status check_range(const npy_array *a, npy_pixels *out) {
    const npy_header *h = &a->head;
    double least, most;
    char text[128];
    npy_describe(h, text, sizeof text);
    if (h->item > 8 || !strchr("uif", h->kind))
        return MIEN_FAIL(UNSUPPORTED, "'%s' holds %s: images must be numbers, 0 to 255 or 0 to 1",
                         a->name, text);
    MIEN_TRY(find_range(a, &least, &most));
    if (h->count && (least < 0 || most > 255 || (h->kind != 'f' && most <= 1)))
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' holds %s with values from %g to %g: images must be 0 to 255, or "
                         "floats from 0 to 1: save the pixels as they were before standardisation",
                         a->name, text, least, most);
    out->scale = most > 1 ? 1 : 255;
    return MIEN_OK;
}

mien_status npy_pixels_check(const npy_array *a, npy_pixels *out) {
    char text[128];
    *out = (npy_pixels){.scale = 1, .bytes = a->head.kind == 'u' && a->head.item == 1};
    MIEN_TRY(check_shape(a, out));
    if (!out->bytes) MIEN_TRY(check_range(a, out));
    const bool flat = a->head.dims == 2 || out->height != (int)a->head.shape[out->planar ? 2 : 1];
    if (out->bytes && !out->planar && !flat) return MIEN_OK;
    npy_describe(&a->head, text, sizeof text);
    MIEN_INFO("%s: %s is read as images of %dx%d pixels with %d channel%s%s%s", a->name, text,
              out->width, out->height, out->channels, out->channels > 1 ? "s" : "",
              out->planar ? ", channels first" : "",
              out->bytes       ? ""
              : out->scale > 1 ? ", values 0 to 1"
                               : ", values 0 to 255");
    return MIEN_OK;
}

size_t npy_pixels_count(const npy_pixels *p) {
    return (size_t)p->height * (size_t)p->width * (size_t)p->channels;
}

size_t npy_pixels_stored(const npy_array *a, const npy_pixels *p) {
    return npy_pixels_count(p) * a->head.item;
}

void npy_pixels_convert(const npy_array *a, const npy_pixels *p, const uint8_t *stored,
                        uint8_t *out) {
    const size_t count = npy_pixels_count(p), channels = (size_t)p->channels;
    const size_t plane = count / channels;
    for (size_t i = 0; i < count; i++) {
        const size_t from = p->planar ? i % channels * plane + i / channels : i;
        double value = stored[p->bytes ? from : 0];
        if (!p->bytes) npy_real(&a->head, stored, from, &value);
        out[i] = (uint8_t)(value * p->scale + 0.5);
    }
}
