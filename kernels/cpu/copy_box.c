/* Copies of boxes and permutations of axes, between any layouts. */
#include "kernels/cpu/cpu.h"

/* Index of pixel p and channel c of row n. */
static size_t element(cpu_dims d, int n, size_t p, int c) {
    return cpu_plane(d, n, c / d.block) + p * (size_t)d.block + (size_t)(c % d.block);
}

/* How many channels from c on are adjacent. */
static int run_length(cpu_dims d, int c) {
    return d.block - c % d.block;
}

static void move(real *dst, const real *src, int count, bool accumulate) {
    if (accumulate) {
#pragma omp simd
        for (int i = 0; i < count; i++)
            dst[i] += src[i];
    } else {
#pragma omp simd
        for (int i = 0; i < count; i++)
            dst[i] = src[i];
    }
}

void CPU(copy_box)(real *dst, cpu_dims dd, const real *src, cpu_dims sd, const body_box *box,
                   bool accumulate) {
    const body_box b = *box;
#pragma omp parallel for schedule(static)
    for (int line = 0; line < sd.n * b.h; line++) {
        const int n = line / b.h, h = line % b.h;
        const size_t to = (size_t)(b.dst_h + h) * (size_t)dd.w + (size_t)b.dst_w;
        const size_t from = (size_t)(b.src_h + h) * (size_t)sd.w + (size_t)b.src_w;
        for (int c = 0, run; c < b.c; c += run) { /* runs that are contiguous on both sides */
            const int there = run_length(dd, b.dst_c + c), here = run_length(sd, b.src_c + c);
            run = there < here ? there : here;
            if (run > b.c - c) run = b.c - c;
            for (size_t w = 0; w < (size_t)b.w; w++)
                move(dst + element(dd, n, to + w, b.dst_c + c),
                     src + element(sd, n, from + w, b.src_c + c), run, accumulate);
        }
    }
}

void CPU(reshape)(real *dst, cpu_dims dd, const real *src, cpu_dims sd, bool accumulate) {
    const size_t pixels = (size_t)sd.h * (size_t)sd.w;
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < (size_t)sd.n * pixels; row++) {
        const int n = (int)(row / pixels);
        const size_t p = row % pixels;
        for (int c = 0, run; c < sd.c; c += run) {
            const size_t at = p * (size_t)sd.c + (size_t)c; /* in the order of NHWC */
            const int to = (int)(at % (size_t)dd.c);
            const int there = run_length(dd, to), here = run_length(sd, c);
            run = there < here ? there : here;
            move(dst + element(dd, n, at / (size_t)dd.c, to), src + element(sd, n, p, c), run,
                 accumulate);
        }
    }
}

void CPU(permute_axes)(real *y, cpu_dims yd, const real *x, cpu_dims xd, body_axes axes,
                       bool accumulate) {
#pragma omp parallel for schedule(static)
    for (int line = 0; line < yd.n * yd.h; line++) {
        const int n = line / yd.h, h = line % yd.h;
        for (int w = 0; w < yd.w; w++)
            for (int c = 0; c < yd.c; c++) {
                int xh, xw, xc;
                body_permuted(axes, h, w, c, &xh, &xw, &xc);
                const real v = x[element(xd, n, (size_t)xh * (size_t)xd.w + (size_t)xw, xc)];
                real *to = y + element(yd, n, (size_t)h * (size_t)yd.w + (size_t)w, c);
                *to = accumulate ? *to + v : v;
            }
    }
}
