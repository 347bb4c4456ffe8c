/* The interface between decode.c and the formats, each of which decodes one kind of file. picture.c
 * has what they share. */
#ifndef HOST_IMAGE_FORMATS_H
#define HOST_IMAGE_FORMATS_H

#include <stdbool.h>

#include "host/image/image.h"

/* A file in memory and its name for messages. */
typedef struct image_source {
    const uint8_t *bytes;
    size_t size;
    const char *name;
    int channels; /* requested: 1, 3 or 0 (as stored); decode.c converts where a format does not */
    /* NULL: strict. Else a photo: a format that scales it down sets the size in the file. */
    mien_photo_facts *photo;
} image_source;

typedef struct image_format {
    const char *name;     /* "JPEG" */
    const char *suffixes; /* ".jpg .jpeg" */
    bool strong; /* `is` tests enough bytes to recognise a file without a suffix of pictures */
    bool (*is)(const uint8_t *bytes, size_t size);
    /* *orientation stays 1 unless the file names another one, 1 to 8 as in EXIF. `out` may hold
     * pixels after a failure; decode.c frees them. */
    mien_status (*decode)(const image_source *from, mien_image *out, int *orientation);
} image_format;

extern const image_format image_jpeg, image_png, image_bmp, image_pnm, image_tiff, image_webp,
    image_gif, image_heif;

/* Kinds of picture in the ISO container; a file of several brands is the last of them here. */
typedef enum image_container_kind {
    IMAGE_NO_CONTAINER, /* or a film */
    IMAGE_JPEG_XL,
    IMAGE_JPEG_2000,
    IMAGE_HEIC,
    IMAGE_AVIF,
    IMAGE_CR3,
} image_container_kind;
image_container_kind image_container(const uint8_t *bytes, size_t size);

/* The kind of a video or audio file, such as "an MP4 video", by its first bytes; NULL: neither. */
const char *image_film(const uint8_t *bytes, size_t size);

/* Refuses empty pictures and those above MIEN_IMAGE_PIXELS_MAX pixels. Every format calls it before
 * it allocates: a large picture waits here until no other large one is being decoded. */
mien_status image_check_size(const char *name, unsigned long long width, unsigned long long height);
/* Called when a picture was decoded or refused: lets the next large one begin. */
void image_leave_large(void);
/* Allocates the pixels; the size must have been checked. */
mien_status image_allocate(int width, int height, int channels, mien_image *out);
/* mien_library_load; a failure names the file. */
mien_status image_library(const image_source *from, const char *file, const char *package,
                          const char *const *names, size_t count, void *out);
/* Fails with the message that the file is cut short. */
mien_status image_cut_short(const char *name);
/* Composites `row` [width][channels + 1], alpha last, onto white: `out` is [width][channels] and
 * may be `row`. */
void image_over_white(const uint8_t *row, size_t width, int channels, uint8_t *out);

/* The orientation in an EXIF block that begins with its TIFF header; 1 if it names none. */
int image_exif_orientation(const uint8_t *tiff, size_t size);
/* Rotates and mirrors a picture of EXIF orientation 1 to 8 upright. */
mien_status image_turn_upright(mien_image *image, int orientation);

#endif
