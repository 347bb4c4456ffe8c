/* The stem: a 3x3 convolution of an image with few channels, forward and, with stride 1, weight
 * gradient. With so little arithmetic per output, memory traffic decides: each output is written
 * (or read) once, everything else stays in registers and L1. A thread copies the few image rows
 * that it works on, padded with zeros, so that no pixel needs a border check. */
#include "kernels/cpu/tile.h"

#include <omp.h>
#include <string.h>

enum {
    ROWS = 16,                                /* of outputs, computed together */
    PIXELS = VEC_REGISTERS == 32 ? 12 : 6,    /* of a row at a time, two channel blocks each */
    TAP_BLOCKS = VEC_REGISTERS == 32 ? 2 : 1, /* channel blocks whose nine sums fit the registers */
    PAD = 16
};

static size_t row_of(const cpu_stem *d) {
    return (size_t)((d->ow + PIXELS) * d->stride + 2) * (size_t)d->ic;
}

/* Image rows (or pixels of a row) that `outputs` need. */
static int reach_of(const cpu_stem *d, int outputs) {
    return (outputs - 1) * d->stride + 3;
}

static int chunks_of(const cpu_stem *d) {
    return (d->oh + ROWS - 1) / ROWS;
}

/* Elements of one set of sums: dw, then db. */
static size_t sums_of(const cpu_stem *d) {
    return (size_t)(9 * d->ic + 1) * (size_t)d->oc;
}

void CPU(stem_size)(cpu_stem *d, int threads) {
    const int slices = d->slice > 0 ? (d->n + d->slice - 1) / d->slice : 1;
    d->lanes = LANES;
    d->parts = threads < slices ? threads : slices;
    d->capacity = ((size_t)reach_of(d, ROWS) * row_of(d) + sums_of(d) + PAD - 1) / PAD * PAD;
    d->scratch = d->capacity * (size_t)threads * sizeof(real);
}

typedef struct image_rows {
    int n, y, rows; /* image, first row of outputs, how many */
} image_rows;

static image_rows rows_of(const cpu_stem *d, int unit) {
    const int y = unit % chunks_of(d) * ROWS, left = d->oh - y;
    return (image_rows){unit / chunks_of(d), y, left < ROWS ? left : ROWS};
}

/* Copies the image rows that `at` needs, with zeros outside of the image. */
static void copy_rows(real *to, const real *x, const cpu_stem *d, image_rows at) {
    const size_t row = row_of(d);
    const int reach = reach_of(d, d->ow), present = d->iw + d->pad_left;
    const int width = reach < present ? reach : present;
    for (int i = 0; i < reach_of(d, at.rows); i++, to += row) {
        const int line = at.y * d->stride + i - d->pad_top;
        const ptrdiff_t from = ((ptrdiff_t)at.n * d->ih + line) * d->iw * d->ic;
        const size_t before = (size_t)(d->pad_left * d->ic), end = (size_t)(width * d->ic);
        memset(to, 0, row * sizeof *to);
        if (line >= 0 && line < d->ih && end > before)
            memcpy(to + before, x + from, (end - before) * sizeof *to);
    }
}

/* `count` outputs of a row, in one or two channel blocks. */
typedef struct stem_pixels {
    size_t x_row, b_step, block; /* elements from row to row, tap to tap, channel block to block */
    size_t a_row;                /* from output to output: the input channels times the stride */
    int depth, count;
    const real *bias;
    bool relu, relu6;
} stem_pixels;

#define STEM_BIAS(i, j)  const vec bias##j = t.bias ? vec_load(t.bias + j * LANES) : vec_all(0);
#define STEM_START(i, j) vec c##i##j = bias##j;
#define STEM_FINISH(i, j)                                                                          \
    if (i < t.count) vec_store(y + j * t.block + i * LANES, vec_rectify(c##i##j, t.relu, t.relu6));
#define STEM_PIXELS(rows, columns)                                                                 \
    static __attribute__((noinline)) void pixels_##rows##x##columns(                               \
        real *y, const real *x, const real *b, const stem_pixels t) {                              \
        TILE_COLUMNS_##columns(STEM_BIAS, 0);                                                      \
        TILE_ROWS_##rows(STEM_START, TILE_COLUMNS_##columns);                                      \
        for (int r = 0; r < 3; r++, x += t.x_row) {                                                \
            const real *a = x;                                                                     \
            for (int p = 0; p < t.depth; p++, a++, b += t.b_step) {                                \
                TILE_COLUMNS_##columns(TILE_B, 0);                                                 \
                vec a0;                                                                            \
                TILE_ROWS_##rows(TILE_TERM, TILE_LINE_##columns);                                  \
            }                                                                                      \
        }                                                                                          \
        TILE_ROWS_##rows(STEM_FINISH, TILE_COLUMNS_##columns);                                     \
    }
STEM_PIXELS(6, 1)
STEM_PIXELS(6, 2)
STEM_PIXELS(12, 1)
STEM_PIXELS(12, 2)

static void forward_row(real *y, const real *rows, const real *w, const cpu_stem *d,
                        const cpu_epilogue *e, int k) {
    const bool two = d->oc - k >= 2 * LANES;
    stem_pixels t = {.x_row = row_of(d),
                     .b_step = (size_t)d->oc,
                     .block = (size_t)(d->oh * d->ow) * LANES,
                     .a_row = (size_t)(d->ic * d->stride),
                     .depth = 3 * d->ic,
                     .bias = e->bias ? e->bias + k : NULL,
                     .relu = e->relu,
                     .relu6 = e->relu6};
    for (int i = 0; i < d->ow; i += PIXELS) {
        const real *x = rows + (size_t)(i * d->stride * d->ic);
        real *to = y + (size_t)i * LANES;
        t.count = d->ow - i;
        if (PIXELS == 12 && two)
            pixels_12x2(to, x, w + k, t);
        else if (PIXELS == 12)
            pixels_12x1(to, x, w + k, t);
        else if (two)
            pixels_6x2(to, x, w + k, t);
        else
            pixels_6x1(to, x, w + k, t);
    }
}

void CPU(stem_forward)(real *y, const real *x, const real *w, const cpu_stem *d,
                       const cpu_epilogue *e, real *scratch) {
    const int units = d->n * chunks_of(d);
    const size_t pixels = (size_t)d->oh * (size_t)d->ow;
#pragma omp parallel
    {
        real *rows = scratch + (size_t)omp_get_thread_num() * d->capacity;
#pragma omp for schedule(static)
        for (int unit = 0; unit < units; unit++) {
            const image_rows at = rows_of(d, unit);
            copy_rows(rows, x, d, at);
            for (int k = 0; k < d->oc; k += 2 * LANES)
                for (int i = 0; i < at.rows; i++)
                    forward_row(y + ((size_t)at.n * (size_t)d->oc + (size_t)k) * pixels +
                                    (size_t)(at.y + i) * (size_t)d->ow * LANES,
                                rows + (size_t)(i * d->stride) * row_of(d), w, d, e, k);
        }
    }
}

/* The nine taps of one input channel over some rows, for one or two blocks of output channels. */
typedef struct stem_taps {
    size_t x_row, x_step,
        block; /* elements from row to row, pixel to pixel, block to block of dy */
    size_t tap,
        bias; /* in the sums: from tap to tap, from the first channel's taps to the bias's */
    int rows, pixels;
    bool with_bias;
} stem_taps;

#define TAP_LINE(i) const vec a0 = vec_all(a[(i) / 3 * t.x_row + (i) % 3 * t.x_step])
#define TAP_LINE_1(X, i)                                                                           \
    {                                                                                              \
        TAP_LINE(i);                                                                               \
        TILE_COLUMNS_1(X, i)                                                                       \
    }
#define TAP_LINE_2(X, i)                                                                           \
    {                                                                                              \
        TAP_LINE(i);                                                                               \
        TILE_COLUMNS_2(X, i)                                                                       \
    }
#define TAPS(X, columns)   TILE_ROWS_6(X, columns) columns(X, 6) columns(X, 7) columns(X, 8)
#define TAP_BIAS(i, j)     bias##j += b##j;
#define TAP_NO_BIAS(i, j)  vec bias##j = {0};
#define TAP_FINISH(i, j)   tap_add(sums + i * t.tap + j * LANES, c##i##j);
#define TAP_FINISH_B(i, j) tap_add(sums + t.bias + j * LANES, bias##j);
#define STEM_TAPS(columns)                                                                         \
    static __attribute__((noinline)) void taps_##columns(real *sums, const real *dy,               \
                                                         const real *x, const stem_taps t) {       \
        TILE_COLUMNS_##columns(TAP_NO_BIAS, 0);                                                    \
        TAPS(TILE_START, TILE_COLUMNS_##columns);                                                  \
        for (int r = 0; r < t.rows; r++, x += t.x_row) {                                           \
            const real *a = x;                                                                     \
            for (int p = 0; p < t.pixels; p++, a += t.x_step, dy += LANES) {                       \
                const real *b = dy;                                                                \
                TILE_COLUMNS_##columns(TAP_B, 0);                                                  \
                TILE_COLUMNS_##columns(TAP_BIAS, 0);                                               \
                TAPS(TILE_TERM, TAP_LINE_##columns);                                               \
            }                                                                                      \
        }                                                                                          \
        TAPS(TAP_FINISH, TILE_COLUMNS_##columns);                                                  \
        if (t.with_bias) {                                                                         \
            TILE_COLUMNS_##columns(TAP_FINISH_B, 0);                                               \
        }                                                                                          \
    }
#define TAP_B(i, j) const vec b##j = vec_load(b + j * t.block);

static inline void tap_add(real *to, vec sum) {
    vec_store(to, vec_load(to) + sum);
}

STEM_TAPS(1)
STEM_TAPS(2)

static void sum_unit(real *sums, const real *rows, const real *dy, const cpu_stem *d,
                     image_rows at) {
    const size_t pixels = (size_t)d->oh * (size_t)d->ow;
    stem_taps t = {.x_row = row_of(d),
                   .x_step = (size_t)d->ic,
                   .block = pixels * LANES,
                   .tap = (size_t)d->ic * (size_t)d->oc,
                   .bias = (size_t)(9 * d->ic) * (size_t)d->oc,
                   .rows = at.rows,
                   .pixels = d->ow};
    for (int k = 0, blocks; k < d->oc; k += blocks * LANES) {
        const real *from = dy + ((size_t)at.n * (size_t)d->oc + (size_t)k) * pixels +
                           (size_t)at.y * (size_t)d->ow * LANES;
        blocks = TAP_BLOCKS == 2 && d->oc - k >= 2 * LANES ? 2 : 1;
        for (int c = 0; c < d->ic; c++) {
            const size_t channel = (size_t)c * (size_t)d->oc;
            t.with_bias = c == 0;
            (blocks == 2 ? taps_2 : taps_1)(sums + channel + k, from, rows + c, t);
        }
    }
}

/* Adds one vector of `parts` slices' sums, in order. */
static void finish(real *to, const real *first_part, const cpu_stem *d, int parts, bool add) {
    vec sum = vec_load(first_part);
    if (add) sum += vec_load(to);
    for (int part = 1; part < parts; part++)
        sum += vec_load(first_part + (size_t)part * d->capacity);
    vec_store(to, sum);
}

/* The rows of images [first, end) into one set of sums. */
static void sum_slice(real *sums, const real *dy, const real *x, const cpu_stem *d, int first,
                      int end) {
    real *rows = sums + sums_of(d);
    memset(sums, 0, sums_of(d) * sizeof *sums);
    for (int unit = first * chunks_of(d); unit < end * chunks_of(d); unit++) {
        copy_rows(rows, x, d, rows_of(d, unit));
        sum_unit(sums, rows, dy, d, rows_of(d, unit));
    }
}

/* Slices of rows are summed side by side and added up in order: the result depends on their size,
 * not on the number of threads. */
void CPU(stem_filter)(real *dw, real *db, const real *dy, const real *x, const cpu_stem *d,
                      bool accumulate, real *scratch) {
    const int slice = d->slice > 0 ? d->slice : d->n;
    const size_t weights = (size_t)(9 * d->ic) * (size_t)d->oc;
    for (int first = 0, parts; first < d->n; first += parts * slice) {
        const int left = (d->n - first + slice - 1) / slice;
        const bool add = accumulate || first > 0;
        parts = left < d->parts ? left : d->parts;
#pragma omp parallel for schedule(static)
        for (int part = 0; part < parts; part++) {
            const int start = first + part * slice, end = start + slice;
            sum_slice(scratch + (size_t)part * d->capacity, dy, x, d, start,
                      end < d->n ? end : d->n);
        }
        for (size_t i = 0; i < weights; i += LANES)
            finish(dw + i, scratch + i, d, parts, add);
        for (size_t i = 0; db && i < (size_t)d->oc; i += LANES)
            finish(db + i, scratch + weights + i, d, parts, add);
    }
}
