/* Small matrix products kept in registers, for the convolutions' loops. Each accumulator is a
 * separate variable, c<row><column>: compilers would keep an array in memory. */
#ifndef KERNELS_CPU_TILE_H
#define KERNELS_CPU_TILE_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

/* c[i][j] (+)= sum over p of a(i, p) * b[p][j] for 4, 6 or 12 rows i and 1, 2 or 4 vectors j.
 * Element a(i, p) is at a + i * a_row + p * a_step. */
typedef struct tile_product {
    size_t a_row, a_step, b_step, c_row; /* in elements */
    int depth;
    bool add;
} tile_product;

#define TILE_COLUMNS_1(X, i)    X(i, 0)
#define TILE_COLUMNS_2(X, i)    X(i, 0) X(i, 1)
#define TILE_COLUMNS_4(X, i)    X(i, 0) X(i, 1) X(i, 2) X(i, 3)
#define TILE_ROWS_4(X, columns) columns(X, 0) columns(X, 1) columns(X, 2) columns(X, 3)
#define TILE_ROWS_6(X, columns) TILE_ROWS_4(X, columns) columns(X, 4) columns(X, 5)
#define TILE_ROWS_12(X, columns)                                                                   \
    TILE_ROWS_6(X, columns)                                                                        \
    columns(X, 6) columns(X, 7) columns(X, 8) columns(X, 9) columns(X, 10) columns(X, 11)
#define TILE_START(i, j) vec c##i##j = {0};
#define TILE_TERM(i, j)  c##i##j = vec_fma(a0, b##j, c##i##j);
/* the old value is added last: a sum over many groups is then as accurate as over one */
#define TILE_FINISH(i, j)                                                                          \
    if (t.add) c##i##j += vec_load(c + i * t.c_row + j * LANES);                                   \
    vec_store(c + i * t.c_row + j * LANES, c##i##j);
#define TILE_B(i, j) const vec b##j = vec_load(b + j * LANES);
/* a row's factor is loaded right before its products: all of them would not fit the registers */
#define TILE_LINE_1(X, i)                                                                          \
    a0 = vec_all(a[i * t.a_row]);                                                                  \
    TILE_COLUMNS_1(X, i)
#define TILE_LINE_2(X, i)                                                                          \
    a0 = vec_all(a[i * t.a_row]);                                                                  \
    TILE_COLUMNS_2(X, i)
#define TILE_LINE_4(X, i)                                                                          \
    a0 = vec_all(a[i * t.a_row]);                                                                  \
    TILE_COLUMNS_4(X, i)

#define TILE_PRODUCT(rows, columns)                                                                \
    static __attribute__((noinline)) void tile_##rows##x##columns(                                 \
        real *c, const real *a, const real *b, const tile_product t) {                             \
        TILE_ROWS_##rows(TILE_START, TILE_COLUMNS_##columns);                                      \
        for (int p = 0; p < t.depth; p++, a += t.a_step, b += t.b_step) {                          \
            TILE_COLUMNS_##columns(TILE_B, 0);                                                     \
            vec a0;                                                                                \
            TILE_ROWS_##rows(TILE_TERM, TILE_LINE_##columns);                                      \
        }                                                                                          \
        TILE_ROWS_##rows(TILE_FINISH, TILE_COLUMNS_##columns);                                     \
    }

#endif
