#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/image/formats.h"

enum { FILE_MAX = 256 << 20 };

static const image_format *const formats[] = {&image_jpeg, &image_png, &image_bmp, &image_pnm};

/* Common formats that are not supported, recognised so that the message can say what to do. */
static const struct {
    const char *name, *magic;
    size_t at, size;
} unsupported[] = {{"GIF", "GIF8", 0, 4},          {"WebP", "WEBP", 8, 4},
                   {"TIFF", "II*\0", 0, 4},        {"TIFF", "MM\0*", 0, 4},
                   {"HEIC or AVIF", "ftyp", 4, 4}, {"JPEG 2000", "\0\0\0\x0cjP  ", 0, 8}};

static mien_status refuse(const uint8_t *bytes, size_t size, const char *name) {
    if (size == 0) return MIEN_FAIL(FORMAT, "'%s' is empty (0 bytes)", name);
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        if (size >= unsupported[i].at + unsupported[i].size &&
            memcmp(bytes + unsupported[i].at, unsupported[i].magic, unsupported[i].size) == 0)
            return MIEN_FAIL(
                UNSUPPORTED,
                "'%s' is a %s picture, which is not supported: convert it to JPEG or PNG", name,
                unsupported[i].name);
    return MIEN_FAIL(
        FORMAT, "'%s' is not a picture: its first bytes are not those of JPEG, PNG, BMP or PGM",
        name);
}

/* Converts a picture to the requested channels; gray is written in place. */
static mien_status change_channels(mien_image *image, int channels) {
    const size_t pixels = (size_t)image->width * (size_t)image->height;
    if (channels == 0 || channels == image->channels) return MIEN_OK;
    if (channels == 1) {
        mien_image_to_gray(image->pixels, pixels, image->pixels);
        image->channels = 1;
        return MIEN_OK;
    }
    mien_image colour;
    MIEN_TRY(image_allocate(image->width, image->height, 3, &colour));
    for (size_t i = 0; i < pixels; i++)
        memset(colour.pixels + 3 * i, image->pixels[i], 3);
    mien_image_release(image);
    *image = colour;
    return MIEN_OK;
}

mien_status mien_image_decode(const void *bytes, size_t size, const char *name, int channels,
                              mien_image *out) {
    const image_source from = {bytes, size, name, channels};
    mien_status status = MIEN_OK;
    int orientation = 1;
    size_t i = 0;
    *out = (mien_image){0};
    while (i < sizeof formats / sizeof formats[0] && !formats[i]->is(bytes, size))
        i++;
    if (i == sizeof formats / sizeof formats[0]) return refuse(bytes, size, name);
    MIEN_GO(formats[i]->decode(&from, out, &orientation));
    MIEN_GO(change_channels(out, channels));
    MIEN_GO(image_turn_upright(out, orientation));
out:
    image_leave_large();
    if (status != MIEN_OK) mien_image_release(out);
    return status;
}

mien_status mien_image_read(const char *path, int channels, mien_image *out) {
    char *bytes;
    size_t size;
    *out = (mien_image){0};
    MIEN_TRY(mien_file_read(path, FILE_MAX, &bytes, &size));
    const mien_status status = mien_image_decode(bytes, size, path, channels, out);
    mien_free(bytes);
    return status;
}
