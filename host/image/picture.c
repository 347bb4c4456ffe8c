/* A picture's memory, and operations on pixels that the formats share. */
#include <pthread.h>

#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/image/formats.h"

enum { LARGE = 8000000 };

/* A progressive JPEG takes ten bytes per pixel while it is decoded: pictures above LARGE pixels are
 * decoded by one thread at a time, so that many threads need little more memory than one. */
static pthread_mutex_t large = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool holds_large;

mien_status image_check_size(const char *name, unsigned long long width,
                             unsigned long long height) {
    if (width == 0 || height == 0)
        return MIEN_FAIL(FORMAT, "'%s' is damaged: its picture has %llux%llu pixels", name, width,
                         height);
    if (width > MIEN_IMAGE_PIXELS_MAX || height > MIEN_IMAGE_PIXELS_MAX / width)
        return MIEN_FAIL(
            UNSUPPORTED,
            "'%s' has %llux%llu pixels, %.1f megapixels; the limit is %d: scale it down", name,
            width, height, (double)width * (double)height / 1e6, MIEN_IMAGE_PIXELS_MAX / 1000000);
    if (width * height > LARGE && !holds_large) {
        pthread_mutex_lock(&large);
        holds_large = true;
    }
    return MIEN_OK;
}

void image_leave_large(void) {
    if (!holds_large) return;
    holds_large = false;
    pthread_mutex_unlock(&large);
}

mien_status image_library(const image_source *from, const char *file, const char *package,
                          const char *const *names, size_t count, void *out) {
    const mien_status status = mien_library_load(file, package, names, count, out);
    return status == MIEN_OK ? status
                             : mien_fail_context(status, "'%s' cannot be read", from->name);
}

mien_status image_allocate(int width, int height, int channels, mien_image *out) {
    *out = (mien_image){width, height, channels, NULL};
    return mien_new(&out->pixels, (size_t)width * (size_t)height, (size_t)channels);
}

mien_status image_cut_short(const char *name) {
    return MIEN_FAIL(FORMAT, "'%s' is cut short: the file ends before the picture does", name);
}

void image_over_white(const uint8_t *row, size_t width, int channels, uint8_t *out) {
    for (size_t x = 0; x < width; x++, row += channels + 1, out += channels)
        for (int c = 0; c < channels; c++) {
            const int alpha = row[channels];
            out[c] = (uint8_t)((row[c] * alpha + 255 * (255 - alpha) + 127) / 255);
        }
}

void mien_image_to_gray(const uint8_t *colour, size_t count, uint8_t *gray) {
    for (size_t i = 0; i < count; i++, colour += 3)
        gray[i] =
            (uint8_t)((19595u * colour[0] + 38470u * colour[1] + 7471u * colour[2] + 32768u) >> 16);
}

void mien_image_release(mien_image *image) {
    mien_free(image->pixels);
    *image = (mien_image){0};
}
