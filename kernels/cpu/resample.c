/* Resizing of images. The gradient is gathered, for each input pixel from the outputs that read it
 * and in their order, so that no two threads write the same element. */
#include "kernels/cpu/cpu.h"

#include <string.h>

static const real *pixel(const real *image, cpu_dims d, int h, int w) {
    return image + ((size_t)h * (size_t)d.w + (size_t)w) * (size_t)d.block;
}

void CPU(resample_forward)(real *y, const real *x, cpu_dims yd, cpu_dims xd, bool bilinear) {
    const int planes = xd.n * (xd.c / xd.block);
    const size_t in = (size_t)xd.h * (size_t)xd.w * (size_t)xd.block;
#pragma omp parallel for schedule(static)
    for (int line = 0; line < planes * yd.h; line++) {
        const real *image = x + (size_t)(line / yd.h) * in;
        const body_tap v = body_resample_tap(line % yd.h, xd.h, yd.h, bilinear);
        real *to = y + (size_t)line * (size_t)yd.w * (size_t)xd.block;
        for (int ow = 0; ow < yd.w; ow++, to += xd.block) {
            const body_tap u = body_resample_tap(ow, xd.w, yd.w, bilinear);
            const real *a = pixel(image, xd, v.low, u.low), *b = pixel(image, xd, v.low, u.high);
            const real *c = pixel(image, xd, v.high, u.low), *d = pixel(image, xd, v.high, u.high);
            if (!bilinear) {
                memcpy(to, a, sizeof(real) * (size_t)xd.block);
                continue;
            }
#pragma omp simd
            for (int k = 0; k < xd.block; k++)
                to[k] = body_between(body_between(a[k], b[k], u.weight),
                                     body_between(c[k], d[k], u.weight), v.weight);
        }
    }
}

/* Adds to one pixel of dx the gradients of the outputs that read it. */
static void gather_pixel(real *to, const real *image, cpu_dims yd, cpu_dims xd, int h, int w,
                         bool bilinear) {
    int h0, h1, w0, w1;
    body_resample_outputs(h, xd.h, yd.h, bilinear, &h0, &h1);
    body_resample_outputs(w, xd.w, yd.w, bilinear, &w0, &w1);
    for (int oh = h0; oh < h1; oh++) {
        const real down = body_tap_share(body_resample_tap(oh, xd.h, yd.h, bilinear), h);
        for (int ow = w0; ow < w1; ow++) {
            const real across = body_tap_share(body_resample_tap(ow, xd.w, yd.w, bilinear), w);
            const real share = down * across;
            const real *from = pixel(image, yd, oh, ow);
#pragma omp simd
            for (int k = 0; k < xd.block; k++)
                to[k] = M_FMA(from[k], share, to[k]);
        }
    }
}

void CPU(resample_backward)(real *dx, const real *dy, cpu_dims xd, cpu_dims yd, bool bilinear,
                            bool accumulate) {
    const int planes = xd.n * (xd.c / xd.block);
    const size_t size = (size_t)yd.h * (size_t)yd.w * (size_t)xd.block;
#pragma omp parallel for schedule(static)
    for (int line = 0; line < planes * xd.h; line++) {
        const real *image = dy + (size_t)(line / xd.h) * size;
        real *to = dx + (size_t)line * (size_t)xd.w * (size_t)xd.block;
        for (int w = 0; w < xd.w; w++, to += xd.block) {
            if (!accumulate) memset(to, 0, sizeof(real) * (size_t)xd.block);
            gather_pixel(to, image, yd, xd, line % xd.h, w, bilinear);
        }
    }
}
