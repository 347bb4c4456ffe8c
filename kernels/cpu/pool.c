#include "kernels/cpu/cpu.h"

#include <string.h>

static body_window window(cpu_window p, int oh, int ow, cpu_dims xd) {
    return body_pool_window(oh, ow, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.pad_top,
                            p.pad_left, xd.h, xd.w);
}

void CPU(average_pool_forward)(real *y, const real *x, cpu_dims xd, cpu_dims yd, cpu_window p) {
    const int planes = xd.n * (xd.c / xd.block);
#pragma omp parallel for schedule(static)
    for (int plane = 0; plane < planes; plane++)
        for (int oh = 0; oh < yd.h; oh++)
            for (int ow = 0; ow < yd.w; ow++) {
                const body_window win = window(p, oh, ow, xd);
                real *to =
                    y + (((size_t)plane * (size_t)yd.h + (size_t)oh) * (size_t)yd.w + (size_t)ow) *
                            (size_t)yd.block;
                memset(to, 0, sizeof(real) * (size_t)yd.block);
                for (int h = win.h0; h < win.h1; h++)
                    for (int w = win.w0; w < win.w1; w++) {
                        const real *from =
                            x + (((size_t)plane * (size_t)xd.h + (size_t)h) * (size_t)xd.w +
                                 (size_t)w) *
                                    (size_t)xd.block;
                        for (int k = 0; k < xd.block; k++)
                            to[k] += from[k];
                    }
                const real share = body_pool_inverse_area(win);
                for (int k = 0; k < yd.block; k++)
                    to[k] *= share;
            }
}

void CPU(average_pool_backward)(real *dx, const real *dy, cpu_dims xd, cpu_dims yd, cpu_window p,
                                bool accumulate) {
    const int planes = xd.n * (xd.c / xd.block);
    const size_t in = (size_t)(xd.h * xd.w) * (size_t)xd.block;
#pragma omp parallel for schedule(static)
    for (int plane = 0; plane < planes; plane++) {
        real *image = dx + (size_t)plane * in;
        if (!accumulate) memset(image, 0, sizeof(real) * in);
        for (int oh = 0; oh < yd.h; oh++)
            for (int ow = 0; ow < yd.w; ow++) {
                const body_window win = window(p, oh, ow, xd);
                const real share = body_pool_inverse_area(win);
                const real *from =
                    dy + (((size_t)plane * (size_t)yd.h + (size_t)oh) * (size_t)yd.w + (size_t)ow) *
                             (size_t)yd.block;
                for (int h = win.h0; h < win.h1; h++)
                    for (int w = win.w0; w < win.w1; w++) {
                        real *to =
                            image + ((size_t)h * (size_t)xd.w + (size_t)w) * (size_t)xd.block;
                        for (int k = 0; k < xd.block; k++)
                            to[k] = M_FMA(from[k], share, to[k]);
                    }
            }
    }
}
