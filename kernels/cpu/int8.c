/* int8 activations in NHWC: quantisation, max pooling, and the stem convolution, which computes in
 * f32 (int8 does not pay with so few channels) and writes int8. */
#include "kernels/body/quantise.h"
#include "kernels/cpu/cpu.h"

#include <string.h>

#include "kernels/cpu/vec.h"

enum { WIDE = CPU_STEM_LANES, PIXELS = 4, TAPS = CPU_STEM_TAPS };
_Static_assert((int)WIDE == (int)INT8_AT_ONCE, "a block is stored at once");

/* Stores WIDE numbers as 8-bit integers. */
static inline void store_lanes(uint8_t *y, const real *sum, real inverse, body_int8_range range) {
    real v[WIDE];
    for (int k = 0; k < WIDE; k++)
        v[k] = body_saturate(sum[k], inverse, range);
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

/* One output pixel in WIDE channels; w [taps][WIDE]. offset[t]: index of what tap t reads. */
static void stem_one(uint8_t *y, const real *x, const int *offset, int taps, const real *w,
                     const real *b, real inverse, body_int8_range range) {
    real sum[WIDE];
    for (int k = 0; k < WIDE; k++)
        sum[k] = b[k];
    for (int t = 0; t < taps; t++)
        for (int k = 0; k < WIDE; k++)
            sum[k] = M_FMA(x[offset[t]], w[t * WIDE + k], sum[k]);
    store_lanes(y, sum, inverse, range);
}

/* PIXELS adjacent outputs, `step` elements of x and `stride` bytes of y apart, in WIDE channels or
 * twice as many, whose weights are `next` elements further. The sums are separate arrays, never
 * indexed by a variable, so that they stay in registers. */
static inline void stem_four(uint8_t *y, size_t stride, const real *x, const int *offset, int taps,
                             const real *w, const real *b, size_t step, size_t next, bool twice,
                             real inverse, body_int8_range range) {
    real s0[WIDE], s1[WIDE], s2[WIDE], s3[WIDE], t0[WIDE], t1[WIDE], t2[WIDE], t3[WIDE];
    for (int k = 0; k < WIDE; k++) {
        s0[k] = s1[k] = s2[k] = s3[k] = b[k];
        t0[k] = t1[k] = t2[k] = t3[k] = twice ? b[WIDE + k] : 0;
    }
    for (int t = 0; t < taps; t++) {
        const real *at = x + offset[t], *v = w + (size_t)t * WIDE, *u = v + next;
        const real x0 = at[0], x1 = at[step], x2 = at[2 * step], x3 = at[3 * step];
        for (int k = 0; k < WIDE; k++) {
            s0[k] = M_FMA(x0, v[k], s0[k]);
            s1[k] = M_FMA(x1, v[k], s1[k]);
            s2[k] = M_FMA(x2, v[k], s2[k]);
            s3[k] = M_FMA(x3, v[k], s3[k]);
        }
        for (int k = 0; twice && k < WIDE; k++) {
            t0[k] = M_FMA(x0, u[k], t0[k]);
            t1[k] = M_FMA(x1, u[k], t1[k]);
            t2[k] = M_FMA(x2, u[k], t2[k]);
            t3[k] = M_FMA(x3, u[k], t3[k]);
        }
    }
    store_lanes(y, s0, inverse, range);
    store_lanes(y + stride, s1, inverse, range);
    store_lanes(y + 2 * stride, s2, inverse, range);
    store_lanes(y + 3 * stride, s3, inverse, range);
    if (!twice) return;
    store_lanes(y + WIDE, t0, inverse, range);
    store_lanes(y + WIDE + stride, t1, inverse, range);
    store_lanes(y + WIDE + 2 * stride, t2, inverse, range);
    store_lanes(y + WIDE + 3 * stride, t3, inverse, range);
}

typedef struct stem_taps {
    int offset[TAPS], from[TAPS], count;
} stem_taps;

/* The taps of a window that are inside the image, with their offsets from the image's start. */
static stem_taps taps_of(const cpu_conv *c, int oh, int ow) {
    stem_taps t = {.count = 0};
    for (int r = 0; r < c->window.kernel_h; r++)
        for (int s = 0; s < c->window.kernel_w; s++) {
            const int h = oh * c->window.stride_h - c->window.pad_top + r;
            const int w = ow * c->window.stride_w - c->window.pad_left + s;
            if (h < 0 || h >= c->ih || w < 0 || w >= c->iw) continue;
            for (int i = 0; i < c->ic; i++) {
                t.offset[t.count] = (h * c->iw + w) * c->ic + i;
                t.from[t.count++] = (r * c->window.kernel_w + s) * c->ic + i;
            }
        }
    return t;
}

/* A window across the border: its taps and their weights are gathered first. */
static void stem_border(uint8_t *y, const real *x, const real *w, const real *b, const cpu_conv *c,
                        int oh, int ow, real inverse, body_int8_range range) {
    const stem_taps t = taps_of(c, oh, ow);
    const int all = c->window.kernel_h * c->window.kernel_w * c->ic;
    real weights[TAPS * WIDE];
    for (int o = 0; o < c->oc; o += WIDE) {
        const real *block = w + (size_t)o * (size_t)all;
        for (int i = 0; i < t.count; i++)
            memcpy(weights + i * WIDE, block + t.from[i] * WIDE, sizeof(real) * WIDE);
        stem_one(y + o, x, t.offset, t.count, weights, b + o, inverse, range);
    }
}

void CPU(conv_stem_u8)(uint8_t *y, const real *x, const real *w, const real *b, const cpu_conv *c,
                       real inverse, bool is_signed) {
    const body_int8_range range = body_int8_range_of(is_signed);
    const int taps = c->window.kernel_h * c->window.kernel_w * c->ic;
    const size_t step = (size_t)(c->window.stride_w * c->ic), oc = (size_t)c->oc;
    int offset[TAPS];
    for (int t = 0; t < taps; t++)
        offset[t] =
            t / (c->window.kernel_w * c->ic) * c->iw * c->ic + t % (c->window.kernel_w * c->ic);
#pragma omp parallel for schedule(static)
    for (int row = 0; row < c->n * c->oh; row++) {
        const int oh = row % c->oh, top = oh * c->window.stride_h - c->window.pad_top;
        const real *image = x + (size_t)(row / c->oh) * (size_t)(c->ih * c->iw * c->ic);
        uint8_t *to = y + (size_t)row * (size_t)c->ow * oc;
        const bool inside = top >= 0 && top + c->window.kernel_h <= c->ih;
        /* at the end of a line the last four are computed again rather than fewer one by one */
        const int back = c->ow - PIXELS;
        const bool again =
            inside && back >= 0 && back * c->window.stride_w >= c->window.pad_left &&
            (c->ow - 1) * c->window.stride_w - c->window.pad_left + c->window.kernel_w <= c->iw;
        for (int ow = 0, count; ow < c->ow; ow += count) {
            if (again && ow > back) ow = back;
            const int left = ow * c->window.stride_w - c->window.pad_left;
            const int last = left + (PIXELS - 1) * c->window.stride_w + c->window.kernel_w;
            uint8_t *at_y = to + (size_t)ow * oc;
            const real *at = image + ((ptrdiff_t)top * c->iw + left) * c->ic;
            count = inside && left >= 0 && last <= c->iw && ow + PIXELS <= c->ow ? PIXELS : 1;
            const bool whole = inside && left >= 0 && left + c->window.kernel_w <= c->iw;
            if (!whole) stem_border(at_y, image, w, b, c, oh, ow, inverse, range);
            for (int o = 0, lanes; whole && o < c->oc; o += lanes) {
                const real *block = w + (size_t)o * (size_t)taps;
                const size_t next = (size_t)taps * WIDE;
                lanes = count == PIXELS && o + 2 * WIDE <= c->oc ? 2 * WIDE : WIDE;
                if (lanes == 2 * WIDE)
                    stem_four(at_y + o, oc, at, offset, taps, block, b + o, step, next, true,
                              inverse, range);
                else if (count == PIXELS)
                    stem_four(at_y + o, oc, at, offset, taps, block, b + o, step, 0, false, inverse,
                              range);
                else
                    stem_one(at_y + o, at, offset, taps, block, b + o, inverse, range);
            }
        }
    }
}
