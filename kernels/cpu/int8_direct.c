/* int8 convolutions and dense layers by products of 16-bit pairs (pairs.h): for CPUs without VNNI.
 * An image's lines are widened to 16 bits with their padding and an even number of channels, so
 * that the taps of a kernel's line are neighbours. */
#include "kernels/cpu/pairs.h"

#include <omp.h>

static size_t pairs_of(const cpu_int8 *d) {
    return (size_t)(d->conv.window.kernel_h * d->conv.window.kernel_w) *
           (size_t)(pairs_round_up(d->conv.ic, 2) / 2);
}

/* Pixels of a widened line. */
static size_t line_width(const cpu_conv *c) {
    return (size_t)((c->ow - 1) * c->window.stride_w + c->window.kernel_w);
}

void CPU(int8_size)(cpu_int8 *d, int threads) {
    const size_t outputs = (size_t)pairs_round_up(d->conv.oc, SUMS);
    const size_t channels = (size_t)pairs_round_up(d->conv.ic, 2);
    const size_t line = line_width(&d->conv) * channels;
    d->weights = 2 * pairs_of(d) * outputs;
    d->capacity = ((size_t)d->conv.window.kernel_h * line + 31) & ~(size_t)31;
    d->scratch =
        sizeof(int16_t) * (d->dense ? (size_t)d->conv.n * channels : d->capacity * (size_t)threads);
}

/* [block of outputs][tap][pair of inputs][output of the block][2] */
void CPU(int8_pack)(int16_t *to, const int8_t *hwio, const cpu_int8 *d) {
    const int oc = d->conv.oc, ic = d->conv.ic, outputs = pairs_round_up(oc, SUMS);
    const int taps = d->conv.window.kernel_h * d->conv.window.kernel_w;
    for (int k = 0, width; k < outputs; k += width) {
        width = pairs_columns(k, outputs) * SUMS;
        for (int t = 0; t < taps; t++)
            for (int p = 0; p < pairs_round_up(ic, 2) / 2; p++)
                for (int o = k; o < k + width; o++)
                    for (int i = 2 * p; i < 2 * p + 2; i++)
                        *to++ = i < ic && o < oc
                                    ? hwio[((size_t)t * (size_t)ic + (size_t)i) * (size_t)oc +
                                           (size_t)o]
                                    : 0;
    }
}

static void widen(int16_t *restrict to, const uint8_t *restrict x, size_t count, bool is_signed) {
    if (is_signed)
        for (size_t i = 0; i < count; i++)
            to[i] = (int8_t)x[i];
    else
        for (size_t i = 0; i < count; i++)
            to[i] = x[i];
}

/* Pixels of an odd number of channels get one more, of zeros. */
static void widen_pixels(int16_t *to, const uint8_t *x, size_t pixels, const cpu_int8 *d) {
    const size_t c = (size_t)d->conv.ic;
    if (c % 2 == 0) {
        widen(to, x, pixels * c, d->x_signed);
        return;
    }
    for (size_t p = 0; p < pixels; p++) {
        widen(to + p * (c + 1), x + p * c, c, d->x_signed);
        to[p * (c + 1) + c] = 0;
    }
}

/* Line h of an image with zeros around it. */
static void take_line(int16_t *to, const uint8_t *image, const cpu_int8 *d, int h) {
    const cpu_conv *c = &d->conv;
    const size_t channels = (size_t)pairs_round_up(c->ic, 2), width = line_width(c);
    const size_t before = (size_t)c->window.pad_left;
    if (h < 0 || h >= c->ih || before >= width) {
        memset(to, 0, width * channels * sizeof *to);
        return;
    }
    const size_t left = width - before;
    const size_t inside = (size_t)c->iw < left ? (size_t)c->iw : left;
    memset(to, 0, before * channels * sizeof *to);
    widen_pixels(to + before * channels, image + (size_t)h * (size_t)c->iw * (size_t)c->ic, inside,
                 d);
    memset(to + (before + inside) * channels, 0, (width - before - inside) * channels * sizeof *to);
}

/* `count` rows of a product, each the outputs of one pixel, stored as y's pixels from `pixel` on.
 */
static void multiply_rows(void *y, size_t pixel, const int16_t *a, const int16_t *b, int count,
                          int k, int columns, const pairs_product *t, const cpu_int8 *d) {
    int32_t c[SUMS_MOST] __attribute__((aligned(64)));
    const int left = d->conv.oc - k, width = columns * SUMS;
    for (int row = 0, rows; row < count; row += rows) {
        rows = count - row < PRODUCT_ROWS ? count - row : PRODUCT_ROWS;
        CPU(pairs_product)(rows, columns, false)(c, a + (size_t)row * t->a_row, b, *t);
        for (int i = 0; i < rows; i++)
            pairs_store(y, (pixel + (size_t)(row + i)) * (size_t)d->conv.oc + (size_t)k,
                        c + i * width, d, k, left < width ? left : width);
    }
}

void CPU(int8_direct)(void *y, const uint8_t *x, const int16_t *w, const cpu_int8 *d,
                      int16_t *scratch) {
    const cpu_conv *c = &d->conv;
    const int channels = pairs_round_up(c->ic, 2), outputs = pairs_round_up(c->oc, SUMS);
    const size_t line = line_width(c) * (size_t)channels;
    const size_t image = (size_t)c->ih * (size_t)c->iw * (size_t)c->ic;
    pairs_product t = {.a_row = (size_t)(c->window.stride_w * channels),
                       .a_line = line,
                       .lines = c->window.kernel_h,
                       .pairs = c->window.kernel_w * channels / 2};
#pragma omp parallel firstprivate(t)
    {
        int16_t *lines = scratch + (size_t)omp_get_thread_num() * d->capacity;
#pragma omp for schedule(static)
        for (int row = 0; row < c->n * c->oh; row++) {
            const int top = row % c->oh * c->window.stride_h - c->window.pad_top;
            for (int r = 0; r < c->window.kernel_h; r++)
                take_line(lines + (size_t)r * line, x + (size_t)(row / c->oh) * image, d, top + r);
            for (int k = 0, columns; k < outputs; k += columns * SUMS) {
                columns = pairs_columns(k, outputs);
                t.c_row = (size_t)(columns * SUMS);
                multiply_rows(y, (size_t)row * (size_t)c->ow, lines,
                              w + 2 * pairs_of(d) * (size_t)k, c->ow, k, columns, &t, d);
            }
        }
    }
}

void CPU(int8_dense)(void *y, const uint8_t *x, const int16_t *w, const cpu_int8 *d,
                     int16_t *scratch) {
    const int channels = pairs_round_up(d->conv.ic, 2), outputs = pairs_round_up(d->conv.oc, SUMS);
    const int unit = SUMS_WIDEST * SUMS, blocks = (outputs + unit - 1) / unit;
    widen_pixels(scratch, x, (size_t)d->conv.n, d);
#pragma omp parallel for schedule(static)
    for (int block = 0; block < blocks; block++) {
        const int end = (block + 1) * unit < outputs ? (block + 1) * unit : outputs;
        for (int k = block * unit, columns; k < end; k += columns * SUMS) {
            columns = pairs_columns(k, outputs);
            const pairs_product t = {.a_row = (size_t)channels,
                                     .c_row = (size_t)(columns * SUMS),
                                     .lines = 1,
                                     .pairs = channels / 2};
            multiply_rows(y, 0, scratch, w + 2 * pairs_of(d) * (size_t)k, d->conv.n, k, columns, &t,
                          d);
        }
    }
}
