/* ReLU in its general form, PReLU and the maximum of several values. */
#include "kernels/cpu/cpu.h"

void CPU(rectify_forward)(real *y, const real *x, size_t count, body_rectifier r) {
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        y[i] = body_rectify(x[i], r);
}

void CPU(rectify_backward)(real *dx, const real *dy, const real *x, size_t count, body_rectifier r,
                           bool accumulate) {
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++) {
        const real back = dy[i] * body_rectify_slope(x[i], r);
        dx[i] = accumulate ? dx[i] + back : back;
    }
}

void CPU(maximum)(real *y, const real *a, const real *b, size_t count) {
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        y[i] = body_greater(a[i], b[i]);
}

void CPU(maximum_backward)(real *dx, const real *dy, const real *y, const real *const *x, int which,
                           size_t count, bool accumulate) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) {
        bool wins = x[which][i] == y[i];
        for (int k = 0; k < which; k++)
            wins = wins && x[k][i] != y[i];
        const real back = wins ? dy[i] : 0;
        dx[i] = accumulate ? dx[i] + back : back;
    }
}

/* Splits a line's number into image n, channel block b and row h; `at` is its first element. */
#define EACH_LINE(d, line, n, b, h, at)                                                            \
    const int b = line / d.h % (d.c / d.block), n = line / d.h / (d.c / d.block), h = line % d.h;  \
    const size_t at = cpu_plane(d, n, b) + (size_t)h * (size_t)d.w * (size_t)d.block

void CPU(prelu_forward)(real *y, const real *x, cpu_dims d, const real *alpha, body_alpha shape) {
#pragma omp parallel for schedule(static)
    for (int line = 0; line < d.n * (d.c / d.block) * d.h; line++) {
        EACH_LINE(d, line, n, b, h, first);
        for (int w = 0; w < d.w; w++)
            for (int k = 0; k < d.block; k++) {
                const size_t at = first + (size_t)w * (size_t)d.block + (size_t)k;
                y[at] = body_prelu(x[at], alpha[body_alpha_at(shape, h, w, b * d.block + k)]);
            }
    }
}

void CPU(prelu_backward)(real *dx, const real *dy, const real *x, cpu_dims d, const real *alpha,
                         body_alpha shape, bool accumulate) {
#pragma omp parallel for schedule(static)
    for (int line = 0; line < d.n * (d.c / d.block) * d.h; line++) {
        EACH_LINE(d, line, n, b, h, first);
        for (int w = 0; w < d.w; w++)
            for (int k = 0; k < d.block; k++) {
                const size_t at = first + (size_t)w * (size_t)d.block + (size_t)k;
                const real back =
                    dy[at] *
                    body_prelu_slope(x[at], alpha[body_alpha_at(shape, h, w, b * d.block + k)]);
                dx[at] = accumulate ? dx[at] + back : back;
            }
    }
}

enum { LANES_MAX = 16 };

/* Sums channels c0 .. c0 + lanes - 1, which are adjacent, over all images and a part of their
 * pixels. */
static void add_up(double *sum, const real *dy, const real *x, cpu_dims d, int c0, int lanes,
                   body_window part) {
    for (int n = 0; n < d.n; n++)
        for (int h = part.h0; h < part.h1; h++)
            for (int w = part.w0; w < part.w1; w++) {
                const size_t at = cpu_plane(d, n, c0 / d.block) + (size_t)(c0 % d.block) +
                                  ((size_t)h * (size_t)d.w + (size_t)w) * (size_t)d.block;
#pragma omp simd
                for (int k = 0; k < lanes; k++)
                    sum[k] += (double)(dy[at + (size_t)k] * body_prelu_share(x[at + (size_t)k]));
            }
}

/* A task computes the parameters of a few channels at one position, or the one that all channels
 * share. */
void CPU(prelu_filter)(real *dalpha, const real *dy, const real *x, cpu_dims d, body_alpha shape,
                       bool accumulate) {
    const int lanes = d.block < LANES_MAX ? d.block : LANES_MAX;
    const int in_block = (d.block + lanes - 1) / lanes, groups = d.c / d.block * in_block;
    const int across = shape.c > 1 ? groups : 1;
#pragma omp parallel for schedule(dynamic)
    for (int task = 0; task < shape.h * shape.w * across; task++) {
        const int position = task / across, ah = position / shape.w, aw = position % shape.w;
        const body_window part = {shape.h > 1 ? ah : 0, shape.h > 1 ? ah + 1 : d.h,
                                  shape.w > 1 ? aw : 0, shape.w > 1 ? aw + 1 : d.w};
        const int first = shape.c > 1 ? task % across : 0, end = shape.c > 1 ? first + 1 : groups;
        double total = 0;
        for (int g = first; g < end; g++) {
            double sum[LANES_MAX] = {0};
            const int c0 = g / in_block * d.block + g % in_block * lanes;
            const int left = d.block - c0 % d.block, count = left < lanes ? left : lanes;
            add_up(sum, dy, x, d, c0, count, part);
            for (int k = 0; k < count; k++) {
                real *to = dalpha + body_alpha_at(shape, ah, aw, c0 + k);
                total += sum[k];
                if (shape.c > 1) *to = accumulate ? *to + (real)sum[k] : (real)sum[k];
            }
        }
        real *to = dalpha + position;
        if (shape.c == 1) *to = accumulate ? *to + (real)total : (real)total;
    }
}
