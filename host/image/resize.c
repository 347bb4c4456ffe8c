#include "host/image/resize.h"

#include <math.h>

/* Mean of a source interval along one axis: from `at` to `to`, both in source pixels. */
static double area(const uint8_t *in, int h, int w, double y0, double y1, double x0, double x1) {
    double sum = 0, weight = 0;
    for (int y = (int)y0; y < h && y < y1; y++) {
        const double wy = fmin(y + 1, y1) - fmax(y, y0);
        for (int x = (int)x0; x < w && x < x1; x++) {
            const double wx = fmin(x + 1, x1) - fmax(x, x0);
            sum += wy * wx * in[y * w + x];
            weight += wy * wx;
        }
    }
    return weight > 0 ? sum / weight : 0;
}

static double bilinear(const uint8_t *in, int h, int w, double y, double x) {
    const double cy = fmin(fmax(y, 0), h - 1), cx = fmin(fmax(x, 0), w - 1);
    const int y0 = (int)cy, x0 = (int)cx;
    const int y1 = y0 + 1 < h ? y0 + 1 : y0, x1 = x0 + 1 < w ? x0 + 1 : x0;
    const double fy = cy - y0, fx = cx - x0;
    const double top = in[y0 * w + x0] * (1 - fx) + in[y0 * w + x1] * fx;
    const double bottom = in[y1 * w + x0] * (1 - fx) + in[y1 * w + x1] * fx;
    return top * (1 - fy) + bottom * fy;
}

void mien_resize_gray(const uint8_t *in, int h, int w, uint8_t *out, int oh, int ow) {
    const double sy = (double)h / oh, sx = (double)w / ow;
    for (int y = 0; y < oh; y++)
        for (int x = 0; x < ow; x++) {
            const double v = sy > 1 || sx > 1
                                 ? area(in, h, w, y * sy, (y + 1) * sy, x * sx, (x + 1) * sx)
                                 : bilinear(in, h, w, (y + 0.5) * sy - 0.5, (x + 0.5) * sx - 0.5);
            out[y * ow + x] = (uint8_t)(v + 0.5);
        }
}
