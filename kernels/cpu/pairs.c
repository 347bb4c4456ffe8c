/* The products of pairs.h, written out for every number of rows and columns, so that all sums stay
 * in registers. */
#include "kernels/cpu/pairs.h"

#if defined(__AVX512BW__)
#define VNNI                 __attribute__((target("avx512vnni")))
#define multiply_pairs(a, b) ((sums)_mm512_madd_epi16((__m512i)(a), (__m512i)(b)))
#define add_vnni(c, a, b)    ((sums)_mm512_dpwssd_epi32((__m512i)(c), (__m512i)(a), (__m512i)(b)))
#elif defined(__AVX2__)
#define VNNI                 __attribute__((target("avxvnni")))
#define multiply_pairs(a, b) ((sums)_mm256_madd_epi16((__m256i)(a), (__m256i)(b)))
#define add_vnni(c, a, b)    ((sums)_mm256_dpwssd_avx_epi32((__m256i)(c), (__m256i)(a), (__m256i)(b)))
#else
#define multiply_pairs(a, b) ((sums)_mm_madd_epi16((__m128i)(a), (__m128i)(b)))
#endif

static inline sums pairs_load(const int16_t *p) {
    return *(const sums_unaligned *)p;
}

/* A pair in every lane. */
static inline sums pairs_all(const int16_t *p) {
    uint32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair - (sums){0};
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
#define PAIRS_TERM_plain(i, j)   c##i##j += multiply_pairs(a0, b##j);
#define PAIRS_TERM_vnni(i, j)    c##i##j = add_vnni(c##i##j, a0, b##j);
#define PAIRS_START(i, j)        sums c##i##j = {0};
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

#define PAIRS_PRODUCT(kind, target, rows, columns)                                                 \
    static target void kind##_##rows##x##columns(int32_t *c, const int16_t *a, const int16_t *b,   \
                                                 pairs_product t) {                                \
        PAIRS_ROWS_##rows(PAIRS_START, PAIRS_COLUMNS_##columns);                                   \
        for (int line = 0; line < t.lines; line++) {                                               \
            const int16_t *from = a + (size_t)line * t.a_line;                                     \
            for (int p = 0; p < t.pairs; p++, from += 2, b += 2 * columns * SUMS) {                \
                PAIRS_COLUMNS_##columns(PAIRS_B, 0);                                               \
                sums a0;                                                                           \
                PAIRS_ROWS_##rows(PAIRS_TERM_##kind, PAIRS_LINE_##columns);                        \
            }                                                                                      \
        }                                                                                          \
        PAIRS_ROWS_##rows(PAIRS_FINISH, PAIRS_COLUMNS_##columns);                                  \
    }
#define PAIRS_PRODUCTS(kind, target, columns)                                                      \
    PAIRS_PRODUCT(kind, target, 1, columns)                                                        \
    PAIRS_PRODUCT(kind, target, 2, columns)                                                        \
    PAIRS_PRODUCT(kind, target, 3, columns)                                                        \
    PAIRS_PRODUCT(kind, target, 4, columns)                                                        \
    PAIRS_PRODUCT(kind, target, 5, columns)                                                        \
    PAIRS_PRODUCT(kind, target, 6, columns)

PAIRS_PRODUCTS(plain, , 1)
PAIRS_PRODUCTS(plain, , 2)
#if defined(VNNI)
PAIRS_PRODUCTS(vnni, VNNI, 1)
PAIRS_PRODUCTS(vnni, VNNI, 2)
#endif
#if defined(__AVX512BW__)
PAIRS_PRODUCTS(plain, , 4)
PAIRS_PRODUCTS(vnni, VNNI, 4)
#endif

#define PAIRS_ROWS(kind, columns)                                                                  \
    {                                                                                              \
        kind##_1x##columns, kind##_2x##columns, kind##_3x##columns, kind##_4x##columns,            \
            kind##_5x##columns, kind##_6x##columns                                                 \
    }
/* [with VNNI][columns: 1, 2, 4][rows - 1] */
static const pairs_function products[2][3][PRODUCT_ROWS] = {
#if defined(__AVX512BW__)
    {PAIRS_ROWS(plain, 1), PAIRS_ROWS(plain, 2), PAIRS_ROWS(plain, 4)},
    {PAIRS_ROWS(vnni, 1), PAIRS_ROWS(vnni, 2), PAIRS_ROWS(vnni, 4)}
#elif defined(VNNI)
    {PAIRS_ROWS(plain, 1), PAIRS_ROWS(plain, 2)}, {PAIRS_ROWS(vnni, 1), PAIRS_ROWS(vnni, 2)}
#else
    {PAIRS_ROWS(plain, 1), PAIRS_ROWS(plain, 2)}
#endif
};

pairs_function CPU(pairs_product)(int rows, int columns, bool vnni) {
    return products[vnni][columns / 2][rows - 1];
}
