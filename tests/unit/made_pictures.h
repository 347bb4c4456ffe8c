/* Makes picture files in memory, for the tests of decoding and of folder data sets. */
#ifndef TESTS_UNIT_MADE_PICTURES_H
#define TESTS_UNIT_MADE_PICTURES_H

#include <stdbool.h>

#include "host/base/text.h"
#include "host/image/image.h"

/* All append to *out. Pixels are [h][w][channels]; channels: 1 gray, 3 colour. exif: an
 * orientation; 0: none. */
void made_jpeg(const uint8_t *pixels, int w, int h, int channels, int exif, bool progressive,
               mien_text *out);
/* `rows` in libpng's format: packed below 8 bits, big-endian at 16. Colour type 3 gets a palette of
 * 16 colours from (0,255,0) to (240,15,0). */
void made_png(const uint8_t *rows, int w, int h, int type, int depth, bool interlaced, int exif,
              mien_text *out);
/* 24 bits, rows bottom-up, or top-down where h < 0. */
void made_bmp(const uint8_t *pixels, int w, int h, mien_text *out);
void made_pgm(const uint8_t *pixels, int w, int h, mien_text *out);
/* An array file: descr as NumPy writes it, shape "(2, 3)", then the data. */
void made_npy(const char *descr, const char *shape, const void *data, size_t size, mien_text *out);
/* A zip archive: add members, then end it. The caller releases `file`. */
typedef struct made_zip {
    mien_text file, table;
    int count;
} made_zip;
void made_zip_add(made_zip *zip, const char *name, const mien_text *member, bool deflated);
void made_zip_end(made_zip *zip);
/* A smooth picture in which every pixel differs from its neighbours. */
void made_pixels(uint8_t *pixels, int w, int h, int channels, int seed);

#endif
