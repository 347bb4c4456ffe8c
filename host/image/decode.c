#include <string.h>
#include <strings.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/image/formats.h"

enum { FILE_MAX = 256 << 20 };

static const image_format *const formats[] = {&image_jpeg, &image_png,  &image_bmp, &image_pnm,
                                              &image_tiff, &image_webp, &image_gif};

/* Common formats that are not supported, recognised so that the message can say what to do. */
static const struct {
    const char *name, *magic;
    size_t at, size;
} unsupported[] = {{"HEIC", "ftyphei", 4, 7},
                   {"HEIC", "ftypmif1", 4, 8},
                   {"AVIF", "ftypavi", 4, 7},
                   {"video", "ftyp", 4, 4},
                   {"JPEG 2000", "\0\0\0\x0cjP  ", 0, 8},
                   {"JPEG XL", "\0\0\0\x0cJXL ", 0, 8}};

static const char *unsupported_kind(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        if (size >= unsupported[i].at + unsupported[i].size &&
            memcmp(bytes + unsupported[i].at, unsupported[i].magic, unsupported[i].size) == 0)
            return unsupported[i].name;
    return NULL;
}

mien_image_kind mien_image_kind_of(const void *bytes, size_t size) {
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i]->strong && formats[i]->is(bytes, size)) return MIEN_IMAGE_READ;
    const char *name = unsupported_kind(bytes, size);
    return name && strcmp(name, "video") != 0 ? MIEN_IMAGE_UNREAD : MIEN_IMAGE_NONE;
}

bool mien_image_has_suffix(const char *name) {
    const char *dot = strrchr(name, '.');
    const size_t length = dot ? strlen(dot) : 0;
    if (length < 2) return false;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        for (const char *at = formats[i]->suffixes; *at; at += strcspn(at, " ")) {
            at += strspn(at, " ");
            if (strcspn(at, " ") == length && strncasecmp(at, dot, length) == 0) return true;
        }
    return false;
}

const char *mien_image_suffixes(char out[MIEN_IMAGE_SUFFIXES]) {
    size_t used = 0;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        for (const char *c = formats[i]->suffixes; *c; c++) {
            if (*c == '.' && used) out[used++] = ',', out[used++] = ' ';
            if (*c != '.' && *c != ' ') out[used++] = *c;
        }
    out[used] = 0;
    return out;
}

static mien_status refuse(const uint8_t *bytes, size_t size, const char *name) {
    if (size == 0) return MIEN_FAIL(FORMAT, "'%s' is empty (0 bytes)", name);
    const char *kind = unsupported_kind(bytes, size);
    if (kind && strcmp(kind, "video") == 0)
        return MIEN_FAIL(UNSUPPORTED, "'%s' is a video: give pictures, e.g. frames of it", name);
    if (kind)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a %s picture, which is not supported: convert it to JPEG or PNG",
                         name, kind);
    return MIEN_FAIL(FORMAT,
                     "'%s' is not a picture: its first bytes are not those of a supported format "
                     "(JPEG, PNG, BMP, PGM, TIFF, WebP, GIF)",
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
