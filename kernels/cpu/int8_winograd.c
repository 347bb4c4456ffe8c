/* 3x3 convolutions of int8 with stride 1 by Winograd's F(4x4, 3x3) in integers: exact, with a
 * quarter of the products, which even with VNNI's 16-bit products takes less time than 8-bit ones.
 *
 * With the points 0, ±1, ±2 and infinity all transforms are in whole numbers, if the weights' are
 * multiplied by the points' denominators (those of 0 and infinity once more by 6, which saves that
 * in the transform back). Transformed pixels are at most 68 * 255 and transformed
 * weights at most 49 * 128 in magnitude: both fit 16 bits, and a pair of products fits 32. The
 * transform back yields 3 * 2^e times each sum per direction. It is computed modulo 2^32, so that
 * nothing is lost to overflow: a product with the inverse of 9 removes the threes, a shift the
 * powers of two. So the result is exact wherever the sum itself, times 2^6, fits 32 bits, which
 * `int8_winograd_pack` checks. */
#include "kernels/cpu/pairs.h"

#include <omp.h>

enum {
    TILE_IN = 6,
    TILE_OUT = 4,
    POINTS = 36,
    CHANNELS = 2 * SUMS < 16 ? 16 : 2 * SUMS, /* transformed at a time */
    FEWEST_CHANNELS = 16,                     /* in multiples of which they come */
    GROUP = 48, /* tiles, at most: few enough for the L2 cache, enough for each read of weights */
    PAD = 32,   /* elements that keep the 36 planes off the same cache sets */
    WIDTH = SUMS_WIDEST * SUMS, /* outputs computed together, at most */
    PLANE = GROUP * WIDTH + PAD /* sums of a point */
};
static const uint32_t inverse_of_9 = 0x38e38e39u; /* modulo 2^32 */

typedef int16_t shorts __attribute__((vector_size(CHANNELS * sizeof(int16_t))));
typedef int16_t shorts_unaligned
    __attribute__((vector_size(CHANNELS * sizeof(int16_t)), may_alias, aligned(sizeof(int16_t))));
typedef uint8_t bytes_u8 __attribute__((vector_size(CHANNELS)));
typedef int8_t bytes_s8 __attribute__((vector_size(CHANNELS)));
typedef int32_t signed_sums __attribute__((vector_size(SUMS * sizeof(int32_t))));

static int across(int pixels) {
    return (pixels + TILE_OUT - 1) / TILE_OUT;
}

static size_t plane_v(const cpu_int8 *d) {
    return (size_t)d->group * (size_t)d->conv.ic + PAD;
}

void CPU(int8_winograd_size)(cpu_int8 *d, int threads) {
    const size_t outputs = (size_t)pairs_round_up(d->conv.oc, SUMS);
    d->tiles = d->conv.n * across(d->conv.oh) * across(d->conv.ow);
    const int share = (d->tiles + threads - 1) / threads;
    const int groups = (share + GROUP - 1) / GROUP;
    d->group = pairs_round_up((share + groups - 1) / groups, PRODUCT_ROWS);
    d->weights = POINTS * (size_t)d->conv.ic * outputs;
    d->capacity = (POINTS * plane_v(d) + 2 * POINTS * PLANE + 31) & ~(size_t)31;
    d->scratch = sizeof(int16_t) * d->capacity * (size_t)threads;
}

static void transform_weights(int u[6], const int w[3]) {
    u[0] = 6 * w[0];
    u[1] = w[0] + w[1] + w[2];
    u[2] = w[0] - w[1] + w[2];
    u[3] = w[0] + 2 * w[1] + 4 * w[2];
    u[4] = w[0] - 2 * w[1] + 4 * w[2];
    u[5] = 6 * w[2];
}

/* The 36 transformed weights of an input and an output. */
static void transform_taps(int u[6][6], const int8_t *hwio, const cpu_conv *c, int i, int o) {
    int half[3][6];
    for (int r = 0; r < 3; r++) {
        int line[3];
        for (int s = 0; s < 3; s++)
            line[s] =
                hwio[((size_t)(3 * r + s) * (size_t)c->ic + (size_t)i) * (size_t)c->oc + (size_t)o];
        transform_weights(half[r], line);
    }
    for (int j = 0; j < 6; j++) {
        const int column[3] = {half[0][j], half[1][j], half[2][j]};
        int result[6];
        transform_weights(result, column);
        for (int k = 0; k < 6; k++)
            u[k][j] = result[k];
    }
}

/* Whether no sum of an output's products, times 2^6, leaves 32 bits. */
static bool fits(const int8_t *hwio, const cpu_int8 *d) {
    const size_t oc = (size_t)d->conv.oc, inputs = 9 * (size_t)d->conv.ic;
    const long long largest = d->x_signed ? 128 : 255, limit = 1LL << 25;
    for (size_t o = 0; o < oc; o++) {
        long long sum = 0;
        for (size_t i = 0; i < inputs; i++)
            sum += hwio[i * oc + o] < 0 ? -hwio[i * oc + o] : hwio[i * oc + o];
        if (sum * largest >= limit) return false;
    }
    return true;
}

/* [block of outputs][point][pair of inputs][output of the block][2]; false where a sum might not
 * fit. */
void CPU(int8_winograd_pack)(int16_t *to, const int8_t *hwio, const cpu_int8 *d, bool *exact) {
    const cpu_conv *c = &d->conv;
    const int outputs = pairs_round_up(c->oc, SUMS);
    *exact = fits(hwio, d);
    for (int k = 0, width; *exact && k < outputs; k += width) {
        width = pairs_columns(k, outputs) * SUMS;
        int16_t *block = to + (size_t)POINTS * (size_t)c->ic * (size_t)k;
        for (int i = 0; i < c->ic; i++)
            for (int o = 0; o < width; o++) {
                int u[6][6] = {{0}};
                if (k + o < c->oc) transform_taps(u, hwio, c, i, k + o);
                for (int p = 0; p < POINTS; p++)
                    block[((size_t)p * (size_t)c->ic + (size_t)(i & ~1)) * (size_t)width +
                          (size_t)(2 * o + (i & 1))] = (int16_t)u[p / 6][p % 6];
            }
    }
}

static inline void transform_input(shorts v[6], const shorts d[6]) {
    const shorts even_1 = d[4] - 4 * d[2], odd_1 = d[3] - 4 * d[1];
    const shorts even_2 = d[4] - d[2], odd_2 = 2 * (d[3] - d[1]);
    v[0] = 4 * (d[0] - d[2]) + even_2;
    v[1] = even_1 + odd_1;
    v[2] = even_1 - odd_1;
    v[3] = even_2 + odd_2;
    v[4] = even_2 - odd_2;
    v[5] = d[5] - d[3] - 2 * odd_2;
}

typedef struct tile {
    int n, y, x; /* image, and the tile's first output pixel */
} tile;

static tile tile_of(const cpu_int8 *d, int index) {
    const int wide = across(d->conv.ow), high = across(d->conv.oh);
    return (tile){index / (wide * high), index / wide % high * TILE_OUT, index % wide * TILE_OUT};
}

/* `count` channels, CHANNELS or FEWEST_CHANNELS, of a pixel. */
static inline shorts widen(const uint8_t *p, int count, bool is_signed) {
    bytes_u8 bytes = {0};
    memcpy(&bytes, p, (size_t)count);
    return is_signed ? __builtin_convertvector((bytes_s8)bytes, shorts)
                     : __builtin_convertvector(bytes, shorts);
}

/* A tile's pixels, zeros outside of the image. */
static inline void transform_tile(int16_t *v, size_t plane, const uint8_t *image, tile at,
                                  const cpu_int8 *d, int count, bool is_signed) {
    const cpu_conv *c = &d->conv;
    const int y = at.y - c->window.pad_top, x = at.x - c->window.pad_left;
    shorts half[6][6];
    for (int j = 0; j < 6; j++) {
        shorts column[6], result[6];
        for (int i = 0; i < 6; i++) {
            const bool inside = y + i >= 0 && y + i < c->ih && x + j >= 0 && x + j < c->iw;
            column[i] = inside ? widen(image + ((ptrdiff_t)(y + i) * c->iw + x + j) * c->ic, count,
                                       is_signed)
                               : (shorts){0};
        }
        transform_input(result, column);
        for (int i = 0; i < 6; i++)
            half[i][j] = result[i];
    }
    for (int i = 0; i < 6; i++) {
        shorts row[6];
        transform_input(row, half[i]);
        for (int j = 0; j < 6; j++)
            memcpy(v + (size_t)(6 * i + j) * plane, &row[j], sizeof *v * (size_t)count);
    }
}

static void transform_inputs(int16_t *v, const uint8_t *x, const cpu_int8 *d, int first,
                             int count) {
    const size_t image = (size_t)d->conv.ih * (size_t)d->conv.iw * (size_t)d->conv.ic;
    for (int t = 0; t < count; t++) {
        const tile at = tile_of(d, first + t);
        for (int c = 0; c < d->conv.ic; c += CHANNELS) {
            int16_t *to = v + (size_t)t * (size_t)d->conv.ic + c;
            const uint8_t *from = x + (size_t)at.n * image + c;
            const bool whole = d->conv.ic - c >= CHANNELS;
            if (whole && d->x_signed)
                transform_tile(to, plane_v(d), from, at, d, CHANNELS, true);
            else if (whole)
                transform_tile(to, plane_v(d), from, at, d, CHANNELS, false);
            else
                transform_tile(to, plane_v(d), from, at, d, FEWEST_CHANNELS, d->x_signed);
        }
    }
}

static void multiply(int32_t *m, const int16_t *v, const int16_t *w, const cpu_int8 *d, int columns,
                     int count) {
    const int width = columns * SUMS;
    const pairs_product t = {
        .a_row = (size_t)d->conv.ic, .c_row = WIDTH, .lines = 1, .pairs = d->conv.ic / 2};
    for (int p = 0; p < POINTS; p++) {
        const int16_t *b = w + (size_t)p * (size_t)d->conv.ic * (size_t)width;
        for (int row = 0, rows; row < count; row += rows) {
            rows = count - row < PRODUCT_ROWS ? count - row : PRODUCT_ROWS;
            CPU(pairs_product)
            (rows, columns, d->vnni)(m + p * PLANE + row * WIDTH,
                                     v + (size_t)p * plane_v(d) + (size_t)row * (size_t)d->conv.ic,
                                     b, t);
        }
    }
}

/* 3 * {8, 4, 2, 2} times the sums. */
static inline void transform_output(sums y[4], const sums m[6]) {
    const sums sum_1 = m[1] + m[2], difference_1 = m[1] - m[2];
    const sums sum_2 = m[3] + m[4], difference_2 = m[3] - m[4];
    y[0] = m[0] - 4 * sum_1 + sum_2;
    y[1] = difference_2 - 2 * difference_1;
    y[2] = sum_2 - sum_1;
    y[3] = 2 * difference_2 - difference_1 + m[5];
}

static inline void transform_line(sums y[4], const int32_t *m, int line) {
    sums points[6];
    for (int j = 0; j < 6; j++)
        points[j] = *(const sums_unaligned *)(m + (6 * line + j) * PLANE);
    transform_output(y, points);
}

/* Both directions. The second is transform_output, line by line, so that the sums of a whole tile
 * need no more than the registers. */
static inline void transform_sums(sums y[4][4], const int32_t *m) {
    sums a[4], b[4];
    transform_line(a, m, 1);
    transform_line(b, m, 2);
    for (int j = 0; j < 4; j++) {
        const sums sum = a[j] + b[j], difference = a[j] - b[j];
        y[0][j] = 4 * sum;
        y[1][j] = 2 * difference;
        y[2][j] = sum;
        y[3][j] = difference;
    }
    transform_line(a, m, 3);
    transform_line(b, m, 4);
    for (int j = 0; j < 4; j++) {
        const sums sum = a[j] + b[j], difference = a[j] - b[j];
        y[0][j] = sum - y[0][j];
        y[1][j] = difference - y[1][j];
        y[2][j] = sum - y[2][j];
        y[3][j] = 2 * difference - y[3][j];
    }
    transform_line(a, m, 0);
    transform_line(b, m, 5);
    for (int j = 0; j < 4; j++) {
        y[0][j] += a[j];
        y[3][j] += b[j];
    }
}

static inline signed_sums larger(signed_sums a, signed_sums b) {
    const signed_sums first = a > b;
    return (a & first) | (b & ~first);
}

/* One tile and register of outputs: 4x4 pixels, WIDTH numbers apart, or the largest of each two by
 * two. The scales are positive, so the largest is the same before scaling and rounding as after. */
static inline void finish_tile(int32_t *to, const int32_t *m, bool pooled) {
    static const int exponent[] = {3, 2, 1, 1};
    sums y[4][4];
    signed_sums pixel[4][4];
    transform_sums(y, m);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            pixel[i][j] = (signed_sums)(y[i][j] * inverse_of_9) >> (exponent[i] + exponent[j]);
    for (int i = 0; i < 4 && !pooled; i++)
        for (int j = 0; j < 4; j++)
            *(sums_unaligned *)(to + (4 * i + j) * WIDTH) = (sums)pixel[i][j];
    for (int i = 0; i < 4 && pooled; i += 2)
        for (int j = 0; j < 4; j += 2)
            *(sums_unaligned *)(to + (i + j / 2) * WIDTH) = (sums)larger(
                larger(pixel[i][j], pixel[i][j + 1]), larger(pixel[i + 1][j], pixel[i + 1][j + 1]));
}

static void finish_tiles(int32_t *to, const int32_t *m, int width, bool pooled) {
    for (int i = 0; i < width && pooled; i += SUMS)
        finish_tile(to + i, m + i, true);
    for (int i = 0; i < width && !pooled; i += SUMS)
        finish_tile(to + i, m + i, false);
}

static void transform_outputs(void *y, const int32_t *m, const cpu_int8 *d, int k, int columns,
                              int first, int count) {
    const cpu_conv *c = &d->conv;
    const int width = columns * SUMS, left = c->oc - k, shrink = d->pooled ? 2 : 1;
    const int side = TILE_OUT / shrink, high = c->oh / shrink, wide = c->ow / shrink;
    int32_t pixels[TILE_OUT * TILE_OUT * WIDTH] __attribute__((aligned(64)));
    for (int t = 0; t < count; t++) {
        const tile at = tile_of(d, first + t);
        finish_tiles(pixels, m + t * WIDTH, width, d->pooled);
        const int top = at.y / shrink, before = at.x / shrink;
        for (int i = 0; i < side && top + i < high; i++)
            for (int j = 0; j < side && before + j < wide; j++) {
                const size_t pixel =
                    ((size_t)at.n * (size_t)high + (size_t)(top + i)) * (size_t)wide +
                    (size_t)(before + j);
                pairs_store(y, pixel * (size_t)c->oc + (size_t)k, pixels + (side * i + j) * WIDTH,
                            d, k, left < width ? left : width);
            }
    }
}

void CPU(int8_winograd)(void *y, const uint8_t *x, const int16_t *w, const cpu_int8 *d,
                        int16_t *scratch) {
    const int outputs = pairs_round_up(d->conv.oc, SUMS);
    const int groups = (d->tiles + d->group - 1) / d->group;
#pragma omp parallel
    {
        int16_t *v = scratch + (size_t)omp_get_thread_num() * d->capacity;
        int32_t *m = (int32_t *)(void *)(v + POINTS * plane_v(d));
#pragma omp for schedule(dynamic)
        for (int g = 0; g < groups; g++) {
            const int first = g * d->group, left = d->tiles - first;
            const int count = left < d->group ? left : d->group;
            transform_inputs(v, x, d, first, count);
            for (int k = 0, columns; k < outputs; k += columns * SUMS) {
                columns = pairs_columns(k, outputs);
                multiply(m, v, w + (size_t)POINTS * (size_t)d->conv.ic * (size_t)k, d, columns,
                         count);
                transform_outputs(y, m, d, k, columns, first, count);
            }
        }
    }
}
