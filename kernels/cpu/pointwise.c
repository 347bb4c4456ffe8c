/* Pointwise (1x1) convolutions of stride 1, forward: a matrix product of pixels and weights, for
 * channels in blocks or not. A tile of ROWS pixels and up to two vectors of outputs stays in
 * registers; a thread takes a few tiles at a time, whose pixels stay in the caches. */
#include "kernels/cpu/tile.h"

#include <string.h>

enum {
    ROWS = VEC_REGISTERS == 32 ? 12 : 6,
    WIDTH = 2 * LANES, /* outputs of a chunk of weights; LANES in the last, if those are enough */
    TILES = 4          /* at a time */
};

static int chunks_of(const cpu_pointwise *d) {
    return (d->oc + WIDTH - 1) / WIDTH;
}

/* Of the chunk that starts with output k. */
static int width_of(const cpu_pointwise *d, int k) {
    return d->oc - k > LANES ? WIDTH : LANES;
}

void CPU(pointwise_size)(cpu_pointwise *d) {
    d->fewest = ROWS;
    d->weights = (size_t)chunks_of(d) * WIDTH * (size_t)d->ic;
}

/* [chunk of outputs][input][output of the chunk], zeros beyond the last output */
void CPU(pointwise_pack)(real *to, const real *hwio, const cpu_pointwise *d) {
    for (int k = 0; k < d->oc; k += WIDTH)
        for (int i = 0; i < d->ic; i++)
            for (int j = k; j < k + width_of(d, k); j++)
                *to++ = j < d->oc ? hwio[(size_t)i * (size_t)d->oc + (size_t)j] : 0;
}

typedef struct tile {
    size_t a_row, a_block; /* of x: elements from pixel to pixel, from block of channels to block */
    size_t c_row, c_half;  /* of y: from pixel to pixel, from the first to the second vector */
    int blocks, depth;     /* of input channels; channels of a block */
    int tiles;             /* one after another */
    const real *bias;      /* [WIDTH] */
    bool relu, relu6;
} tile;

#define START(i, j)   vec c##i##j = vec_load(t.bias + j * LANES);
#define RECTIFY(i, j) c##i##j = vec_rectify(c##i##j, true, t.relu6);
#define STORE(i, j)   vec_store(y + i * t.c_row + j * t.c_half, c##i##j);
#define POINTWISE(rows, columns)                                                                   \
    static __attribute__((noinline)) void tile_##rows##x##columns(real *y, const real *pixels,     \
                                                                  const real *w, const tile t) {   \
        for (int i = 0; i < t.tiles; i++, y += rows * t.c_row, pixels += rows * t.a_row) {         \
            const real *x = pixels, *b = w;                                                        \
            TILE_ROWS_##rows(START, TILE_COLUMNS_##columns);                                       \
            for (int block = 0; block < t.blocks; block++, x += t.a_block) {                       \
                const real *a = x;                                                                 \
                for (int p = 0; p < t.depth; p++, a++, b += columns * LANES) {                     \
                    TILE_COLUMNS_##columns(TILE_B, 0);                                             \
                    vec a0;                                                                        \
                    TILE_ROWS_##rows(TILE_TERM, TILE_LINE_##columns);                              \
                }                                                                                  \
            }                                                                                      \
            if (t.relu) {                                                                          \
                TILE_ROWS_##rows(RECTIFY, TILE_COLUMNS_##columns);                                 \
            }                                                                                      \
            TILE_ROWS_##rows(STORE, TILE_COLUMNS_##columns);                                       \
        }                                                                                          \
    }
POINTWISE(6, 1)
POINTWISE(6, 2)
POINTWISE(12, 1)
POINTWISE(12, 2)

static void multiply_tiles(real *y, const real *x, const real *w, const tile *t, int width) {
    if (ROWS == 12)
        (width == LANES ? tile_12x1 : tile_12x2)(y, x, w, *t);
    else
        (width == LANES ? tile_6x1 : tile_6x2)(y, x, w, *t);
}

/* `count` results, at most LANES: added to y where they are to be, rectified, stored. */
static inline void settle(real *y, const real *product, const cpu_epilogue *e, int count) {
    real some[LANES];
    const bool whole = count == LANES;
    vec sum = vec_load(product);
    if (e->accumulate && !whole) memcpy(some, y, (size_t)count * sizeof *y);
    if (e->accumulate) sum += vec_load(whole ? y : some);
    vec_store(whole ? y : some, vec_rectify(sum, e->relu, e->relu6));
    if (!whole) memcpy(y, some, (size_t)count * sizeof *y);
}

/* A tile of which `skip` pixels at the start belong to another one, whose `outputs` do not fill the
 * vectors, or which is added to y: through memory of its own. */
static void multiply_partly(real *y, const real *x, const real *w, const cpu_epilogue *e, tile t,
                            int width, int skip, int outputs) {
    real product[ROWS * WIDTH] __attribute__((aligned(64)));
    const size_t row = t.c_row, half = t.c_half;
    t.c_row = (size_t)width;
    t.c_half = LANES;
    t.tiles = 1;
    t.relu = false;
    multiply_tiles(product, x, w, &t, width);
    for (int i = skip; i < ROWS; i++)
        for (int j = 0; j * LANES < outputs; j++) {
            const int left = outputs - j * LANES;
            settle(y + (size_t)i * row + (size_t)j * half, product + i * width + j * LANES, e,
                   left < LANES ? left : LANES);
        }
}

/* Some pixels of an image, and some chunks of outputs. */
typedef struct unit {
    int image, pixel, pixels, chunk, chunks;
} unit;

static void multiply(real *y, const real *x, const real *w, const cpu_pointwise *d,
                     const cpu_epilogue *e, unit u) {
    const bool blocked = d->y_block != d->oc;
    const size_t area = (size_t)d->area;
    const real *from = x + (size_t)u.image * area * (size_t)d->ic;
    real bias[WIDTH] = {0};
    tile t = {.a_row = (size_t)d->x_block,
              .a_block = area * (size_t)d->x_block,
              .c_row = (size_t)d->y_block,
              .c_half = blocked ? area * LANES : LANES,
              .blocks = d->ic / d->x_block,
              .depth = d->x_block,
              .bias = bias,
              .relu = e->relu,
              .relu6 = e->relu6};
    for (int chunk = u.chunk; chunk < u.chunk + u.chunks; chunk++) {
        const int k = chunk * WIDTH, width = width_of(d, k);
        real *to = y + (size_t)u.image * area * (size_t)d->oc + (blocked ? area : 1) * (size_t)k;
        const int outputs = d->oc - k < width ? d->oc - k : width;
        if (e->bias) memcpy(bias, e->bias + k, (size_t)outputs * sizeof *bias);
        const real *weights = w + (size_t)k * (size_t)d->ic;
        const bool direct = outputs == width && !e->accumulate;
        t.tiles = direct ? u.pixels / ROWS : 0;
        const int end = u.pixel + u.pixels;
        int at = u.pixel;
        multiply_tiles(to + (size_t)at * t.c_row, from + (size_t)at * t.a_row, weights, &t, width);
        for (at += t.tiles * ROWS; at < end; at += ROWS) {
            const int start = at + ROWS <= d->area ? at : d->area - ROWS;
            multiply_partly(to + (size_t)start * t.c_row, from + (size_t)start * t.a_row, weights,
                            e, t, width, at - start, outputs);
        }
    }
}

/* Threads share the outputs, where there are enough, as oneDNN's depthwise convolutions do: what a
 * thread wrote is in its own cache. */
void CPU(pointwise_forward)(real *y, const real *x, const real *w, const cpu_pointwise *d,
                            const cpu_epilogue *e, int threads) {
    const int step = TILES * ROWS, steps = (d->area + step - 1) / step, chunks = chunks_of(d);
    const int parts = threads < chunks ? threads : chunks;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < parts * d->n * steps; i++) {
        const int part = i / (d->n * steps), at = i % steps * step, left = d->area - at;
        const int first = chunks * part / parts, end = chunks * (part + 1) / parts;
        multiply(y, x, w, d, e,
                 (unit){i / steps % d->n, at, left < step ? left : step, first, end - first});
    }
}
