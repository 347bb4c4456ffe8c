/* Winograd's minimal filtering F(4x4, 3x3): a 3x3 convolution's 4x4 outputs from a 6x6 input tile
 * with 36 products instead of 144 (Lavin and Gray, "Fast Algorithms for Convolutional Neural
 * Networks", 2015). The one-dimensional transforms, applied to columns and rows in turn.
 *
 * The interpolation points are 0, ±5/8, ±3/2 and infinity: exact in binary, and the error is 2.5
 * times smaller than with the textbook's 0, ±1, ±2 (docs/numerics.md).
 *   input    v = B'd      6 → 6        weights  u = G w     3 → 6
 *   output   y = A'm      6 → 4        gradient z = A dy    4 → 6,  dw = G'du  6 → 3 */
#ifndef KERNELS_CPU_WINOGRAD_H
#define KERNELS_CPU_WINOGRAD_H

#include "kernels/cpu/tile.h"

enum {
    TILE_IN = 6,
    TILE_OUT = 4,
    POINTS = 36,
    ROWS_AT_ONCE = 12, /* tiles are padded to multiples of it; a product computes 12 or 6 */
    WIDEST = VEC_REGISTERS == 32 ? 4 : 2 /* vectors of outputs at a time */
};

#define POINT_A  ((real)0.625)
#define POINT_B  ((real)1.5)
#define SQUARE_A (POINT_A * POINT_A)
#define SQUARE_B (POINT_B * POINT_B)
/* 1 / N_i of the weights' transform, N_i the product of the distances to the other points */
#define SHARE_0 (1 / (SQUARE_A * SQUARE_B))
#define SHARE_A (1 / (2 * SQUARE_A * (SQUARE_A - SQUARE_B)))
#define SHARE_B (1 / (2 * SQUARE_B * (SQUARE_B - SQUARE_A)))

static inline void winograd_input(vec v[6], const vec d[6]) {
    const vec both = vec_all(SQUARE_A + SQUARE_B), product = vec_all(SQUARE_A * SQUARE_B);
    const vec a2 = vec_all(SQUARE_A), b2 = vec_all(SQUARE_B);
    const vec even_a = vec_fma(-b2, d[2], d[4]), odd_a = vec_fma(-b2, d[1], d[3]);
    const vec even_b = vec_fma(-a2, d[2], d[4]), odd_b = vec_fma(-a2, d[1], d[3]);
    v[0] = vec_fma(product, d[0], vec_fma(-both, d[2], d[4]));
    v[1] = vec_fma(vec_all(POINT_A), odd_a, even_a);
    v[2] = vec_fma(vec_all(-POINT_A), odd_a, even_a);
    v[3] = vec_fma(vec_all(POINT_B), odd_b, even_b);
    v[4] = vec_fma(vec_all(-POINT_B), odd_b, even_b);
    v[5] = vec_fma(product, d[1], vec_fma(-both, d[3], d[5]));
}

static inline void winograd_output(vec y[4], const vec m[6]) {
    const vec sum_a = m[1] + m[2], difference_a = m[1] - m[2];
    const vec sum_b = m[3] + m[4], difference_b = m[3] - m[4];
    y[0] = m[0] + sum_a + sum_b;
    y[1] = vec_fma(vec_all(POINT_A), difference_a, vec_all(POINT_B) * difference_b);
    y[2] = vec_fma(vec_all(SQUARE_A), sum_a, vec_all(SQUARE_B) * sum_b);
    y[3] = vec_fma(vec_all(POINT_A * SQUARE_A), difference_a,
                   vec_fma(vec_all(POINT_B * SQUARE_B), difference_b, m[5]));
}

static inline void winograd_gradient(vec z[6], const vec dy[4]) {
    const vec even_a = vec_fma(vec_all(SQUARE_A), dy[2], dy[0]);
    const vec odd_a = vec_fma(vec_all(SQUARE_A), dy[3], dy[1]);
    const vec even_b = vec_fma(vec_all(SQUARE_B), dy[2], dy[0]);
    const vec odd_b = vec_fma(vec_all(SQUARE_B), dy[3], dy[1]);
    z[0] = dy[0];
    z[1] = vec_fma(vec_all(POINT_A), odd_a, even_a);
    z[2] = vec_fma(vec_all(-POINT_A), odd_a, even_a);
    z[3] = vec_fma(vec_all(POINT_B), odd_b, even_b);
    z[4] = vec_fma(vec_all(-POINT_B), odd_b, even_b);
    z[5] = dy[3];
}

static inline void winograd_weight(vec u[6], const vec w[3]) {
    const vec even_a = vec_all(SHARE_A) * vec_fma(vec_all(SQUARE_A), w[2], w[0]);
    const vec even_b = vec_all(SHARE_B) * vec_fma(vec_all(SQUARE_B), w[2], w[0]);
    u[0] = vec_all(SHARE_0) * w[0];
    u[1] = vec_fma(vec_all(SHARE_A * POINT_A), w[1], even_a);
    u[2] = vec_fma(vec_all(-SHARE_A * POINT_A), w[1], even_a);
    u[3] = vec_fma(vec_all(SHARE_B * POINT_B), w[1], even_b);
    u[4] = vec_fma(vec_all(-SHARE_B * POINT_B), w[1], even_b);
    u[5] = w[2];
}

static inline void winograd_weight_gradient(vec dw[3], const vec du[6]) {
    const vec sum_a = vec_all(SHARE_A) * (du[1] + du[2]);
    const vec sum_b = vec_all(SHARE_B) * (du[3] + du[4]);
    const vec difference_a = vec_all(SHARE_A * POINT_A) * (du[1] - du[2]);
    dw[0] = vec_fma(vec_all(SHARE_0), du[0], sum_a + sum_b);
    dw[1] = vec_fma(vec_all(SHARE_B * POINT_B), du[3] - du[4], difference_a);
    dw[2] = vec_fma(vec_all(SQUARE_A), sum_a, vec_fma(vec_all(SQUARE_B), sum_b, du[5]));
}

/* Applies a one-dimensional transform to the columns and then to the rows of a square: `take(i, j)`
 * yields an element, `put(i, row)` receives a finished row. */
#define WINOGRAD_BOTH_WAYS(transform, from, to, take, put)                                         \
    do {                                                                                           \
        vec half_[to][from], line_[from], result_[to];                                             \
        _Pragma("GCC unroll 6") for (int j_ = 0; j_ < (from); j_++) {                              \
            _Pragma("GCC unroll 6") for (int i_ = 0; i_ < (from); i_++) line_[i_] = take(i_, j_);  \
            transform(result_, line_);                                                             \
            _Pragma("GCC unroll 6") for (int i_ = 0; i_ < (to); i_++) half_[i_][j_] = result_[i_]; \
        }                                                                                          \
        _Pragma("GCC unroll 6") for (int i_ = 0; i_ < (to); i_++) {                                \
            vec row_[to];                                                                          \
            transform(row_, half_[i_]);                                                            \
            put(i_, row_);                                                                         \
        }                                                                                          \
    } while (0)

/* How many vectors of output channels, from `k` on, are computed together. */
static inline int winograd_columns(int k, int outputs) {
    const int left = (outputs - k) / LANES;
    return left >= WIDEST ? WIDEST : (left >= 2 ? 2 : 1);
}

static inline int winograd_across(int pixels) {
    return (pixels + TILE_OUT - 1) / TILE_OUT;
}

typedef struct winograd_tile {
    int n, y, x; /* image, and the tile's first output pixel */
} winograd_tile;

static inline winograd_tile winograd_tile_of(const cpu_winograd *d, int tile) {
    const int across = winograd_across(d->ow), down = winograd_across(d->oh);
    return (winograd_tile){tile / (across * down), tile / across % down * TILE_OUT,
                           tile % across * TILE_OUT};
}

/* The 6x6 pixels of one channel block around a tile, zeros outside of the image. */
static inline void winograd_take_border(vec in[6][6], const real *image, int y, int x, int h,
                                        int w) {
    for (int i = 0; i < TILE_IN; i++)
        for (int j = 0; j < TILE_IN; j++) {
            const bool inside = y + i >= 0 && y + i < h && x + j >= 0 && x + j < w;
            in[i][j] =
                inside ? vec_load(image + ((ptrdiff_t)(y + i) * w + (x + j)) * LANES) : (vec){0};
        }
}

static inline void winograd_take_input(real *v, size_t plane, const real *image, int y, int x,
                                       int h, int w) {
#define PUT(i, row)                                                                                \
    _Pragma("GCC unroll 6") for (int j = 0; j < 6; j++)                                            \
        vec_store(v + (size_t)(6 * (i) + j) * plane, (row)[j])
    if (y >= 0 && x >= 0 && y + TILE_IN <= h && x + TILE_IN <= w) {
        const real *corner = image + ((size_t)y * (size_t)w + (size_t)x) * LANES;
        const size_t down = (size_t)w * LANES;
#define TAKE(i, j) vec_load(corner + (size_t)(i)*down + (j)*LANES)
        WINOGRAD_BOTH_WAYS(winograd_input, 6, 6, TAKE, PUT);
#undef TAKE
    } else {
        vec in[6][6];
        winograd_take_border(in, image, y, x, h, w);
#define TAKE(i, j) in[i][j]
        WINOGRAD_BOTH_WAYS(winograd_input, 6, 6, TAKE, PUT);
#undef TAKE
    }
#undef PUT
}

#endif
