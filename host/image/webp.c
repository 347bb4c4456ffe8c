/* WebP, decoded by libwebp: lossy and lossless, alpha composited onto white. */
#include <string.h>

#include <webp/decode.h>

#include "host/image/formats.h"

typedef struct webp_library {
    __typeof__(&WebPGetFeaturesInternal) features;
    __typeof__(&WebPDecodeRGBInto) rgb;
    __typeof__(&WebPDecodeRGBAInto) rgba;
} webp_library;

static uint32_t little(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The orientation in the chunk EXIF, which some programs begin with "Exif\0\0" as in a JPEG. */
static int orientation_of(const uint8_t *bytes, size_t size) {
    for (size_t at = 12; size - at >= 8;) {
        const size_t length = little(bytes + at + 4), rest = size - at - 8;
        if (length > rest) return 1;
        const uint8_t *data = bytes + at + 8;
        const size_t skip = length >= 6 && memcmp(data, "Exif\0\0", 6) == 0 ? 6 : 0;
        if (memcmp(bytes + at, "EXIF", 4) == 0)
            return image_exif_orientation(data + skip, length - skip);
        at += 8 + length;
        if (length & 1 && at < size) at++;
    }
    return 1;
}

static mien_status decode_webp(const image_source *from, mien_image *out, int *orientation) {
    static const char *const names[] = {"WebPGetFeaturesInternal", "WebPDecodeRGBInto",
                                        "WebPDecodeRGBAInto"};
    webp_library webp;
    WebPBitstreamFeatures info;
    MIEN_TRY(image_library(from, "libwebp.so.7", "libwebp7", names, sizeof names / sizeof names[0],
                           &webp));
    if (from->size < 12 || little(from->bytes + 4) > from->size - 8)
        return image_cut_short(from->name);
    if (webp.features(from->bytes, from->size, &info, WEBP_DECODER_ABI_VERSION) != VP8_STATUS_OK)
        return MIEN_FAIL(FORMAT, "'%s' cannot be decoded: its WebP header is damaged", from->name);
    if (info.has_animation)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is an animated WebP, which is not supported: save one frame as PNG",
                         from->name);
    MIEN_TRY(image_check_size(from->name, (unsigned)info.width, (unsigned)info.height));
    const int samples = info.has_alpha ? 4 : 3;
    MIEN_TRY(image_allocate(info.width, info.height, samples, out));
    const size_t pixels = (size_t)info.width * (size_t)info.height;
    const uint8_t *done = (info.has_alpha ? webp.rgba : webp.rgb)(
        from->bytes, from->size, out->pixels, pixels * (size_t)samples, info.width * samples);
    if (!done)
        return MIEN_FAIL(FORMAT, "'%s' cannot be decoded: its WebP data are damaged or cut short",
                         from->name);
    out->channels = 3;
    if (info.has_alpha) image_over_white(out->pixels, pixels, 3, out->pixels);
    *orientation = orientation_of(from->bytes, from->size);
    return MIEN_OK;
}

static bool is_webp(const uint8_t *bytes, size_t size) {
    return size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0;
}

const image_format image_webp = {"WebP", ".webp", true, is_webp, decode_webp};
