/* Between decode.c and the formats: each fills a picture from one kind of file. picture.c has what
 * they share. */
#ifndef HOST_IMAGE_FORMATS_H
#define HOST_IMAGE_FORMATS_H

#include <stdbool.h>

#include "host/image/image.h"

/* A file in memory and what messages call it. */
typedef struct image_source {
    const uint8_t *bytes;
    size_t size;
    const char *name;
    int channels; /* wanted: 1, 3 or 0; a format may leave the change of channels to decode.c */
} image_source;

typedef struct image_format {
    const char *name; /* "JPEG" */
    bool (*is)(const uint8_t *bytes, size_t size);
    /* *orientation stays 1 unless the file tells another one, 1 to 8 as EXIF counts them. `out` may
     * hold pixels after a failure; decode.c frees them. */
    mien_status (*decode)(const image_source *from, mien_image *out, int *orientation);
} image_format;

extern const image_format image_jpeg, image_png, image_bmp, image_pnm;

/* Refuses sizes that are no picture or above MIEN_IMAGE_PIXELS_MAX. Every format asks before it
 * allocates: a large picture waits here until no other is being decoded. */
mien_status image_check_size(const char *name, unsigned long long width, unsigned long long height);
/* The picture is decoded, or will not be: the next large one may begin. */
void image_leave_large(void);
/* Room for the pixels; the size has been checked. */
mien_status image_allocate(int width, int height, int channels, mien_image *out);
mien_status image_cut_short(const char *name);
/* Lays `rows` of [width][channels + 1], alpha last, on white: [width][channels]. */
void image_over_white(const uint8_t *row, size_t width, int channels, uint8_t *out);

/* The orientation of an EXIF block that begins with its TIFF header; 1 when it names none. */
int image_exif_orientation(const uint8_t *tiff, size_t size);
/* Turns a picture of EXIF orientation 1 to 8 upright. */
mien_status image_turn_upright(mien_image *image, int orientation);

#endif
