/* 3x3 convolution with stride 1 by Winograd's F(4x4, 3x3), forward and data gradient.
 *
 * Tiles are processed in groups small enough to stay in a core's L2 cache: their inputs are
 * transformed, multiplied with the weights point by point (36 small matrix products), and
 * transformed back, for up to 4 vectors of output channels at a time. */
#include "kernels/cpu/winograd.h"

#include <omp.h>
#include <string.h>

TILE_PRODUCT(12, 1)
TILE_PRODUCT(6, 2)
TILE_PRODUCT(12, 2)
TILE_PRODUCT(6, 4)
#ifdef __AVX512F__ /* with fewer registers they would gain nothing */
TILE_PRODUCT(4, 1)
TILE_PRODUCT(4, 2)
TILE_PRODUCT(4, 4)
#endif

enum {
    GROUP_BYTES = 640 << 10, /* of a thread's L2 cache; the best of 256 K to 1 M when measured */
    FEWEST = 48,             /* tiles in a group, so that the weights are not read too often */
    SHARED = 2 * FEWEST,     /* tiles for each thread, up to which they share outputs instead */
    PAD = 16                 /* elements that keep the 36 planes off the same cache sets */
};

static int round_rows(int tiles) {
    return (tiles + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE * ROWS_AT_ONCE;
}

/* Groups of outputs. */
static int chunks_of(const cpu_winograd *d) {
    int chunks = 0;
    for (int k = 0; k < d->oc; k += winograd_columns(k, d->oc) * LANES)
        chunks++;
    return chunks;
}

void CPU(winograd_size)(cpu_winograd *d, int threads) {
    const size_t columns = (size_t)(WIDEST * LANES);
    const size_t row = sizeof(real) * POINTS * ((size_t)d->ic + columns);
    d->lanes = LANES;
    d->tiles = d->n * winograd_across(d->oh) * winograd_across(d->ow);
    d->shares = d->tiles <= SHARED * threads && chunks_of(d) >= threads ? threads : 1;
    const int share = d->shares > 1 ? d->tiles : (d->tiles + threads - 1) / threads;
    int most = (int)(GROUP_BYTES / row);
    if (most < FEWEST) most = FEWEST;
    const int groups = (share + most - 1) / most;
    d->group = round_rows((share + groups - 1) / groups);
    d->capacity = POINTS * ((size_t)d->group * ((size_t)d->ic + columns) + 2 * PAD);
    d->scratch = d->capacity * (size_t)threads * sizeof(real);
}

/* u[group of outputs][point][input][output of the group]. */
static real *weights_at(real *u, const cpu_winograd *d, int k, int width, int point, int c) {
    return u + (size_t)POINTS * (size_t)d->ic * (size_t)k +
           ((size_t)point * (size_t)d->ic + (size_t)c) * (size_t)width;
}

/* The nine taps of input c for the vector of outputs k..; for the data gradient, where `hwio` holds
 * the forward convolution's weights, rotated by 180 degrees and with inputs and outputs exchanged.
 */
static void take_taps(vec w[3][3], const real *hwio, const cpu_winograd *d, int c, int k) {
    for (int r = 0; r < 3; r++)
        for (int s = 0; s < 3; s++) {
            if (!d->flipped) {
                w[r][s] = vec_load(
                    hwio + ((size_t)(r * 3 + s) * (size_t)d->ic + (size_t)c) * (size_t)d->oc + k);
                continue;
            }
            const real *from =
                hwio + ((size_t)((2 - r) * 3 + 2 - s) * (size_t)d->oc + (size_t)k) * (size_t)d->ic +
                c;
            for (int i = 0; i < LANES; i++)
                w[r][s][i] = from[(size_t)i * (size_t)d->ic];
        }
}

void CPU(winograd_weights)(real *u, const real *hwio, const cpu_winograd *d) {
#pragma omp parallel for schedule(static) collapse(2)
    for (int block = 0; block < d->oc / LANES; block++)
        for (int c = 0; c < d->ic; c++) {
            const int unit = WIDEST * LANES, first = block * LANES / unit * unit;
            int k = first; /* of the group that the block belongs to */
            while (k + winograd_columns(k, d->oc) * LANES <= block * LANES)
                k += winograd_columns(k, d->oc) * LANES;
            const int width = winograd_columns(k, d->oc) * LANES;
            vec w[3][3];
            real *to = weights_at(u, d, k, width, 0, c) + (block * LANES - k);
            take_taps(w, hwio, d, c, block * LANES);
#define TAKE(i, j) w[i][j]
#define PUT(i, row)                                                                                \
    _Pragma("GCC unroll 6") for (int j = 0; j < 6; j++)                                            \
        vec_store(to + (size_t)(6 * (i) + j) * (size_t)d->ic * (size_t)width, (row)[j])
            WINOGRAD_BOTH_WAYS(winograd_weight, 3, 6, TAKE, PUT);
#undef PUT
#undef TAKE
        }
}

static void transform_inputs(real *v, const real *x, const cpu_winograd *d, int first, int count) {
    const size_t plane = (size_t)d->group * (size_t)d->ic + PAD;
    const size_t pixels = (size_t)d->ih * (size_t)d->iw;
    for (int t = 0; t < count; t++) {
        const winograd_tile at = winograd_tile_of(d, first + t);
        for (int c = 0; c < d->ic; c += LANES)
            winograd_take_input(v + (size_t)t * (size_t)d->ic + c, plane,
                                x + ((size_t)at.n * (size_t)d->ic + (size_t)c) * pixels,
                                at.y - d->pad_top, at.x - d->pad_left, d->ih, d->iw);
    }
}

typedef void (*product)(real *c, const real *a, const real *b, const tile_product t);

static inline void twice(product six, real *c, const real *a, const real *b, const tile_product t) {
    six(c, a, b, t);
    six(c + 6 * t.c_row, a + 6 * t.a_row, b, t);
}

/* The last rows of a group, where they are few: four at a time. Returns how many it did. */
static int few_rows(real *c, const real *a, const real *b, const tile_product t, int rows) {
#ifdef __AVX512F__
    if (rows > 8) return 0;
    const product four = t.c_row == LANES ? tile_4x1 : t.c_row == 2 * LANES ? tile_4x2 : tile_4x4;
    for (int row = 0; row < rows; row += 4)
        four(c + (size_t)row * t.c_row, a + (size_t)row * t.a_row, b, t);
    return rows;
#else
    (void)c, (void)a, (void)b, (void)t, (void)rows;
    return 0;
#endif
}

static void multiply(real *m, const real *v, const real *u, const cpu_winograd *d, int k, int width,
                     int count) {
    const size_t v_plane = (size_t)d->group * (size_t)d->ic + PAD;
    const size_t m_plane = (size_t)d->group * (size_t)width + PAD;
    const tile_product t = {.a_row = (size_t)d->ic,
                            .a_step = 1,
                            .b_step = (size_t)width,
                            .c_row = (size_t)width,
                            .depth = d->ic,
                            .add = false};
    for (int p = 0; p < POINTS; p++) {
        const real *b = weights_at((real *)u, d, k, width, p, 0);
        for (int row = 0; row < count; row += ROWS_AT_ONCE) {
            const real *a = v + (size_t)p * v_plane + (size_t)row * (size_t)d->ic;
            real *c = m + (size_t)p * m_plane + (size_t)row * (size_t)width;
            if (few_rows(c, a, b, t, count - row)) break;
            if (width == LANES)
                tile_12x1(c, a, b, t);
            else if (width == 2 * LANES && VEC_REGISTERS == 32)
                tile_12x2(c, a, b, t);
            else if (width == 2 * LANES)
                twice(tile_6x2, c, a, b, t);
            else
                twice(tile_6x4, c, a, b, t);
        }
    }
}

static vec finish(vec value, vec bias, const cpu_epilogue *e, const real *y,
                  const real *relu_mask) {
    value += bias;
    if (e->accumulate) value += vec_load(y);
    value = vec_rectify(value, e->relu, e->relu6);
    if (e->relu_mask) value = vec_relu_mask(value, vec_load(relu_mask));
    return value;
}

/* One tile and channel block: transformed back, passed through the epilogue, and written where it
 * is inside the image. */
static void transform_output(real *y, const real *m, size_t plane, vec bias, const cpu_winograd *d,
                             const cpu_epilogue *e, size_t offset, winograd_tile at) {
    const int rows = d->oh - at.y, columns = d->ow - at.x;
    const size_t corner = offset + ((size_t)at.y * (size_t)d->ow + (size_t)at.x) * LANES;
    real *to = y + corner;
    const real *relu_mask = e->relu_mask ? e->relu_mask + corner : NULL;
#define TAKE(i, j) vec_load(m + (size_t)(6 * (i) + (j)) * plane)
#define PUT(i, row)                                                                                \
    if ((i) < rows) {                                                                              \
        const size_t line = (size_t)(i) * (size_t)d->ow * LANES;                                   \
        _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) if (j < columns) {                     \
            const size_t pixel = line + (size_t)j * LANES;                                         \
            vec_store(to + pixel, finish((row)[j], bias, e, to + pixel, relu_mask + pixel));       \
        }                                                                                          \
    }
    WINOGRAD_BOTH_WAYS(winograd_output, 6, 4, TAKE, PUT);
#undef PUT
#undef TAKE
}

static vec bias_at(const cpu_epilogue *e, int k) {
    return e->bias ? vec_load(e->bias + k) : vec_all(0);
}

static void transform_outputs(real *y, const real *m, const cpu_winograd *d, const cpu_epilogue *e,
                              int k, int width, int first, int count) {
    const size_t plane = (size_t)d->group * (size_t)width + PAD;
    const size_t pixels = (size_t)d->oh * (size_t)d->ow;
    for (int t = 0; t < count; t++) {
        const winograd_tile at = winograd_tile_of(d, first + t);
        for (int i = 0; i < width; i += LANES)
            transform_output(y, m + (size_t)t * (size_t)width + i, plane, bias_at(e, k + i), d, e,
                             ((size_t)at.n * (size_t)d->oc + (size_t)(k + i)) * pixels, at);
    }
}

void CPU(winograd_forward)(real *y, const real *x, const real *u, const cpu_winograd *d,
                           const cpu_epilogue *e, real *scratch) {
    const int groups = (d->tiles + d->group - 1) / d->group, chunks = chunks_of(d);
#pragma omp parallel
    {
        real *v = scratch + (size_t)omp_get_thread_num() * d->capacity;
        real *m = v + POINTS * ((size_t)d->group * (size_t)d->ic + PAD);
#pragma omp for schedule(dynamic)
        for (int unit = 0; unit < groups * d->shares; unit++) {
            const int first = unit / d->shares * d->group, left = d->tiles - first;
            const int count = left < d->group ? left : d->group, share = unit % d->shares;
            const int from = chunks * share / d->shares, to = chunks * (share + 1) / d->shares;
            transform_inputs(v, x, d, first, count);
            for (int k = 0, chunk = 0, width; chunk < to; k += width, chunk++) {
                width = winograd_columns(k, d->oc) * LANES;
                if (chunk < from) continue;
                multiply(m, v, u, d, k, width, count);
                transform_outputs(y, m, d, e, k, width, first, count);
            }
        }
    }
}
