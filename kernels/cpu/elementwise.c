/* Activations, sums, products, scalings and the change of layout. */
#include "kernels/cpu/cpu.h"

#include <string.h>

enum { CHUNK = 4096 }; /* elements per thread at a time: 16 KiB of float stay in L1 */

static void activate_chunk(real *y, const real *x, int count, int act, real alpha) {
    /* the switch is outside the loop, so that each loop is one vectorised formula */
#define ACTIVATE_CASE(id, name, from_output)                                                       \
    case BODY_##id:                                                                                \
        for (int i = 0; i < count; i++)                                                            \
            y[i] = body_activate(x[i], BODY_##id, alpha);                                          \
        break;
    switch (act) { BODY_ACTIVATIONS(ACTIVATE_CASE) }
#undef ACTIVATE_CASE
}

void CPU(activation_forward)(real *y, const real *x, size_t count, int act, real alpha) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK)
        activate_chunk(y + i, x + i, count - i < CHUNK ? (int)(count - i) : CHUNK, act, alpha);
}

static void slope_chunk(real *dx, const real *dy, const real *x, const real *y, int count, int act,
                        real alpha, bool accumulate) {
#define SLOPE_CASE(id, name, from_output)                                                          \
    case BODY_##id:                                                                                \
        if (accumulate)                                                                            \
            for (int i = 0; i < count; i++)                                                        \
                dx[i] +=                                                                           \
                    dy[i] * body_activation_slope(from_output ? 0 : x[i], y[i], BODY_##id, alpha); \
        else                                                                                       \
            for (int i = 0; i < count; i++)                                                        \
                dx[i] =                                                                            \
                    dy[i] * body_activation_slope(from_output ? 0 : x[i], y[i], BODY_##id, alpha); \
        break;
    switch (act) { BODY_ACTIVATIONS(SLOPE_CASE) }
#undef SLOPE_CASE
}

void CPU(activation_backward)(real *dx, const real *dy, const real *x, const real *y, size_t count,
                              int act, real alpha, bool accumulate) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += CHUNK)
        slope_chunk(dx + i, dy + i, x ? x + i : NULL, y + i,
                    count - i < CHUNK ? (int)(count - i) : CHUNK, act, alpha, accumulate);
}

void CPU(add)(real *y, const real *a, const real *b, size_t count) {
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        y[i] = a[i] + b[i];
}

void CPU(accumulate)(real *dst, const real *src, size_t count) {
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        dst[i] += src[i];
}

/* Only large blocks are divided among threads: for small ones it does not pay to wake them. */
enum { SHARED = 1 << 18, PIECE = 1 << 14 }; /* bytes */

void CPU(copy)(void *dst, const void *src, size_t bytes) {
#pragma omp parallel for schedule(static) if (bytes > SHARED)
    for (size_t at = 0; at < bytes; at += PIECE)
        memcpy((char *)dst + at, (const char *)src + at, bytes - at < PIECE ? bytes - at : PIECE);
}

void CPU(zero)(void *dst, size_t bytes) {
#pragma omp parallel for schedule(static) if (bytes > SHARED)
    for (size_t at = 0; at < bytes; at += PIECE)
        memset((char *)dst + at, 0, bytes - at < PIECE ? bytes - at : PIECE);
}

void CPU(rescale)(real *y, const real *x, size_t count, real scale, real shift, bool accumulate) {
    if (accumulate) {
#pragma omp parallel for simd schedule(static)
        for (size_t i = 0; i < count; i++)
            y[i] += M_FMA(x[i], scale, shift);
    } else {
#pragma omp parallel for simd schedule(static)
        for (size_t i = 0; i < count; i++)
            y[i] = M_FMA(x[i], scale, shift);
    }
}

/* dst [n][c/db][h][w][db] from src [n][c/sb][h][w][sb]. Some pixels of all channels at a time, so
 * that what is adjacent in either layout is accessed together. */
void CPU(relayout)(real *dst, int dst_block, const real *src, cpu_dims s, bool accumulate) {
    enum { PIXELS = 16 };
    cpu_dims d = s;
    d.block = dst_block;
    const int step = s.block < dst_block ? s.block : dst_block; /* one divides the other */
    const int pixels = s.h * s.w, tiles = (pixels + PIXELS - 1) / PIXELS;
#pragma omp parallel for schedule(static)
    for (int tile = 0; tile < s.n * tiles; tile++) {
        const int n = tile / tiles, first = tile % tiles * PIXELS;
        const int end = pixels - first < PIXELS ? pixels : first + PIXELS;
        for (int c = 0; c < s.c; c += step) {
            const real *from = src + cpu_plane(s, n, c / s.block) + c % s.block;
            real *to = dst + cpu_plane(d, n, c / dst_block) + c % dst_block;
            for (size_t p = (size_t)first; p < (size_t)end; p++)
#pragma omp simd
                for (int i = 0; i < step; i++) {
                    real *at = to + p * (size_t)dst_block + i;
                    const real v = from[p * (size_t)s.block + (size_t)i];
                    *at = accumulate ? *at + v : v;
                }
        }
    }
}

/* b is [n,h,w,c], or [n,1,1,c] when broadcast: then block b of it starts at n*c + b*block. */
void CPU(multiply)(real *y, const real *a, const real *b, cpu_dims d, bool broadcast) {
    const int blocks = d.c / d.block, pixels = d.h * d.w;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < d.n * blocks; i++) {
        const size_t start = (size_t)i * (size_t)pixels * (size_t)d.block;
        const real *factor = broadcast ? b + (size_t)i * (size_t)d.block : b + start;
        for (int p = 0; p < pixels; p++) {
            const size_t at = start + (size_t)p * (size_t)d.block;
            const real *f = broadcast ? factor : factor + (size_t)p * (size_t)d.block;
            for (int k = 0; k < d.block; k++)
                y[at + (size_t)k] = a[at + (size_t)k] * f[k];
        }
    }
}

static void product(real *out, const real *a, const real *b, int count, bool accumulate) {
    if (accumulate) {
#pragma omp simd
        for (int k = 0; k < count; k++)
            out[k] += a[k] * b[k];
    } else {
#pragma omp simd
        for (int k = 0; k < count; k++)
            out[k] = a[k] * b[k];
    }
}

void CPU(multiply_backward)(real *da, real *db, const real *dy, const real *a, const real *b,
                            cpu_dims d, bool broadcast, bool accumulate_a, bool accumulate_b) {
    const int blocks = d.c / d.block, pixels = d.h * d.w;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < d.n * blocks; i++) {
        const size_t start = (size_t)i * (size_t)pixels * (size_t)d.block;
        const size_t small = (size_t)i * (size_t)d.block;
        if (db && broadcast && !accumulate_b) memset(db + small, 0, sizeof(real) * (size_t)d.block);
        for (int p = 0; p < pixels; p++) {
            const size_t at = start + (size_t)p * (size_t)d.block;
            if (da) product(da + at, dy + at, b + (broadcast ? small : at), d.block, accumulate_a);
            if (db)
                product(db + (broadcast ? small : at), dy + at, a + at, d.block,
                        broadcast || accumulate_b);
        }
    }
}
