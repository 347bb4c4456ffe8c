/* Products of 16-bit integers, for int8 networks on CPUs without VNNI: two neighbouring factors at
 * a time are multiplied and added in 32 bits (pmaddwd), which is exact. Factors that were int8 are
 * widened first. */
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

static inline sums pairs_multiply(sums a, sums b) {
#if defined(__AVX512BW__)
    return (sums)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (sums)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return (sums)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
}

static inline sums pairs_load(const int16_t *p) {
    return *(const sums_unaligned *)p;
}

/* A pair in every lane. */
static inline sums pairs_all(const int16_t *p) {
    uint32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair - (sums){0};
}

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

#define PAIRS_COLUMNS_1(X, i)    X(i, 0)
#define PAIRS_COLUMNS_2(X, i)    X(i, 0) X(i, 1)
#define PAIRS_COLUMNS_4(X, i)    X(i, 0) X(i, 1) X(i, 2) X(i, 3)
#define PAIRS_ROWS_1(X, columns) columns(X, 0)
#define PAIRS_ROWS_2(X, columns) PAIRS_ROWS_1(X, columns) columns(X, 1)
#define PAIRS_ROWS_3(X, columns) PAIRS_ROWS_2(X, columns) columns(X, 2)
#define PAIRS_ROWS_4(X, columns) PAIRS_ROWS_3(X, columns) columns(X, 3)
#define PAIRS_ROWS_5(X, columns) PAIRS_ROWS_4(X, columns) columns(X, 4)
#define PAIRS_ROWS_6(X, columns) PAIRS_ROWS_5(X, columns) columns(X, 5)
#define PAIRS_START(i, j)        sums c##i##j = {0};
#define PAIRS_TERM(i, j)         c##i##j += pairs_multiply(a0, b##j);
#define PAIRS_FINISH(i, j)       *(sums_unaligned *)(c + i * t.c_row + j * SUMS) = c##i##j;
#define PAIRS_B(i, j)            const sums b##j = pairs_load(b + 2 * j * SUMS);
#define PAIRS_LINE_1(X, i)                                                                         \
    a0 = pairs_all(from + i * t.a_row);                                                            \
    PAIRS_COLUMNS_1(X, i)
#define PAIRS_LINE_2(X, i)                                                                         \
    a0 = pairs_all(from + i * t.a_row);                                                            \
    PAIRS_COLUMNS_2(X, i)
#define PAIRS_LINE_4(X, i)                                                                         \
    a0 = pairs_all(from + i * t.a_row);                                                            \
    PAIRS_COLUMNS_4(X, i)

#define PAIRS_PRODUCT(rows, columns)                                                               \
    static __attribute__((noinline)) void pairs_##rows##x##columns(                                \
        int32_t *c, const int16_t *a, const int16_t *b, pairs_product t) {                         \
        PAIRS_ROWS_##rows(PAIRS_START, PAIRS_COLUMNS_##columns);                                   \
        for (int line = 0; line < t.lines; line++) {                                               \
            const int16_t *from = a + (size_t)line * t.a_line;                                     \
            for (int p = 0; p < t.pairs; p++, from += 2, b += 2 * columns * SUMS) {                \
                PAIRS_COLUMNS_##columns(PAIRS_B, 0);                                               \
                sums a0;                                                                           \
                PAIRS_ROWS_##rows(PAIRS_TERM, PAIRS_LINE_##columns);                               \
            }                                                                                      \
        }                                                                                          \
        PAIRS_ROWS_##rows(PAIRS_FINISH, PAIRS_COLUMNS_##columns);                                  \
    }
#define PAIRS_PRODUCTS(columns)                                                                    \
    PAIRS_PRODUCT(1, columns)                                                                      \
    PAIRS_PRODUCT(2, columns)                                                                      \
    PAIRS_PRODUCT(3, columns)                                                                      \
    PAIRS_PRODUCT(4, columns)                                                                      \
    PAIRS_PRODUCT(5, columns)                                                                      \
    PAIRS_PRODUCT(6, columns)                                                                      \
    static const pairs_function pairs_by_rows_##columns[PRODUCT_ROWS] = {                          \
        pairs_1x##columns, pairs_2x##columns, pairs_3x##columns,                                   \
        pairs_4x##columns, pairs_5x##columns, pairs_6x##columns};

PAIRS_PRODUCTS(1)
PAIRS_PRODUCTS(2)
#if defined(__AVX512BW__)
PAIRS_PRODUCTS(4)
#else
#define pairs_by_rows_4 pairs_by_rows_2
#endif

static inline pairs_function pairs_find(int rows, int columns) {
    return (columns == 1   ? pairs_by_rows_1
            : columns == 2 ? pairs_by_rows_2
                           : pairs_by_rows_4)[rows - 1];
}

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
