/* Products of 16-bit integers, for int8 networks: two neighbouring factors at a time are multiplied
 * and added in 32 bits (pmaddwd; with VNNI together with the sum, vpdpwssd), which is exact.
 * Factors that were int8 are widened first. */
#ifndef KERNELS_CPU_PAIRS_H
#define KERNELS_CPU_PAIRS_H

#include <immintrin.h>
#include <string.h>

#include "kernels/body/quantise.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

/* 32-bit sums in a register, and registers of sums of a row of a product, at most */
#if defined(__AVX512BW__)
enum { SUMS = 16, SUMS_WIDEST = 4 };
#elif defined(__AVX2__)
enum { SUMS = 8, SUMS_WIDEST = 2 };
#else
enum { SUMS = 4, SUMS_WIDEST = 2 };
#endif
enum { PRODUCT_ROWS = 6, SUMS_MOST = PRODUCT_ROWS * SUMS * SUMS_WIDEST };

/* modulo 2^32 */
typedef uint32_t sums __attribute__((vector_size(SUMS * sizeof(uint32_t))));
typedef uint32_t sums_unaligned
    __attribute__((vector_size(SUMS * sizeof(uint32_t)), may_alias, aligned(sizeof(int16_t))));

/* as many as a vec has numbers */
typedef int32_t lane_sums
    __attribute__((vector_size(LANES * sizeof(int32_t)), may_alias, aligned(sizeof(int32_t))));

/* c[i][j] = sum over lines and pairs p of a(i, line, p) * b[line][p][j] for 1 to PRODUCT_ROWS rows
 * i and 1, 2 or SUMS_WIDEST registers of outputs j. The pairs of a line are neighbours; numbers are
 * in elements. */
typedef struct pairs_product {
    size_t a_row, a_line, c_row;
    int lines, pairs;
} pairs_product;

typedef void (*pairs_function)(int32_t *c, const int16_t *a, const int16_t *b, pairs_product t);

/* How many registers of outputs, from `k` on, are computed together; `outputs` is a multiple of
 * SUMS. */
static inline int pairs_columns(int k, int outputs) {
    const int left = (outputs - k) / SUMS;
    return left >= SUMS_WIDEST ? SUMS_WIDEST : (left >= 2 ? 2 : 1);
}

static inline int pairs_round_up(int n, int unit) {
    return (n + unit - 1) / unit * unit;
}

/* The product of `rows` rows and `columns` registers of outputs. `vnni`: the CPU has AVX512-VNNI
 * (AVX-VNNI in builds without AVX-512). */
pairs_function CPU(pairs_product)(int rows, int columns, bool vnni);

/* Bias, scale, ReLU, rounding and saturation of `count` sums of one pixel, the outputs from k on;
 * `at` is the index of the first in y. Bits as oneDNN's: (sum + bias) * scale. */
static inline void pairs_store(void *y, size_t at, const int32_t *c, const cpu_int8 *d, int k,
                               int count) {
    body_int8_range range = body_int8_range_of(d->y_signed);
    const real *bias = d->bias + k, *scale = d->scale + k;
    if (d->relu) range.low = 0;
    if (d->y_real) {
        real *to = (real *)y + at;
        for (int i = 0; i < count; i++) {
            const real v = ((real)c[i] + bias[i]) * scale[i];
            to[i] = d->relu && !(v > 0) ? 0 : v;
        }
        return;
    }
    uint8_t *to = (uint8_t *)y + at;
    int i = 0;
    for (; i + INT8_AT_ONCE <= count; i += INT8_AT_ONCE) {
        real v[INT8_AT_ONCE];
        for (int j = i; j < i + INT8_AT_ONCE; j += LANES)
            vec_store(v + j - i,
                      vec_saturate(__builtin_convertvector(*(const lane_sums *)(c + j), vec) +
                                       vec_load(bias + j),
                                   vec_load(scale + j), (real)range.low, (real)range.high));
        vec_store_int8(to + i, v);
    }
    for (; i < count; i++)
        to[i] = (uint8_t)body_quantise((real)c[i] + bias[i], scale[i], range);
}

#endif
