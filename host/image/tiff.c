/* TIFF, decoded by libtiff: the first page, gray, palette, RGB or YCbCr, up to 16 bits. */
#include <string.h>

#include <tiffio.h>

#include "host/base/memory.h"
#include "host/image/formats.h"

#define DAMAGED "'%s' cannot be decoded: its TIFF data are damaged or cut short"

typedef struct tiff_library {
    __typeof__(&TIFFClientOpen) open;
    __typeof__(&TIFFClose) close;
    __typeof__(&TIFFGetField) field;
    __typeof__(&TIFFGetFieldDefaulted) field_or_default;
    __typeof__(&TIFFReadRGBAImageOriented) read;
    __typeof__(&TIFFReadEncodedStrip) strip;
    __typeof__(&TIFFIsTiled) tiled;
    __typeof__(&TIFFSetErrorHandler) on_error;
    __typeof__(&TIFFSetWarningHandler) on_warning;
} tiff_library;

typedef struct tiff_file {
    const image_source *from;
    uint64_t at;
} tiff_file;

static tmsize_t on_read(thandle_t handle, void *to, tmsize_t wanted) {
    tiff_file *file = (tiff_file *)handle;
    const uint64_t rest = file->at < file->from->size ? file->from->size - file->at : 0;
    const size_t count = (uint64_t)wanted < rest ? (size_t)wanted : (size_t)rest;
    if (count) memcpy(to, file->from->bytes + file->at, count);
    file->at += count;
    return (tmsize_t)count;
}

static tmsize_t on_write(thandle_t handle, void *bytes, tmsize_t size) {
    (void)handle, (void)bytes, (void)size;
    return -1;
}

static toff_t on_seek(thandle_t handle, toff_t to, int whence) {
    tiff_file *file = (tiff_file *)handle;
    file->at = to + (whence == SEEK_CUR ? file->at : whence == SEEK_END ? file->from->size : 0);
    return file->at;
}

static int on_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle) {
    return ((tiff_file *)handle)->from->size;
}

/* Refuses what libtiff would convert wrongly or not at all. */
static mien_status check_kind(const tiff_library *lib, TIFF *tiff, const char *name) {
    uint16_t bits = 1, kind = PHOTOMETRIC_MINISBLACK, format = SAMPLEFORMAT_UINT;
    uint32_t width = 0, height = 0, purpose = 0;
    if (lib->field(tiff, TIFFTAG_SUBFILETYPE, &purpose) && purpose & FILETYPE_REDUCEDIMAGE)
        return MIEN_FAIL(
            UNSUPPORTED,
            "'%s' begins with a preview of its picture, as raw camera files (DNG, NEF, "
            "ARW) do, which is not supported: convert it to JPEG or PNG",
            name);
    lib->field_or_default(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    lib->field_or_default(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    lib->field(tiff, TIFFTAG_PHOTOMETRIC, &kind);
    if (kind > PHOTOMETRIC_PALETTE && kind != PHOTOMETRIC_YCBCR)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a TIFF in CMYK or another colour model that is not supported: "
                         "convert it to RGB or gray",
                         name);
    if (bits > 16 || format != SAMPLEFORMAT_UINT)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a TIFF of %d-bit numbers that are not supported: convert it to "
                         "8 or 16 bits, unsigned",
                         name, bits);
    if (lib->field(tiff, TIFFTAG_TILEWIDTH, &width) &&
        lib->field(tiff, TIFFTAG_TILELENGTH, &height))
        return image_check_size(name, width, height); /* of a tile, which libtiff allocates */
    return MIEN_OK;
}

/* Puts white below: libtiff has multiplied the colours by alpha, white adds what alpha leaves. */
static uint8_t over_white(uint32_t pixel, int c) {
    const uint32_t sum = (pixel >> (8 * c) & 255) + 255 - TIFFGetA(pixel);
    return (uint8_t)(sum < 255 ? sum : 255);
}

static void paint(const uint32_t *raster, size_t pixels, int channels, uint8_t *out) {
    if (channels == 1) /* apart, which compilers turn into vector code */
        for (size_t i = 0; i < pixels; i++)
            out[i] = over_white(raster[i], 0);
    else
        for (size_t i = 0; i < pixels; i++)
            for (int c = 0; c < 3; c++)
                out[3 * i + (size_t)c] = over_white(raster[i], c);
}

/* Whether the strips hold the very bytes of a picture of 8-bit gray or RGB. */
static bool is_plain(const tiff_library *lib, TIFF *tiff, int channels) {
    uint16_t bits = 1, samples = 1, kind = 0, planes = PLANARCONFIG_CONTIG;
    lib->field_or_default(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    lib->field_or_default(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    lib->field_or_default(tiff, TIFFTAG_PLANARCONFIG, &planes);
    lib->field(tiff, TIFFTAG_PHOTOMETRIC, &kind);
    return !lib->tiled(tiff) && bits == 8 && samples == channels && planes == PLANARCONFIG_CONTIG &&
           kind == (channels == 1 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
}

/* Reads a plain file without the detour of libtiff's RGBA raster. */
static mien_status read_strips(const tiff_library *lib, TIFF *tiff, const char *name,
                               const mien_image *out) {
    uint32_t rows = 0, height = (uint32_t)out->height;
    const size_t row = (size_t)out->width * (size_t)out->channels;
    lib->field_or_default(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
    if (rows == 0 || rows > height) rows = height;
    for (uint32_t y = 0, i = 0; y < height; y += rows, i++) {
        const tmsize_t size = (tmsize_t)(row * (height - y < rows ? height - y : rows));
        if (lib->strip(tiff, i, out->pixels + y * row, size) != size)
            return MIEN_FAIL(FORMAT, DAMAGED, name);
    }
    return MIEN_OK;
}

static mien_status read_pixels(const tiff_library *lib, TIFF *tiff, const char *name,
                               mien_image *out, int *orientation) {
    uint32_t width = 0, height = 0, *raster = NULL;
    uint16_t turned = ORIENTATION_TOPLEFT, kind = 0;
    mien_status status;
    lib->field(tiff, TIFFTAG_IMAGEWIDTH, &width);
    lib->field(tiff, TIFFTAG_IMAGELENGTH, &height);
    lib->field(tiff, TIFFTAG_PHOTOMETRIC, &kind);
    lib->field_or_default(tiff, TIFFTAG_ORIENTATION, &turned);
    MIEN_TRY(image_check_size(name, width, height));
    MIEN_TRY(check_kind(lib, tiff, name));
    const size_t pixels = (size_t)width * height;
    const int channels = kind <= PHOTOMETRIC_MINISBLACK ? 1 : 3;
    if (is_plain(lib, tiff, channels)) {
        MIEN_TRY(image_allocate((int)width, (int)height, channels, out));
        if (turned <= 8) *orientation = turned;
        return read_strips(lib, tiff, name, out);
    }
    MIEN_TRY(mien_new(&raster, pixels, sizeof *raster));
    /* in the file's own orientation: decode.c turns the picture */
    if (!lib->read(tiff, width, height, raster, turned, 1)) {
        status = MIEN_FAIL(FORMAT, DAMAGED, name);
        goto out;
    }
    MIEN_GO(image_allocate((int)width, (int)height, channels, out));
    paint(raster, pixels, channels, out->pixels);
    if (turned <= 8) *orientation = turned;
out:
    mien_free(raster);
    return status;
}

static mien_status decode_tiff(const image_source *from, mien_image *out, int *orientation) {
    static const char *const names[] = {"TIFFClientOpen",
                                        "TIFFClose",
                                        "TIFFGetField",
                                        "TIFFGetFieldDefaulted",
                                        "TIFFReadRGBAImageOriented",
                                        "TIFFReadEncodedStrip",
                                        "TIFFIsTiled",
                                        "TIFFSetErrorHandler",
                                        "TIFFSetWarningHandler"};
    tiff_library lib;
    tiff_file file = {from, 0};
    MIEN_TRY(image_library(from, "libtiff.so.6", "libtiff6", names, sizeof names / sizeof names[0],
                           &lib));
    lib.on_error(NULL); /* it would print; our message names the file */
    lib.on_warning(NULL);
    TIFF *tiff = lib.open(from->name, "rm", (thandle_t)&file, on_read, on_write, on_seek, on_close,
                          on_size, NULL, NULL);
    if (!tiff)
        return MIEN_FAIL(FORMAT, "'%s' cannot be decoded: its TIFF header is damaged or cut short",
                         from->name);
    const mien_status status = read_pixels(&lib, tiff, from->name, out, orientation);
    lib.close(tiff);
    return status;
}

static bool is_tiff(const uint8_t *bytes, size_t size) {
    return size >= 4 && (memcmp(bytes, "II*\0", 4) == 0 || memcmp(bytes, "MM\0*", 4) == 0);
}

const image_format image_tiff = {"TIFF", ".tif .tiff", true, is_tiff, decode_tiff};
