#include "host/image/resize.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { CHANNELS = 4 };

typedef struct source {
    const uint8_t *pixels;
    int h, w, channels;
} source;

/* A source interval along one axis: pixels first .. end - 1. The pixels at its ends are weighted by
 * the part of them that lies inside, all others by 1. */
typedef struct span {
    int first, end;
    double head, tail; /* weights of the first and the last pixel */
} span;

static span span_of(double from, double to, int size) {
    span s = {(int)from, (int)from, 0, 0};
    while (s.end < size && s.end < to)
        s.end++;
    const int last = s.end - 1;
    s.head = fmin(s.first + 1, to) - fmax(s.first, from);
    s.tail = fmin(last + 1, to) - fmax(last, from);
    return s;
}

static double weight_at(const span *s, int at) {
    return at == s->first ? s->head : at == s->end - 1 ? s->tail : 1;
}

/* sum += weight * pixel for each channel. The order of these sums decides the last bit of a result:
 * row by row, and from left to right in a row. */
static inline void add_pixel(const uint8_t *pixel, int channels, double weight, double *sum) {
    for (int c = 0; c < channels; c++)
        sum[c] += weight * pixel[c];
}

/* Mean of the pixels in two spans. `channels` is a constant at the usual call sites, so that the
 * sums stay in registers. */
static inline void area(const source *in, const span *ys, const span *xs, int channels,
                        double *mean) {
    double sum[CHANNELS] = {0}, all = 0;
    for (int y = ys->first; y < ys->end; y++) {
        const double wy = weight_at(ys, y);
        const uint8_t *p =
            in->pixels + ((size_t)y * (size_t)in->w + (size_t)xs->first) * (size_t)channels;
        const int inner = xs->end - 1;
        add_pixel(p, channels, wy * xs->head, sum);
        all += wy * xs->head;
        for (int x = xs->first + 1; x < inner; x++) {
            p += channels;
            add_pixel(p, channels, wy, sum);
            all += wy;
        }
        if (inner == xs->first) continue;
        add_pixel(p + channels, channels, wy * xs->tail, sum);
        all += wy * xs->tail;
    }
    for (int c = 0; c < channels; c++)
        mean[c] = all > 0 ? sum[c] / all : 0;
}

static void area_of(const source *in, const span *ys, const span *xs, double *mean) {
    if (in->channels == 1)
        area(in, ys, xs, 1, mean);
    else if (in->channels == 3)
        area(in, ys, xs, 3, mean);
    else
        area(in, ys, xs, in->channels, mean);
}

static void bilinear(const source *in, double y, double x, double *value) {
    const int h = in->h, w = in->w, channels = in->channels;
    const double cy = fmin(fmax(y, 0), h - 1), cx = fmin(fmax(x, 0), w - 1);
    const int y0 = (int)cy, x0 = (int)cx;
    const int y1 = y0 + 1 < h ? y0 + 1 : y0, x1 = x0 + 1 < w ? x0 + 1 : x0;
    const double fy = cy - y0, fx = cx - x0;
    const uint8_t *upper = in->pixels + (size_t)y0 * (size_t)w * (size_t)channels;
    const uint8_t *lower = in->pixels + (size_t)y1 * (size_t)w * (size_t)channels;
    for (int c = 0; c < channels; c++) {
        const size_t left = (size_t)x0 * (size_t)channels + (size_t)c;
        const size_t right = (size_t)x1 * (size_t)channels + (size_t)c;
        const double top = upper[left] * (1 - fx) + upper[right] * fx;
        const double bottom = lower[left] * (1 - fx) + lower[right] * fx;
        value[c] = top * (1 - fy) + bottom * fy;
    }
}

void mien_resize(const uint8_t *pixels, int h, int w, int channels, uint8_t *out, int oh, int ow) {
    const source in = {pixels, h, w, channels};
    const double sy = (double)h / oh, sx = (double)w / ow;
    if (h == oh && w == ow) {
        memcpy(out, pixels, (size_t)h * (size_t)w * (size_t)channels);
        return;
    }
    for (int y = 0; y < oh; y++) {
        const span ys = span_of(y * sy, (y + 1) * sy, h);
        for (int x = 0; x < ow; x++) {
            double value[CHANNELS];
            if (sy > 1 || sx > 1) {
                const span xs = span_of(x * sx, (x + 1) * sx, w);
                area_of(&in, &ys, &xs, value);
            } else {
                bilinear(&in, (y + 0.5) * sy - 0.5, (x + 0.5) * sx - 0.5, value);
            }
            for (int c = 0; c < channels; c++)
                *out++ = (uint8_t)(value[c] + 0.5);
        }
    }
}
