#include "host/image/crop.h"

#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/image/resize.h"

mien_rect mien_crop_rect(mien_rect box, mien_crop rule) {
    double width = box.width, height = box.height;
    if (rule.square) width = height = width > height ? width : height;
    width *= 1 + 2 * rule.margin;
    height *= 1 + 2 * rule.margin;
    mien_rect out = {(int)lround(box.x + (box.width - width) / 2),
                     (int)lround(box.y + (box.height - height) / 2), (int)lround(width),
                     (int)lround(height)};
    if (out.width < 1) out.width = 1;
    if (out.height < 1) out.height = 1;
    return out;
}

static int clamp(int value, int most) {
    return value < 0 ? 0 : value > most ? most : value;
}

/* Copies a part of the photo, repeating its edge pixels where the part lies outside. */
static void copy_part(const mien_image *photo, mien_rect part, uint8_t *out) {
    const int bytes = photo->channels;
    for (int y = 0; y < part.height; y++) {
        const uint8_t *row = photo->pixels + (size_t)clamp(part.y + y, photo->height - 1) *
                                                 (size_t)photo->width * (size_t)bytes;
        for (int x = 0; x < part.width; x++, out += bytes)
            memcpy(out, row + (size_t)clamp(part.x + x, photo->width - 1) * (size_t)bytes,
                   (size_t)bytes);
    }
}

/* Copies a part of the photo that is turned about its middle, interpolating between pixels. */
static void copy_turned(const mien_image *photo, mien_rect part, double turn, uint8_t *out) {
    const double middle_x = part.x + part.width / 2.0, middle_y = part.y + part.height / 2.0;
    const double along = cos(turn), down = sin(turn);
    const size_t bytes = (size_t)photo->channels, row = (size_t)photo->width * bytes;
    for (int y = 0; y < part.height; y++)
        for (int x = 0; x < part.width; x++, out += bytes) {
            const double dx = x + 0.5 - part.width / 2.0, dy = y + 0.5 - part.height / 2.0;
            const double from_x = middle_x + dx * along - dy * down - 0.5,
                         from_y = middle_y + dx * down + dy * along - 0.5;
            const int left = (int)floor(from_x), top = (int)floor(from_y);
            const double u = from_x - left, v = from_y - top;
            const size_t xs[2] = {(size_t)clamp(left, photo->width - 1) * bytes,
                                  (size_t)clamp(left + 1, photo->width - 1) * bytes};
            const uint8_t *ys[2] = {photo->pixels + (size_t)clamp(top, photo->height - 1) * row,
                                    photo->pixels +
                                        (size_t)clamp(top + 1, photo->height - 1) * row};
            for (size_t c = 0; c < bytes; c++) {
                const double upper = (1 - u) * ys[0][xs[0] + c] + u * ys[0][xs[1] + c];
                const double lower = (1 - u) * ys[1][xs[0] + c] + u * ys[1][xs[1] + c];
                out[c] = (uint8_t)((1 - v) * upper + v * lower + 0.5);
            }
        }
}

mien_status mien_crop_face(const mien_image *photo, mien_rect box, mien_crop rule, int height,
                           int width, int channels, uint8_t *out) {
    return mien_crop_turned(photo, box, rule, 0, height, width, channels, out);
}

mien_status mien_crop_turned(const mien_image *photo, mien_rect box, mien_crop rule, double turn,
                             int height, int width, int channels, uint8_t *out) {
    const mien_rect part = mien_crop_rect(box, rule);
    const size_t pixels = (size_t)part.width * (size_t)part.height;
    uint8_t *cut;
    if (channels > photo->channels || (channels != 1 && channels != 3))
        return MIEN_FAIL(INVALID, "cannot crop a face with %d channels from a picture with %d",
                         channels, photo->channels);
    MIEN_TRY(mien_new(&cut, pixels, (size_t)photo->channels));
    if (turn == 0)
        copy_part(photo, part, cut);
    else
        copy_turned(photo, part, turn, cut);
    if (channels < photo->channels) mien_image_to_gray(cut, pixels, cut);
    mien_resize(cut, part.height, part.width, channels, out, height, width);
    mien_free(cut);
    return MIEN_OK;
}
