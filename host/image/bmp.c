/* Uncompressed Windows bitmaps of 1, 4, 8, 24 and 32 bits per pixel, rows bottom-up or top-down. */
#include <string.h>

#include "host/base/memory.h"
#include "host/image/formats.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, MASKS = 12, RGB = 0, BITFIELDS = 3 };

typedef struct bitmap {
    long long width, height; /* height > 0: rows bottom-up */
    uint32_t start, header, bits, packing, colours;
    const uint8_t *palette;
    int entry; /* bytes per palette entry */
    bool alpha;
} bitmap;

static uint32_t number(const uint8_t *at, int bytes) {
    uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static mien_status unsupported(const image_source *from, const char *what, uint32_t value) {
    return MIEN_FAIL(UNSUPPORTED,
                     "'%s' is a BMP with %s %u, which is not supported: save it as PNG", from->name,
                     what, value);
}

/* 32-bit pixels have channel masks: only the order blue, green, red, alpha is supported. */
static mien_status read_masks(const image_source *from, bitmap *b) {
    const uint8_t *masks = from->bytes + FILE_HEADER + INFO_HEADER;
    if (from->size < FILE_HEADER + INFO_HEADER + 16) return image_cut_short(from->name);
    if (number(masks, 4) != 0xff0000 || number(masks + 4, 4) != 0xff00 ||
        number(masks + 8, 4) != 0xff)
        return unsupported(from, "red mask", number(masks, 4));
    b->alpha = b->header >= INFO_HEADER + 16 && number(masks + 12, 4) == 0xff000000u;
    return MIEN_OK;
}

static mien_status read_header(const image_source *from, bitmap *b) {
    const uint8_t *at = from->bytes + FILE_HEADER;
    if (from->size < FILE_HEADER + CORE_HEADER) return image_cut_short(from->name);
    b->start = number(from->bytes + 10, 4);
    b->header = number(at, 4);
    if (b->header != CORE_HEADER && (b->header < INFO_HEADER || b->header > 124))
        return unsupported(from, "header size", b->header);
    if (from->size - FILE_HEADER < b->header) return image_cut_short(from->name);
    const bool core = b->header == CORE_HEADER;
    b->width = core ? (long long)number(at + 4, 2) : (int32_t)number(at + 4, 4);
    b->height = core ? (long long)number(at + 6, 2) : (int32_t)number(at + 8, 4);
    b->bits = number(at + (core ? 10 : 14), 2);
    b->packing = core ? RGB : number(at + 16, 4);
    b->colours = core ? 0 : number(at + 32, 4);
    b->entry = core ? 3 : 4;
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 24 && b->bits != 32)
        return unsupported(from, "pixel depth", b->bits);
    if (b->packing == BITFIELDS && b->bits == 32) return read_masks(from, b);
    return b->packing == RGB ? MIEN_OK : unsupported(from, "compression", b->packing);
}

static mien_status find_palette(const image_source *from, bitmap *b) {
    const size_t start = FILE_HEADER + (size_t)b->header;
    if (b->bits > 8) {
        b->colours = 0; /* such a palette is only a hint for old displays, and often wrong */
        return MIEN_OK;
    }
    if (b->colours == 0 || b->colours > 1u << b->bits) b->colours = 1u << b->bits;
    if ((from->size - start) / (size_t)b->entry < b->colours) return image_cut_short(from->name);
    b->palette = from->bytes + start;
    return MIEN_OK;
}

/* Reads one pixel as red, green, blue, alpha; an index past the palette's end is black. */
static void read_pixel(const bitmap *b, const uint8_t *row, size_t x, uint8_t out[4]) {
    static const uint8_t black[4];
    const uint8_t *from;
    if (b->palette) {
        const size_t bit = x * b->bits;
        const uint32_t shift = 8 - b->bits - (uint32_t)(bit % 8);
        const uint32_t index = (uint32_t)(row[bit / 8] >> shift) & ((1u << b->bits) - 1);
        from = index < b->colours ? b->palette + index * (size_t)b->entry : black;
    } else {
        from = row + x * (b->bits / 8);
    }
    out[0] = from[2];
    out[1] = from[1];
    out[2] = from[0];
    out[3] = b->alpha ? from[3] : 255;
}

static mien_status decode_bmp(const image_source *from, mien_image *out, int *orientation) {
    bitmap b = {0};
    (void)orientation;
    MIEN_TRY(read_header(from, &b));
    const unsigned long long height = (unsigned long long)(b.height < 0 ? -b.height : b.height);
    if (b.width < 0) return MIEN_FAIL(FORMAT, "'%s' has a negative width", from->name);
    MIEN_TRY(image_check_size(from->name, (unsigned long long)b.width, height));
    MIEN_TRY(find_palette(from, &b));
    const size_t masks = b.packing == BITFIELDS && b.header == INFO_HEADER ? MASKS : 0;
    const size_t head = FILE_HEADER + (size_t)b.header + masks + b.colours * (size_t)b.entry;
    if (b.start < head)
        return MIEN_FAIL(FORMAT, "'%s' is damaged: its pixels begin at byte %u, inside the header",
                         from->name, b.start);
    const size_t stride = ((size_t)b.width * b.bits + 31) / 32 * 4;
    if (b.start > from->size || (from->size - b.start) / stride < height)
        return image_cut_short(from->name);
    MIEN_TRY(image_allocate((int)b.width, (int)height, 3, out));
    for (size_t y = 0; y < height; y++) {
        const uint8_t *row = from->bytes + b.start + (b.height > 0 ? height - 1 - y : y) * stride;
        uint8_t *to = out->pixels + y * (size_t)b.width * 3;
        for (size_t x = 0; x < (size_t)b.width; x++) {
            uint8_t pixel[4];
            read_pixel(&b, row, x, pixel);
            image_over_white(pixel, 1, 3, to + 3 * x);
        }
    }
    return MIEN_OK;
}

static bool is_bmp(const uint8_t *bytes, size_t size) {
    return size >= 2 && memcmp(bytes, "BM", 2) == 0;
}

const image_format image_bmp = {"BMP", ".bmp", false, is_bmp, decode_bmp};
