/* Encodes pictures as PNG: gray with one channel, RGB with three, 8 bits each. */
#ifndef HOST_IMAGE_ENCODE_H
#define HOST_IMAGE_ENCODE_H

#include "host/base/text.h"
#include "host/image/image.h"

/* Appends the PNG's bytes to `out`; the same picture always gives the same bytes. */
mien_status mien_image_encode_png(const mien_image *image, mien_text *out);
/* Writes a PNG file atomically. */
mien_status mien_image_write_png(const mien_image *image, const char *path);

#endif
