#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/image/formats.h"

enum { FILE_MAX = 256 << 20 };

static const image_format *const formats[] = {&image_jpeg, &image_png,  &image_bmp, &image_pnm,
                                              &image_tiff, &image_webp, &image_gif, &image_heif};

/* Common formats that are not supported, recognised so that the message can say what to do. */
static const struct {
    const char *name, *magic;
    size_t at, size;
} unsupported[] = {{"a JPEG 2000 picture", "\0\0\0\x0cjP  ", 0, 8},
                   {"a JPEG 2000 picture", "\xff\x4f\xff\x51", 0, 4},
                   {"a JPEG XL picture", "\0\0\0\x0cJXL ", 0, 8},
                   {"a JPEG XL picture", "\xff\x0a", 0, 2},
                   {"a raw camera file (Canon CR2)", "CR\2\0", 8, 4},
                   {"a raw camera file (Fujifilm RAF)", "FUJIFILMCCD-RAW", 0, 15},
                   {"a raw camera file (Olympus ORF)", "IIRO", 0, 4},
                   {"a raw camera file (Olympus ORF)", "IIRS", 0, 4},
                   {"a raw camera file (Panasonic RW2)", "IIU\0", 0, 4}};

static mien_status refuse_film(const char *kind, const char *name) {
    return MIEN_FAIL(UNSUPPORTED,
                     "'%s' is %s, not a picture: save single frames of it as JPEG or PNG, for "
                     "example with ffmpeg",
                     name, kind);
}

static const char *unsupported_kind(const uint8_t *bytes, size_t size) {
    const image_container_kind container = image_container(bytes, size);
    if (container == IMAGE_CR3) return "a raw camera file (Canon CR3)";
    if (container == IMAGE_JPEG_2000) return "a JPEG 2000 picture";
    if (container == IMAGE_JPEG_XL) return "a JPEG XL picture";
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        if (size >= unsupported[i].at + unsupported[i].size &&
            memcmp(bytes + unsupported[i].at, unsupported[i].magic, unsupported[i].size) == 0)
            return unsupported[i].name;
    return NULL;
}

mien_image_kind mien_image_kind_of(const void *bytes, size_t size) {
    if (unsupported_kind(bytes, size)) return MIEN_IMAGE_UNREAD;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i]->strong && formats[i]->is(bytes, size)) return MIEN_IMAGE_READ;
    return MIEN_IMAGE_NONE;
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
    const char *film = image_film(bytes, size);
    if (film) return refuse_film(film, name);
    if (size == 0) return MIEN_FAIL(FORMAT, "'%s' is empty (0 bytes)", name);
    return MIEN_FAIL(FORMAT,
                     "'%s' is not a picture: its first bytes are not those of a supported format "
                     "(JPEG, PNG, BMP, PGM, TIFF, WebP, GIF, HEIC, AVIF)",
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

/* The size in the file, upright. */
static void complete(mien_photo_facts *photo, const mien_image *decoded, int orientation) {
    const int width = photo->width, height = photo->height;
    if (!width) {
        photo->width = decoded->width;
        photo->height = decoded->height;
    } else if (orientation >= 5) {
        photo->width = height;
        photo->height = width;
    }
}

static mien_status decode(const image_source *from, mien_image *out) {
    mien_status status = MIEN_OK;
    int orientation = 1;
    size_t i = 0;
    *out = (mien_image){0};
    const char *unread = unsupported_kind(from->bytes, from->size); /* some begin like a TIFF */
    if (unread)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is %s, which is not supported: convert it to JPEG or PNG",
                         from->name, unread);
    while (i < sizeof formats / sizeof formats[0] && !formats[i]->is(from->bytes, from->size))
        i++;
    if (i == sizeof formats / sizeof formats[0]) return refuse(from->bytes, from->size, from->name);
    MIEN_GO(formats[i]->decode(from, out, &orientation));
    MIEN_GO(change_channels(out, from->channels));
    MIEN_GO(image_turn_upright(out, orientation));
    if (from->photo) complete(from->photo, out, orientation);
out:
    image_leave_large();
    if (status != MIEN_OK) mien_image_release(out);
    return status;
}

mien_status mien_image_decode(const void *bytes, size_t size, const char *name, int channels,
                              mien_image *out) {
    return decode(&(image_source){.bytes = bytes, .size = size, .name = name, .channels = channels},
                  out);
}

mien_status mien_image_decode_photo(const void *bytes, size_t size, const char *name, int channels,
                                    mien_image *out, mien_photo_facts *facts) {
    *facts = (mien_photo_facts){0};
    return decode(&(image_source){bytes, size, name, channels, facts}, out);
}

/* Whether a file that is too large for a picture is a film. */
static mien_status refuse_large(const char *path) {
    uint8_t head[512];
    FILE *file = fopen(path, "rbe");
    const size_t size = file ? fread(head, 1, sizeof head, file) : 0;
    if (file) fclose(file);
    const char *film = image_film(head, size);
    return film ? refuse_film(film, path) : MIEN_FORMAT;
}

static mien_status read_file(const char *path, int channels, mien_photo_facts *photo,
                             mien_image *out) {
    char *bytes;
    size_t size;
    *out = (mien_image){0};
    const mien_status read = mien_file_read(path, FILE_MAX, &bytes, &size);
    if (read == MIEN_FORMAT) return refuse_large(path);
    MIEN_TRY(read);
    const mien_status status =
        decode(&(image_source){(const uint8_t *)bytes, size, path, channels, photo}, out);
    mien_free(bytes);
    return status;
}

mien_status mien_image_read(const char *path, int channels, mien_image *out) {
    return read_file(path, channels, NULL, out);
}

mien_status mien_image_read_photo(const char *path, int channels, mien_image *out,
                                  mien_photo_facts *facts) {
    *facts = (mien_photo_facts){0};
    return read_file(path, channels, facts, out);
}
