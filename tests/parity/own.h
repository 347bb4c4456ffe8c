/* Runs Mien's own convolutions: one case in, all its results out, in the number type `real` of the
 * including file. Inputs and results are doubles in NHWC and HWIO. Every buffer of a kernel starts
 * as NaN and has margins of NaN: reads outside of it or of uninitialized elements show in the
 * results, and writes outside end the test. */
#ifndef TESTS_PARITY_OWN_H
#define TESTS_PARITY_OWN_H

#include "tests/parity/parity.h"

#include <stdlib.h>
#include <string.h>

#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "tests/support/test.h"

/* A 3x3 convolution of stride 1: forward with bias and ReLU, data gradient with ReLU mask, both
 * gradients optionally accumulated. */
typedef struct own_case {
    int n, ih, iw, ic, oc, top, left, bottom, right; /* the last four: padding */
    bool bias, relu, relu_mask, accumulate;
} own_case;

typedef struct own_inputs {
    double *x, *w, *bias, *dy, *relu_mask; /* relu_mask has the shape of x */
    double *dx, *dw, *db;                  /* initial values for accumulation */
} own_inputs;

enum { OWN_Y, OWN_DX, OWN_DW, OWN_DB, OWN_RESULTS };
extern const char *const own_names[OWN_RESULTS];
typedef struct own_results {
    double *of[OWN_RESULTS]; /* NULL: not computed */
} own_results;

/* parity_own.c; the caller frees both with own_free_*. */
cpu_conv own_conv(const own_case *t);
size_t own_count(const own_case *t, int result);
own_inputs own_make(const own_case *t);
void own_free_inputs(own_inputs *in);
void own_free_results(own_results *out);
/* parity_own_f64.c: by the plain loops in double. */
own_results own_expected(const own_case *t, const own_inputs *in);
/* Ends the test if a result's distance exceeds `most` times its norm. */
void own_compare(const own_case *t, const own_results *got, const own_results *want, double most,
                 const char *what);

enum {
    OWN_SLICE = 2, /* rows of a slice of the weight gradient */
    OWN_MARGIN = 1024,
    OWN_NAN = 0xff
};

typedef struct own_buffer {
    real *all, *data;
    size_t count;
} own_buffer;

static inline own_buffer own_alloc(size_t count) {
    own_buffer b = {.count = count};
    const size_t bytes = (count + 2 * OWN_MARGIN) * sizeof(real);
    b.all = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(b.all);
    memset(b.all, OWN_NAN, bytes);
    b.data = b.all + OWN_MARGIN;
    return b;
}

static inline void own_release(own_buffer *b, const char *what) {
    const unsigned char *margins[] = {(unsigned char *)b->all,
                                      (unsigned char *)(b->data + b->count)};
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < OWN_MARGIN * sizeof(real); i++)
            if (margins[side][i] != OWN_NAN)
                fail_msg("%s: written %s its %zu elements", what, side ? "after" : "before",
                         b->count);
    free(b->all);
}

/* Offset of channel k of pixel `row`, counted over all images. */
static inline size_t own_offset(size_t pixels, int channels, int block, size_t row, int k) {
    const size_t n = row / pixels, p = row % pixels;
    return (n * (size_t)channels + (size_t)(k / block * block)) * pixels + p * (size_t)block +
           (size_t)(k % block);
}

/* Copies doubles in NHWC (`pixels` per image) to a buffer in blocks of channels; NULL: leaves NaN.
 */
static inline own_buffer own_fill(const double *from, int n, size_t pixels, int c, int block) {
    own_buffer b = own_alloc((size_t)n * pixels * (size_t)c);
    for (size_t row = 0; from && row < (size_t)n * pixels; row++)
        for (int k = 0; k < c; k++)
            b.data[own_offset(pixels, c, block, row, k)] = (real)from[row * (size_t)c + (size_t)k];
    return b;
}

static inline double *own_take(own_buffer *b, int n, size_t pixels, int c, int block,
                               const char *what) {
    double *out = numbers(b->count);
    for (size_t row = 0; row < (size_t)n * pixels; row++)
        for (int k = 0; k < c; k++)
            out[row * (size_t)c + (size_t)k] =
                (double)b->data[own_offset(pixels, c, block, row, k)];
    own_release(b, what);
    return out;
}

static inline cpu_winograd own_form(const own_case *t, bool flipped) {
    const cpu_conv c = own_conv(t);
    cpu_winograd d = {.n = c.n,
                      .ih = c.ih,
                      .iw = c.iw,
                      .ic = c.ic,
                      .oh = c.oh,
                      .ow = c.ow,
                      .oc = c.oc,
                      .pad_top = t->top,
                      .pad_left = t->left};
    if (flipped)
        d = (cpu_winograd){.n = c.n,
                           .ih = c.oh,
                           .iw = c.ow,
                           .ic = c.oc,
                           .oh = c.ih,
                           .ow = c.iw,
                           .oc = c.ic,
                           .pad_top = 2 - t->top,
                           .pad_left = 2 - t->left,
                           .flipped = true};
    return d;
}

/* The forward pass (y), or with `flipped` the data gradient (dx). */
static inline double *own_winograd_pass(const cpu_kernels *k, const own_case *t,
                                        const own_inputs *in, int threads, bool flipped) {
    cpu_winograd d = own_form(t, flipped);
    omp_set_num_threads(threads);
    k->winograd_size(&d, threads);
    const size_t from = (size_t)(d.ih * d.iw), to = (size_t)(d.oh * d.ow);
    own_buffer x = own_fill(flipped ? in->dy : in->x, d.n, from, d.ic, d.lanes);
    own_buffer y = own_fill(flipped && t->accumulate ? in->dx : NULL, d.n, to, d.oc, d.lanes);
    own_buffer relu_mask = own_fill(flipped ? in->relu_mask : NULL, d.n, to, d.oc, d.lanes);
    own_buffer w = own_fill(in->w, 9 * t->ic, 1, t->oc, t->oc);
    own_buffer u = own_alloc(36 * (size_t)t->ic * (size_t)t->oc);
    own_buffer bias = own_fill(in->bias, 1, 1, t->oc, t->oc);
    own_buffer scratch = own_alloc(d.scratch / sizeof(real));
    cpu_epilogue e = {.bias = t->bias ? bias.data : NULL, .relu = t->relu};
    if (flipped)
        e = (cpu_epilogue){.relu_mask = t->relu_mask ? relu_mask.data : NULL,
                           .accumulate = t->accumulate};
    k->winograd_weights(u.data, w.data, &d);
    k->winograd_forward(y.data, x.data, u.data, &d, &e, scratch.data);
    omp_set_num_threads(1);
    own_buffer *const read[] = {&x, &relu_mask, &w, &u, &bias, &scratch};
    static const char *const names[] = {"input", "ReLU mask", "weights", "transformed weights",
                                        "bias",  "scratch"};
    for (int i = 0; i < 6; i++)
        own_release(read[i], names[i]);
    return own_take(&y, d.n, to, d.oc, d.lanes, "result");
}

static inline void own_winograd_filter(const cpu_kernels *k, const own_case *t,
                                       const own_inputs *in, int threads, own_results *out) {
    cpu_winograd d = own_form(t, false);
    d.slice = OWN_SLICE;
    d.shared_slice = 2 * OWN_SLICE;
    omp_set_num_threads(threads);
    k->winograd_filter_size(&d, threads);
    own_buffer x = own_fill(in->x, d.n, (size_t)(d.ih * d.iw), d.ic, d.lanes);
    own_buffer dy = own_fill(in->dy, d.n, (size_t)(d.oh * d.ow), d.oc, d.lanes);
    own_buffer dw = own_fill(t->accumulate ? in->dw : NULL, 9 * t->ic, 1, t->oc, t->oc);
    own_buffer db = own_fill(t->accumulate ? in->db : NULL, 1, 1, t->oc, t->oc);
    own_buffer scratch = own_alloc(d.scratch / sizeof(real));
    k->winograd_filter(dw.data, t->bias ? db.data : NULL, dy.data, x.data, &d, t->accumulate,
                       scratch.data);
    omp_set_num_threads(1);
    own_release(&x, "input");
    own_release(&dy, "gradient");
    own_release(&scratch, "scratch of the weight gradient");
    out->of[OWN_DW] = own_take(&dw, 9 * t->ic, 1, t->oc, t->oc, "weight gradient");
    double *bias = own_take(&db, 1, 1, t->oc, t->oc, "bias gradient");
    out->of[OWN_DB] = t->bias ? bias : NULL;
    if (!t->bias) free(bias);
}

static inline own_results own_winograd(const cpu_kernels *k, const own_case *t,
                                       const own_inputs *in, int threads) {
    own_results out = {0};
    out.of[OWN_Y] = own_winograd_pass(k, t, in, threads, false);
    out.of[OWN_DX] = own_winograd_pass(k, t, in, threads, true);
    own_winograd_filter(k, t, in, threads, &out);
    return out;
}

static inline cpu_stem own_stem_form(const own_case *t) {
    const cpu_conv c = own_conv(t);
    return (cpu_stem){.n = c.n,
                      .ih = c.ih,
                      .iw = c.iw,
                      .ic = c.ic,
                      .oh = c.oh,
                      .ow = c.ow,
                      .oc = c.oc,
                      .stride = 1,
                      .pad_top = t->top,
                      .pad_left = t->left,
                      .slice = OWN_SLICE};
}

/* The stem reads the image, so it has no dx. */
static inline own_results own_stem(const cpu_kernels *k, const own_case *t, const own_inputs *in,
                                   int threads) {
    cpu_stem d = own_stem_form(t);
    const size_t from = (size_t)(d.ih * d.iw), to = (size_t)(d.oh * d.ow);
    cpu_epilogue e = {.relu = t->relu};
    own_results out = {0};
    omp_set_num_threads(threads);
    k->stem_size(&d, threads);
    own_buffer x = own_fill(in->x, d.n, from, d.ic, d.ic);
    own_buffer dy = own_fill(in->dy, d.n, to, d.oc, d.lanes);
    own_buffer w = own_fill(in->w, 9 * d.ic, 1, d.oc, d.oc);
    own_buffer bias = own_fill(in->bias, 1, 1, d.oc, d.oc);
    own_buffer y = own_fill(NULL, d.n, to, d.oc, d.lanes);
    own_buffer dw = own_fill(t->accumulate ? in->dw : NULL, 9 * d.ic, 1, d.oc, d.oc);
    own_buffer db = own_fill(t->accumulate ? in->db : NULL, 1, 1, d.oc, d.oc);
    own_buffer scratch = own_alloc(d.scratch / sizeof(real));
    if (t->bias) e.bias = bias.data;
    k->stem_forward(y.data, x.data, w.data, &d, &e, scratch.data);
    own_release(&scratch, "scratch of forward");
    scratch = own_alloc(d.scratch / sizeof(real));
    k->stem_filter(dw.data, t->bias ? db.data : NULL, dy.data, x.data, &d, t->accumulate,
                   scratch.data);
    own_release(&scratch, "scratch of the weight gradient");
    omp_set_num_threads(1);
    own_buffer *const read[] = {&x, &dy, &w, &bias};
    static const char *const names[] = {"image", "gradient", "weights", "bias"};
    for (int i = 0; i < 4; i++)
        own_release(read[i], names[i]);
    out.of[OWN_Y] = own_take(&y, d.n, to, d.oc, d.lanes, "result");
    out.of[OWN_DW] = own_take(&dw, 9 * d.ic, 1, d.oc, d.oc, "weight gradient");
    double *sums = own_take(&db, 1, 1, d.oc, d.oc, "bias gradient");
    out.of[OWN_DB] = t->bias ? sums : NULL;
    if (!t->bias) free(sums);
    return out;
}

typedef own_results (*own_run)(const cpu_kernels *, const own_case *, const own_inputs *, int);

#endif
