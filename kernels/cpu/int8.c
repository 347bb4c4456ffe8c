/* int8 activations in NHWC: quantisation, max pooling, and the stem convolution, which computes in
 * f32 (int8 does not pay with so few channels) and writes int8. */
#include "kernels/body/quantise.h"
#include "kernels/cpu/cpu.h"

#include <omp.h>
#include <string.h>

#include "kernels/cpu/vec.h"

enum {
    WIDE = CPU_STEM_LANES,
    PIXELS = 4,
    TAPS = CPU_STEM_TAPS,
    PARTS = WIDE / LANES,                /* vectors of a block of channels */
    BLOCKS = VEC_REGISTERS == 32 ? 2 : 1 /* computed together */
};
_Static_assert((int)WIDE == (int)INT8_AT_ONCE, "a block is stored at once");

/* Stores WIDE numbers as 8-bit integers. */
static inline void store_lanes(uint8_t *y, const real *sum, real inverse, body_int8_range range) {
    real v[WIDE];
    for (int k = 0; k < WIDE; k += LANES)
        vec_store(v + k, vec_saturate(vec_load(sum + k), vec_all(inverse), (real)range.low,
                                      (real)range.high));
    vec_store_int8(y, v);
}

void CPU(quantise)(uint8_t *q, const real *x, cpu_dims d, real inverse, bool is_signed) {
    const body_int8_range range = body_int8_range_of(is_signed);
    const int blocks = d.c / d.block;
    const size_t area = (size_t)d.h * (size_t)d.w, block = (size_t)d.block;
#pragma omp parallel for schedule(static)
    for (int plane = 0; plane < d.n * blocks; plane++) {
        const real *from = x + (size_t)plane * area * block;
        uint8_t *to =
            q + (size_t)(plane / blocks) * area * (size_t)d.c + (size_t)(plane % blocks) * block;
        for (size_t p = 0; p < area && block == WIDE; p++)
            store_lanes(to + p * (size_t)d.c, from + p * WIDE, inverse, range);
        for (size_t p = 0; p < area && block != WIDE; p++)
            for (size_t k = 0; k < block; k++)
                to[p * (size_t)d.c + k] =
                    (uint8_t)body_quantise(from[p * block + k], inverse, range);
    }
}

static body_window window(cpu_window p, int oh, int ow, cpu_dims xd) {
    return body_pool_window(oh, ow, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.pad_top,
                            p.pad_left, xd.h, xd.w);
}

/* With its sign bit flipped, int8 compares like uint8. */
static void pool_int8(uint8_t *y, const uint8_t *x, body_window win, size_t width, size_t c,
                      uint8_t flip) {
    memcpy(y, x + ((size_t)win.h0 * width + (size_t)win.w0) * c, c);
    for (int h = win.h0; h < win.h1; h++)
        for (int w = win.w0; w < win.w1; w++) {
            const uint8_t *at = x + ((size_t)h * width + (size_t)w) * c;
            for (size_t k = 0; k < c; k++) {
                const uint8_t a = at[k] ^ flip, b = y[k] ^ flip;
                y[k] = a > b ? at[k] : y[k];
            }
        }
}

/* The common window of 2x2. */
static void pool_four(uint8_t *restrict y, const uint8_t *a, const uint8_t *b, size_t c,
                      uint8_t flip) {
    for (size_t k = 0; k < c; k++) {
        const uint8_t p = a[k] ^ flip, q = a[c + k] ^ flip, r = b[k] ^ flip, s = b[c + k] ^ flip;
        const uint8_t u = p > q ? p : q, v = r > s ? r : s;
        y[k] = (u > v ? u : v) ^ flip;
    }
}

void CPU(max_pool_int8)(uint8_t *y, const uint8_t *x, cpu_dims xd, cpu_dims yd, cpu_window p,
                        bool is_signed) {
    const size_t c = (size_t)xd.c, width = (size_t)xd.w;
    const uint8_t flip = is_signed ? 0x80 : 0;
#pragma omp parallel for schedule(static)
    for (int row = 0; row < yd.n * yd.h; row++) {
        const uint8_t *image = x + (size_t)(row / yd.h) * (size_t)xd.h * width * c;
        uint8_t *to = y + (size_t)row * (size_t)yd.w * c;
        for (int ow = 0; ow < yd.w; ow++, to += c) {
            const body_window win = window(p, row % yd.h, ow, xd);
            const uint8_t *at = image + ((size_t)win.h0 * width + (size_t)win.w0) * c;
            if (win.h1 - win.h0 == 2 && win.w1 - win.w0 == 2)
                pool_four(to, at, at + width * c, c, flip);
            else
                pool_int8(to, image, win, width, c, flip);
        }
    }
}

/* PIXELS adjacent outputs, `step` elements of x and `stride` bytes of y apart, in `blocks` times
 * WIDE channels, whose weights are `next` elements apart; w [taps][WIDE]. offset[t]: index of what
 * tap t reads. The constants are known where it is called: the sums stay in registers. */
static inline __attribute__((always_inline)) void
stem_pixels(uint8_t *y, size_t stride, const real *x, const int *offset, int taps, const real *w,
            const real *b, size_t step, size_t next, const int pixels, const int blocks,
            real inverse, body_int8_range range) {
    vec s[PIXELS][BLOCKS * PARTS];
    const int vectors = blocks * PARTS;
#pragma GCC unroll 4
    for (int p = 0; p < pixels; p++)
#pragma GCC unroll 4
        for (int k = 0; k < vectors; k++)
            s[p][k] = vec_load(b + k * LANES);
    for (int t = 0; t < taps; t++) {
        const real *at = x + offset[t];
        vec u[BLOCKS * PARTS];
#pragma GCC unroll 4
        for (int k = 0; k < vectors; k++)
            u[k] = vec_load(w + (size_t)t * WIDE + (size_t)(k / PARTS) * next + k % PARTS * LANES);
#pragma GCC unroll 4
        for (int p = 0; p < pixels; p++) {
            const vec v = vec_all(at[(size_t)p * step]);
#pragma GCC unroll 4
            for (int k = 0; k < vectors; k++)
                s[p][k] = vec_fma_exact(v, u[k], s[p][k]);
        }
    }
#pragma GCC unroll 4
    for (int p = 0; p < pixels; p++) {
        real sum[BLOCKS * WIDE];
#pragma GCC unroll 4
        for (int k = 0; k < vectors; k++)
            vec_store(sum + k * LANES, s[p][k]);
        for (int k = 0; k < blocks; k++)
            store_lanes(y + (size_t)p * stride + k * WIDE, sum + k * WIDE, inverse, range);
    }
}

/* The lines of the image that an output line reads, with zeros around it. */
static void take_lines(real *to, const real *image, const cpu_conv *c, int top) {
    const size_t line = cpu_stem_line(c), before = (size_t)(c->window.pad_left * c->ic);
    const size_t left = line > before ? line - before : 0, width = (size_t)(c->iw * c->ic);
    const size_t inside = width < left ? width : left;
    for (int h = top; h < top + c->window.kernel_h; h++, to += line) {
        memset(to, 0, line * sizeof *to);
        if (h >= 0 && h < c->ih)
            memcpy(to + before, image + (size_t)h * width, inside * sizeof *to);
    }
}

void CPU(conv_stem_u8)(uint8_t *y, const real *x, const real *w, const real *b, const cpu_conv *c,
                       real inverse, bool is_signed, real *scratch) {
    const body_int8_range range = body_int8_range_of(is_signed);
    const int across = c->window.kernel_w * c->ic, taps = c->window.kernel_h * across;
    const size_t step = (size_t)(c->window.stride_w * c->ic), oc = (size_t)c->oc;
    const size_t next = (size_t)taps * WIDE;
    int offset[TAPS];
    for (int t = 0; t < taps; t++)
        offset[t] = t / across * (int)cpu_stem_line(c) + t % across;
#pragma omp parallel
    {
        real *lines = scratch + (size_t)omp_get_thread_num() * cpu_stem_capacity(c);
#pragma omp for schedule(static)
        for (int row = 0; row < c->n * c->oh; row++) {
            uint8_t *to = y + (size_t)row * (size_t)c->ow * oc;
            take_lines(lines, x + (size_t)(row / c->oh) * (size_t)(c->ih * c->iw * c->ic), c,
                       row % c->oh * c->window.stride_h - c->window.pad_top);
            for (int ow = 0, count; ow < c->ow; ow += count) {
                /* at the end of a line the last four are computed again rather than fewer one by
                 * one */
                if (c->ow >= PIXELS && ow > c->ow - PIXELS) ow = c->ow - PIXELS;
                count = c->ow >= PIXELS ? PIXELS : 1;
                const real *at = lines + (size_t)ow * step;
                uint8_t *pixel = to + (size_t)ow * oc;
                for (int o = 0, lanes; o < c->oc; o += lanes) {
                    const real *block = w + (size_t)o * (size_t)taps;
                    lanes = count == PIXELS && o + BLOCKS * WIDE <= c->oc ? BLOCKS * WIDE : WIDE;
                    if (lanes == BLOCKS * WIDE && count == PIXELS)
                        stem_pixels(pixel + o, oc, at, offset, taps, block, b + o, step, next,
                                    PIXELS, BLOCKS, inverse, range);
                    else if (count == PIXELS)
                        stem_pixels(pixel + o, oc, at, offset, taps, block, b + o, step, next,
                                    PIXELS, 1, inverse, range);
                    else
                        stem_pixels(pixel + o, oc, at, offset, taps, block, b + o, step, next, 1, 1,
                                    inverse, range);
                }
            }
        }
    }
}
