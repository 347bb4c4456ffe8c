/* A decoded frame to gray and RGB. Gray is read from the luma plane itself; FFmpeg's scaler makes
 * RGB. */
#include <libavutil/display.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/pixdesc.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/image/formats.h"
#include "host/video/av/av.h"

/* The scaler's fast loops write whole vectors, past the end of a row. */
enum { GAP = 64, TILE = 32 };

video_turn video_turn_of(const int32_t matrix[9]) {
    const int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
    video_turn turn = {0};
    turn.sideways = llabs(b) + llabs(c) > llabs(a) + llabs(d);
    turn.back_x = turn.sideways ? c < 0 : a < 0;
    turn.back_y = turn.sideways ? b < 0 : d < 0;
    return turn;
}

int video_matrix(int named, int width, int height) {
    switch (named) {
    case AVCOL_SPC_BT709:
        return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
        return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
        return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M:
        return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return SWS_CS_BT2020;
    default:
        return width >= 1024 || height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    }
}

/* Where the pixels of a decoded row go in the upright image. */
typedef struct layout {
    ptrdiff_t start, step_x, step_y; /* in pixels */
} layout;

static layout lay_out(video_turn turn, int width, int height) {
    const ptrdiff_t w = turn.sideways ? height : width, h = turn.sideways ? width : height;
    const ptrdiff_t x = turn.back_x ? -1 : 1, y = turn.back_y ? -w : w;
    return (layout){(turn.back_x ? w - 1 : 0) + (turn.back_y ? (h - 1) * w : 0),
                    turn.sideways ? y : x, turn.sideways ? x : y};
}

/* A tile of a picture that lies on its side: the upright row is written along. */
static void turn_tile(const uint8_t *from, ptrdiff_t stride, int width, int height, int channels,
                      ptrdiff_t step_x, ptrdiff_t step_y, uint8_t *out) {
    for (int x = 0; x < width; x++) {
        const uint8_t *at = from + x * channels;
        uint8_t *to = out + x * step_x * channels;
        if (channels == 1)
            for (int y = 0; y < height; y++, at += stride, to += step_y)
                *to = *at;
        else
            for (int y = 0; y < height; y++, at += stride, to += step_y * 3) {
                to[0] = at[0];
                to[1] = at[1];
                to[2] = at[2];
            }
    }
}

/* Copies rows of 1 or 3 channels to where they belong. */
static void turn_pixels(const uint8_t *from, ptrdiff_t stride, int width, int height, int channels,
                        layout to, uint8_t *out) {
    if (to.step_x == 1) {
        for (int y = 0; y < height; y++)
            memcpy(out + (to.start + y * to.step_y) * channels, from + y * stride,
                   (size_t)width * (size_t)channels);
        return;
    }
    for (int y = 0; y < height; y += TILE)
        for (int x = 0; x < width; x += TILE)
            turn_tile(from + y * stride + x * channels, stride, width - x < TILE ? width - x : TILE,
                      height - y < TILE ? height - y : TILE, channels, to.step_x, to.step_y,
                      out + (to.start + x * to.step_x + y * to.step_y) * channels);
}

/* ---- luma ---- */

static bool has_luma(const AVPixFmtDescriptor *form, int format) {
    const uint64_t other = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM |
                           AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_FLOAT;
    return !(form->flags & other) && form->comp[0].depth >= 8 && form->comp[0].depth <= 16 &&
           format != AV_PIX_FMT_XYZ12LE && format != AV_PIX_FMT_XYZ12BE;
}

static bool is_full_range(const AVFrame *frame, const AVPixFmtDescriptor *form) {
    switch (frame->format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ411P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ444P:
        return true;
    default:
        break;
    }
    if (frame->color_range != AVCOL_RANGE_UNSPECIFIED)
        return frame->color_range == AVCOL_RANGE_JPEG;
    return form->nb_components < 3; /* gray without chroma is full, unless it says otherwise */
}

/* levels[value in the file] is the luma in 0..255. */
static mien_status make_levels(video_picture *picture, int depth, bool full) {
    if (picture->levels && picture->levels_depth == depth && picture->levels_full == full)
        return MIEN_OK;
    const int count = 1 << depth, unit = 1 << (depth - 8);
    const int black = full ? 0 : 16 * unit, range = full ? count - 1 : 219 * unit;
    if (!picture->levels) MIEN_TRY(mien_new(&picture->levels, 65536, 1));
    for (int i = 0; i < count; i++) {
        const int level = i <= black ? 0 : ((i - black) * 255 + range / 2) / range;
        picture->levels[i] = (uint8_t)(level > 255 ? 255 : level);
    }
    picture->levels_depth = depth;
    picture->levels_full = full;
    return MIEN_OK;
}

static unsigned luma_at(const uint8_t *at, const AVComponentDescriptor *luma, bool big) {
    const unsigned bits = luma->depth + luma->shift > 8 ? (big ? AV_RB16(at) : AV_RL16(at)) : *at;
    return bits >> luma->shift & ((1u << luma->depth) - 1);
}

static mien_status take_luma(video_picture *picture, const AVFrame *from,
                             const AVPixFmtDescriptor *form, layout to, uint8_t *out) {
    const AVComponentDescriptor *luma = &form->comp[0];
    const bool big = form->flags & AV_PIX_FMT_FLAG_BE, full = is_full_range(from, form);
    const ptrdiff_t stride = from->linesize[luma->plane];
    const uint8_t *plane = from->data[luma->plane] + luma->offset;
    MIEN_TRY(make_levels(picture, luma->depth, full));
    const uint8_t *levels = picture->levels;
    if (luma->depth == 8 && luma->step == 1 && luma->shift == 0) {
        const size_t count = (size_t)from->width * (size_t)from->height;
        turn_pixels(plane, stride, from->width, from->height, 1, to, out);
        for (size_t i = 0; !full && i < count; i++)
            out[i] = levels[out[i]];
        return MIEN_OK;
    }
    for (int y = 0; y < from->height; y++) {
        const uint8_t *row = plane + y * stride;
        uint8_t *at = out + to.start + y * to.step_y;
        for (int x = 0; x < from->width; x++, at += to.step_x)
            *at = levels[luma_at(row + x * luma->step, luma, big)];
    }
    return MIEN_OK;
}

/* ---- colour ---- */

static mien_status make_scaler(video_picture *picture, const AVFrame *from,
                               const AVPixFmtDescriptor *form, int to) {
    static const struct {
        int old, now;
    } same[] = {{AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV420P},
                {AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV422P},
                {AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUV444P},
                {AV_PIX_FMT_YUVJ440P, AV_PIX_FMT_YUV440P},
                {AV_PIX_FMT_YUVJ411P, AV_PIX_FMT_YUV411P}};
    const int space = video_matrix(from->colorspace, from->width, from->height);
    const int full = is_full_range(from, form);
    if (picture->scaler && picture->width == from->width && picture->height == from->height &&
        picture->format == from->format && picture->space == space && picture->full == full &&
        picture->to == to)
        return MIEN_OK;
    int format = from->format;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (format == same[i].old) format = same[i].now;
    sws_freeContext(picture->scaler);
    picture->scaler =
        sws_getContext(from->width, from->height, format, from->width, from->height, to,
                       SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!picture->scaler)
        return MIEN_FAIL(UNSUPPORTED, "a video of pixels '%s' is not supported", form->name);
    const int *matrix = sws_getCoefficients(space);
    sws_setColorspaceDetails(picture->scaler, matrix, full, matrix, 1, 0, 1 << 16, 1 << 16);
    picture->width = from->width;
    picture->height = from->height;
    picture->format = from->format;
    picture->space = space;
    picture->full = full;
    picture->to = to;
    return MIEN_OK;
}

/* Makes picture->rgb: rows of RGB, *stride bytes apart. */
static mien_status take_rgb(video_picture *picture, const AVFrame *from,
                            const AVPixFmtDescriptor *form, ptrdiff_t *stride) {
    const bool alpha = (form->flags & AV_PIX_FMT_FLAG_ALPHA) &&
                       (form->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
    const size_t row = ((size_t)from->width * (alpha ? 4 : 3) + GAP) & ~(size_t)(GAP - 1);
    const size_t need = row * (size_t)from->height + GAP;
    MIEN_TRY(make_scaler(picture, from, form, alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24));
    if (need > picture->rgb_capacity) {
        mien_free(picture->rgb);
        picture->rgb = NULL;
        picture->rgb_capacity = 0;
        MIEN_TRY(mien_new_aligned(&picture->rgb, need));
        picture->rgb_capacity = need;
    }
    uint8_t *const to[4] = {picture->rgb};
    const int strides[4] = {(int)row};
    const int rows = sws_scale(picture->scaler, (const uint8_t *const *)from->data, from->linesize,
                               0, from->height, to, strides);
    if (rows != from->height) return MIEN_FAIL(FORMAT, "a frame cannot be converted to RGB");
    for (int y = 0; alpha && y < from->height; y++)
        image_over_white(picture->rgb + (size_t)y * row, (size_t)from->width, 3,
                         picture->rgb + (size_t)y * row);
    *stride = (ptrdiff_t)row;
    return MIEN_OK;
}

/* Gray of picture->rgb, in its place: colour must have been taken from it before. */
static void take_gray(video_picture *picture, ptrdiff_t stride, const AVFrame *from, layout to,
                      uint8_t *out) {
    for (int y = 0; y < from->height; y++)
        mien_image_to_gray(picture->rgb + y * stride, (size_t)from->width,
                           picture->rgb + y * stride);
    turn_pixels(picture->rgb, stride, from->width, from->height, 1, to, out);
}

mien_status video_picture_take(video_picture *picture, const AVFrame *from, video_turn turn,
                               bool colour, mien_frame *to) {
    const AVPixFmtDescriptor *form = av_pix_fmt_desc_get(from->format);
    if (!form || !from->data[0]) return MIEN_FAIL(FORMAT, "a frame without pixels");
    const int width = turn.sideways ? from->height : from->width;
    const int height = turn.sideways ? from->width : from->height;
    MIEN_TRY(mien_frame_resize(to, width, height, colour));
    const layout places = lay_out(turn, from->width, from->height);
    const bool luma = has_luma(form, from->format);
    ptrdiff_t stride = 0;
    if (luma) MIEN_TRY(take_luma(picture, from, form, places, to->gray.pixels));
    if (colour || !luma) MIEN_TRY(take_rgb(picture, from, form, &stride));
    if (colour)
        turn_pixels(picture->rgb, stride, from->width, from->height, 3, places, to->colour.pixels);
    if (!luma) take_gray(picture, stride, from, places, to->gray.pixels);
    return MIEN_OK;
}

void video_picture_release(video_picture *picture) {
    sws_freeContext(picture->scaler);
    mien_free(picture->rgb);
    mien_free(picture->levels);
    *picture = (video_picture){0};
}
