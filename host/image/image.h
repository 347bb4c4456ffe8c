/* Pictures: decoded pixels and the files they come from.
 *
 * Files are untrusted. A header is believed only as far as the file's size justifies it, and a file
 * that ends too early is an error even where a decoder would fill the rest with gray. */
#ifndef HOST_IMAGE_IMAGE_H
#define HOST_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum { MIEN_IMAGE_PIXELS_MAX = 50000000 };

typedef struct mien_image {
    int width, height, channels; /* 1 gray, 3 red green blue */
    uint8_t *pixels;             /* [height][width][channels], owned: mien_image_release */
} mien_image;

typedef enum mien_image_kind {
    MIEN_IMAGE_NONE,   /* no picture */
    MIEN_IMAGE_UNREAD, /* a picture of a format that is not supported */
    MIEN_IMAGE_READ,
} mien_image_kind;
enum { MIEN_IMAGE_SUFFIXES = 128, MIEN_IMAGE_HEAD = 64 };

/* What a file is by its first MIEN_IMAGE_HEAD bytes (BMP and PGM, two letters long, are NONE). */
mien_image_kind mien_image_kind_of(const void *bytes, size_t size);
/* Whether a name ends with a suffix of a supported format, in any case. */
bool mien_image_has_suffix(const char *name);
/* Writes these suffixes to `out`, as "jpg, jpeg, png", and returns it. */
const char *mien_image_suffixes(char out[MIEN_IMAGE_SUFFIXES]);
/* Decodes JPEG, PNG, BMP, PGM, PPM, TIFF, WebP, GIF (its first frame), HEIC or AVIF, recognised by
 * the first bytes. `name` is used in messages. channels: 1 gray, 3 colour, 0 as in the file. EXIF
 * orientation is applied, transparency is composited onto white, 16 bits become 8. Gray from colour
 * is ITU-R 601 luma, rounded: (19595 R + 38470 G + 7471 B + 32768) >> 16; from a JPEG it is the
 * stored luma itself. FORMAT: not a picture, damaged or cut short; UNSUPPORTED: above
 * MIEN_IMAGE_PIXELS_MAX pixels, or a variant of the format that is not supported. out->pixels is
 * NULL after a failure. */
mien_status mien_image_decode(const void *bytes, size_t size, const char *name, int channels,
                              mien_image *out);
/* The same for a file of at most 256 MiB. */
mien_status mien_image_read(const char *path, int channels, mien_image *out);

/* What is known about the file of a photo besides the decoded pixels. */
typedef struct mien_photo_facts {
    int width, height; /* of the picture in the file, upright; the decoded one may be smaller */
    char warning[128]; /* what is wrong with the file though it was decoded, or "" */
} mien_photo_facts;

/* Reads a photo that is to be searched for faces, less strictly than a training picture: a JPEG
 * above MIEN_IMAGE_PIXELS_MAX pixels is decoded at 1/2, 1/4 or 1/8 of its size, and stray bytes
 * before a JPEG's end marker, which some cameras write, only cause a warning. */
mien_status mien_image_read_photo(const char *path, int channels, mien_image *out,
                                  mien_photo_facts *facts);
/* The same for a file in memory. */
mien_status mien_image_decode_photo(const void *bytes, size_t size, const char *name, int channels,
                                    mien_image *out, mien_photo_facts *facts);
void mien_image_release(mien_image *image);
/* Converts `count` colour pixels to gray by the formula above; in and out may be the same. */
void mien_image_to_gray(const uint8_t *colour, size_t count, uint8_t *gray);

#endif
