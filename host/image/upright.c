/* EXIF orientation: read from the file, and applied to the pixels. */
#include <string.h>

#include "host/base/memory.h"
#include "host/image/formats.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY = 12 };

static uint32_t number(const uint8_t *at, int bytes, bool big) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[big ? i : bytes - 1 - i];
    return value;
}

int image_exif_orientation(const uint8_t *tiff, size_t size) {
    if (size < 8) return 1;
    const bool big = memcmp(tiff, "MM\0*", 4) == 0;
    if (!big && memcmp(tiff, "II*\0", 4) != 0) return 1;
    const size_t ifd = number(tiff + 4, 4, big);
    if (ifd > size || size - ifd < 2) return 1;
    const size_t count = number(tiff + ifd, 2, big), fits = (size - ifd - 2) / ENTRY;
    for (size_t i = 0; i < count && i < fits; i++) {
        const uint8_t *entry = tiff + ifd + 2 + i * ENTRY;
        if (number(entry, 2, big) != TAG_ORIENTATION) continue;
        const uint32_t value = number(entry + 8, 2, big);
        const bool valid = number(entry + 2, 2, big) == TYPE_SHORT && value >= 1 && value <= 8;
        return valid ? (int)value : 1;
    }
    return 1;
}

mien_status image_turn_upright(mien_image *image, int orientation) {
    mien_image up;
    const int w = image->width, h = image->height, channels = image->channels;
    const bool sideways = orientation >= 5;
    /* whether the stored column and row run backwards along the upright picture's axes */
    const bool back_x =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool back_y =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    if (orientation == 1) return MIEN_OK;
    MIEN_TRY(image_allocate(sideways ? h : w, sideways ? w : h, channels, &up));
    uint8_t *to = up.pixels;
    for (int y = 0; y < up.height; y++)
        for (int x = 0; x < up.width; x++, to += channels) {
            const int sx = sideways ? y : x, sy = sideways ? x : y;
            const size_t row = (size_t)(back_y ? h - 1 - sy : sy);
            const size_t column = (size_t)(back_x ? w - 1 - sx : sx);
            memcpy(to, image->pixels + (row * (size_t)w + column) * (size_t)channels,
                   (size_t)channels);
        }
    mien_image_release(image);
    *image = up;
    return MIEN_OK;
}
