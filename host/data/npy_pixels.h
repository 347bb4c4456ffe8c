/* The images of an array: its shape, the order of its channels and the range of its numbers. */
#ifndef HOST_DATA_NPY_PIXELS_H
#define HOST_DATA_NPY_PIXELS_H

#include "host/data/npy_file.h"

typedef struct npy_pixels {
    int height, width, channels;
    bool planar; /* [N,C,H,W] */
    bool bytes;  /* uint8; else other numbers, to be multiplied by `scale` */
    double scale;
} npy_pixels;

/* Understands the array, or says why it holds no images. Numbers other than uint8 are read once, to
 * learn their range. What is not [N,H,W,C] of uint8 is logged. */
mien_status npy_pixels_check(const npy_array *array, npy_pixels *out);
/* Bytes of an image in the file, and of its 8-bit pixels. */
size_t npy_pixels_stored(const npy_array *array, const npy_pixels *form);
size_t npy_pixels_count(const npy_pixels *form);
/* Converts a stored image to [height][width][channels] of 8 bits. */
void npy_pixels_convert(const npy_array *array, const npy_pixels *form, const uint8_t *stored,
                        uint8_t *out);
/* Element `i` as a number; kinds u, i, b and f of 2, 4 and 8 bytes. */
bool npy_real(const npy_header *header, const uint8_t *data, size_t i, double *out);
/* "float32 [100,48,48]". */
void npy_describe(const npy_header *header, char *out, size_t size);

#endif
