#include "host/report/thumb.h"

#include <math.h>

#include "host/base/memory.h"
#include "host/image/encode.h"
#include "host/image/resize.h"
#include "host/report/svg.h"

/* From dark to bright, so that it reads in gray as well: stops of matplotlib's "inferno". */
static const double heat_stops[5][3] = {
    {0, 0, 4}, {87, 16, 110}, {188, 55, 84}, {249, 142, 9}, {252, 255, 164}};
static const double heat_opacity = 0.65;

bool mien_thumb_possible(mien_image_spec spec) {
    return spec.channels == 1 || spec.channels == 3;
}

static void put_base64(const uint8_t *bytes, size_t size, mien_text *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    mien_text_reserve(out, size / 3 * 4 + 4);
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? bytes[i + 1] << 8 : 0) |
                               (left > 2 ? bytes[i + 2] : 0);
        const char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                              left > 1 ? digits[three >> 6 & 63] : '=',
                              left > 2 ? digits[three & 63] : '='};
        mien_text_append(out, four, 4);
    }
}

static mien_status put_image(const mien_image *image, const char *alt, mien_text *out) {
    mien_text png = {0};
    mien_status status = mien_image_encode_png(image, &png);
    if (status == MIEN_OK) {
        mien_text_printf(out, "<img width='%d' height='%d' alt='", image->width, image->height);
        mien_html_escape(out, alt);
        mien_text_puts(out, "' src='data:image/png;base64,");
        put_base64((const uint8_t *)png.data, png.size, out);
        mien_text_puts(out, "'>");
        status = out->status;
    }
    mien_text_release(&png);
    return status;
}

static mien_status put_shrunk(mien_image *image, const char *alt, mien_text *out) {
    const int longer = image->width > image->height ? image->width : image->height;
    mien_image small = *image;
    if (longer <= MIEN_THUMB_SIDE) return put_image(image, alt, out);
    small.width = image->width * MIEN_THUMB_SIDE / longer;
    small.height = image->height * MIEN_THUMB_SIDE / longer;
    small.width += small.width == 0;
    small.height += small.height == 0;
    MIEN_TRY(mien_new(&small.pixels, (size_t)small.width * (size_t)small.height,
                      (size_t)small.channels));
    mien_resize(image->pixels, image->height, image->width, image->channels, small.pixels,
                small.height, small.width);
    const mien_status status = put_image(&small, alt, out);
    mien_image_release(&small);
    return status;
}

mien_status mien_thumb_put(mien_image_spec spec, const uint8_t *pixels, const char *alt,
                           mien_text *out) {
    mien_image image = {spec.width, spec.height, spec.channels, (uint8_t *)(uintptr_t)pixels};
    return put_shrunk(&image, alt, out);
}

static double heat_color(double heat, int c) {
    const double at = 4 * fmin(1, fmax(0, heat));
    const int i = at >= 4 ? 3 : (int)at;
    return heat_stops[i][c] + (at - i) * (heat_stops[i + 1][c] - heat_stops[i][c]);
}

mien_status mien_thumb_put_heat(mien_image_spec spec, const uint8_t *pixels, const float *heat,
                                const char *alt, mien_text *out) {
    mien_image image = {spec.width, spec.height, 3, NULL};
    const size_t count = (size_t)spec.width * (size_t)spec.height;
    MIEN_TRY(mien_new(&image.pixels, count, 3));
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < 3; c++) {
            const double own = pixels[i * (size_t)spec.channels + (size_t)(spec.channels > 1) * c];
            const double part = heat_opacity * (0.25 + 0.75 * (double)heat[i]);
            image.pixels[3 * i + (size_t)c] =
                (uint8_t)lround((1 - part) * own + part * heat_color((double)heat[i], c));
        }
    const mien_status status = put_shrunk(&image, alt, out);
    mien_image_release(&image);
    return status;
}
