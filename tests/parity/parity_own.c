/* Own convolutions in float: close to the double reference on every ISA, the same bits with every
 * number of threads, and chosen by the backend where expected. */
#include "tests/parity/own.h"

#include <stdio.h>

#include "host/base/threads.h"

const char *const own_names[OWN_RESULTS] = {"y", "dx", "dw", "db"};
static const double close_enough = 2e-6; /* relative to the norm */

cpu_conv own_conv(const own_case *t) {
    return (cpu_conv){t->n,
                      t->ih,
                      t->iw,
                      t->ic,
                      t->ih + t->top + t->bottom - 2,
                      t->iw + t->left + t->right - 2,
                      t->oc,
                      {3, 3, 1, 1, t->top, t->left},
                      1,
                      1,
                      1};
}

size_t own_count(const own_case *t, int result) {
    const cpu_conv c = own_conv(t);
    const size_t counts[] = {(size_t)(c.n * c.oh * c.ow) * (size_t)c.oc,
                             (size_t)(c.n * c.ih * c.iw) * (size_t)c.ic,
                             (size_t)(9 * c.ic) * (size_t)c.oc, (size_t)c.oc};
    return counts[result];
}

static double *random_numbers(size_t count, uint32_t seed) {
    double *out = numbers(count);
    for (size_t i = 0; i < count; i++)
        out[i] = noise(seed, i);
    return out;
}

own_inputs own_make(const own_case *t) {
    const size_t x = own_count(t, OWN_DX), w = own_count(t, OWN_DW), b = own_count(t, OWN_DB);
    return (own_inputs){random_numbers(x, 1), random_numbers(w, 2),
                        random_numbers(b, 3), random_numbers(own_count(t, OWN_Y), 4),
                        random_numbers(x, 5), random_numbers(x, 6),
                        random_numbers(w, 7), random_numbers(b, 8)};
}

void own_free_inputs(own_inputs *in) {
    double *const all[] = {in->x, in->w, in->bias, in->dy, in->relu_mask, in->dx, in->dw, in->db};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

void own_free_results(own_results *out) {
    for (int i = 0; i < OWN_RESULTS; i++)
        free(out->of[i]);
}

void own_compare(const own_case *t, const own_results *got, const own_results *want, double most,
                 const char *what) {
    for (int i = 0; i < OWN_RESULTS; i++) {
        if (!got->of[i]) continue;
        const double far = relative_distance(got->of[i], want->of[i], own_count(t, i));
        if (!(far <= most)) /* also true for NaN */
            fail_msg("%s: %s is %.2g off: batch %d, %dx%dx%d to %d, padding %d %d %d %d%s%s%s%s",
                     what, own_names[i], far, t->n, t->ih, t->iw, t->ic, t->oc, t->top, t->left,
                     t->bottom, t->right, t->bias ? ", bias" : "", t->relu ? ", relu" : "",
                     t->relu_mask ? ", ReLU mask" : "", t->accumulate ? ", accumulate" : "");
    }
}

static void expect_same(const own_case *t, const own_results *got, const own_results *want,
                        int last, const char *what) {
    for (int i = 0; i <= last; i++)
        if (got->of[i] &&
            memcmp(got->of[i], want->of[i], own_count(t, i) * sizeof *got->of[i]) != 0)
            fail_msg("%s: the bits of %s are not the same (batch %d, %dx%dx%d to %d)", what,
                     own_names[i], t->n, t->ih, t->iw, t->ic, t->oc);
}

/* One case on one ISA with 1, 2 and 3 threads. */
static void check(own_run run, const cpu_kernels *k, const char *isa, const own_case *t) {
    own_inputs in = own_make(t);
    own_results want = own_expected(t, &in), one = run(k, t, &in, 1);
    const char *const loops = run == own_winograd ? "Winograd" : "first layer";
    char what[64];
    for (int threads = 1; threads <= 3; threads++) {
        own_results got = run(k, t, &in, threads), again = run(k, t, &in, threads);
        snprintf(what, sizeof what, "%s, x86-64-%s, %d threads", loops, isa, threads);
        own_compare(t, &got, &want, close_enough, what);
        expect_same(t, &got, &one, OWN_DB, what); /* same bits for any number of threads */
        snprintf(what, sizeof what, "%s, x86-64-%s, %d threads, again", loops, isa, threads);
        expect_same(t, &again, &got, OWN_DB, what);
        own_free_results(&got);
        own_free_results(&again);
    }
    own_free_results(&want);
    own_free_results(&one);
    own_free_inputs(&in);
}

static int lanes_of(const cpu_kernels *k) {
    cpu_winograd probe = {.n = 1, .ic = 16, .oc = 16, .oh = 1, .ow = 1};
    k->winograd_size(&probe, 1);
    return probe.lanes;
}

/* The rows give output channels in blocks; for Winograd, input channels as well. */
static void check_isas(own_run run, const own_case *rows, size_t count) {
    const char *isa;
    for (int i = 0; i < 3; i++) {
        const cpu_kernels *k = reference_isa(i, &isa);
        for (size_t r = 0; k && r < count; r++) {
            own_case t = rows[r];
            if (run == own_winograd) t.ic *= lanes_of(k);
            t.oc *= lanes_of(k);
            check(run, k, isa, &t);
        }
    }
}

void test_winograd_isas(void **state) {
    (void)state;
    static const own_case rows[] = {
        {1, 3, 3, 1, 1, 0, 0, 0, 0, true, true, true, true},
        {3, 13, 11, 3, 7, 1, 1, 1, 1, true, false, true, false},
        {17, 6, 7, 2, 5, 0, 1, 0, 1, false, true, false, true},
        {2, 46, 46, 2, 4, 0, 0, 0, 0, true, true, true, false},
    };
    check_isas(own_winograd, rows, sizeof rows / sizeof rows[0]);
}

void test_stem_isas(void **state) {
    (void)state;
    static const own_case rows[] = {
        {1, 3, 3, 1, 1, 0, 0, 0, 0, true, true, false, true},
        {2, 1, 5, 4, 3, 1, 1, 1, 1, true, false, false, false},
        {17, 7, 14, 2, 2, 0, 1, 2, 0, false, true, false, true},
        {3, 19, 13, 3, 5, 1, 1, 1, 1, true, true, false, true},
        {4, 48, 48, 1, 2, 0, 0, 0, 0, true, true, false, false},
    };
    check_isas(own_stem, rows, sizeof rows / sizeof rows[0]);
}

/* The sums would take more than 8 MB, so the threads share one set; the rows are two slices. */
void test_winograd_isas_shared(void **state) {
    (void)state;
    const char *isa;
    const own_case t = {5, 5, 5, 256, 240, 1, 1, 1, 1, true, false, false, false};
    for (int i = 0; i < 3; i++) {
        const cpu_kernels *k = reference_isa(i, &isa);
        if (!k) continue;
        cpu_winograd d = own_form(&t, false);
        d.slice = OWN_SLICE;
        d.shared_slice = 2 * OWN_SLICE;
        k->winograd_filter_size(&d, 2);
        assert_true(d.shared && d.parts == 1 && d.share < d.tiles);
        check(own_winograd, k, isa, &t);
    }
}

typedef struct layer {
    mien_backend *b;
    mien_linear *op;
    own_case t;
    void *w, *bias, *scratch;
    mien_tensor x, y;
} layer;

static void *buffer(mien_backend *b, size_t bytes, const void *from) {
    void *out;
    expect_ok(b->ops->alloc(b, bytes, &out));
    if (from) expect_ok(b->ops->copy_in(b, out, from, bytes));
    return out;
}

static mien_tensor tensor(mien_backend *b, mien_shape s, const double *values) {
    mien_tensor t = {s, MIEN_F32, b->ops->channel_block(b, s), NULL};
    const test_net handle = {.backend = b};
    t.data = buffer(b, mien_shape_count(s) * sizeof(float), NULL);
    if (values) net_write(&handle, &t, values);
    return t;
}

static layer open_layer(mien_backend *b, const own_case *t, const own_inputs *in, bool needs_dx) {
    const cpu_conv c = own_conv(t);
    layer l = {.b = b, .t = *t};
    const mien_linear_desc d = {.name = "it",
                                .in = {1, c.ih, c.iw, c.ic},
                                .out = {1, c.oh, c.ow, c.oc},
                                .kernel_h = 3,
                                .kernel_w = 3,
                                .stride_h = 1,
                                .stride_w = 1,
                                .pad_top = t->top,
                                .pad_left = t->left,
                                .pad_bottom = t->bottom,
                                .pad_right = t->right,
                                .bias = true,
                                .activation = t->relu ? BODY_RELU : BODY_LINEAR,
                                .alpha = 1,
                                .training = true,
                                .needs_dx = needs_dx,
                                .accumulates_dw = true};
    expect_ok(b->ops->linear_create(b, &d, &l.op));
    expect_ok(b->ops->linear_prepare(l.op, t->n));
    l.w = buffer(b, b->ops->linear_weight_bytes(l.op), NULL);
    l.scratch = buffer(b, b->ops->linear_scratch_bytes(l.op), NULL);
    l.bias = buffer(b, (size_t)c.oc * sizeof(float), NULL);
    l.x = tensor(b, (mien_shape){c.n, c.ih, c.iw, c.ic}, in->x);
    l.y = tensor(b, (mien_shape){c.n, c.oh, c.ow, c.oc}, NULL);
    return l;
}

static void close_layer(layer *l) {
    void *const blocks[] = {l->w, l->bias, l->scratch, l->x.data, l->y.data};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        l->b->ops->free(l->b, blocks[i]);
    l->b->ops->linear_free(l->op);
}

static void set_weights(layer *l, const double *hwio) {
    const size_t count = own_count(&l->t, OWN_DW);
    float *there = calloc(count, sizeof *there), *back = calloc(count, sizeof *back);
    assert_true(there && back);
    for (size_t i = 0; i < count; i++)
        there[i] = (float)hwio[i];
    expect_ok(l->b->ops->weights_upload(l->op, l->w, there));
    expect_ok(l->b->ops->weights_download(l->op, back, l->w));
    expect_same_floats(back, there, count, "weights there and back", "backend");
    free(there);
    free(back);
}

static own_results forward(layer *l) {
    own_results out = {{numbers(own_count(&l->t, OWN_Y))}};
    const test_net handle = {.backend = l->b};
    expect_ok(l->b->ops->linear_forward(l->op, &l->y, &l->x, l->w, l->bias, l->scratch));
    net_read(&handle, &l->y, out.of[OWN_Y]);
    return out;
}

/* The backend uses Winograd for this layer: it keeps the transformed weights until
 * linear_weights_changed is called. */
void test_winograd_in_the_backend(void **state) {
    (void)state;
    const own_case t = {2, 24, 20, 32, 48, 1, 1, 1, 1, false, true, false, false};
    const mien_backend_options options = {.threads = 1};
    mien_backend *b;
    const unsigned saved = mien_float_enter();
    expect_ok(mien_cpu_open(&options, &b));
    own_inputs in = own_make(&t), other = in;
    other.w = in.dw; /* other weights */
    if (cpu_of(b)->isa_rank >= CPU_ISA_AVX2 && lanes_of(cpu_of(b)->kernels) == cpu_of(b)->block) {
        own_results want = own_expected(&t, &in), changed = own_expected(&t, &other);
        layer l = open_layer(b, &t, &in, true);
        set_weights(&l, in.w);
        own_results first = forward(&l);
        own_compare(&t, &first, &want, close_enough, "a new layer");
        set_weights(&l, other.w);
        own_results stale = forward(&l);
        expect_same(&t, &stale, &first, OWN_Y, "weights changed without a call");
        b->ops->linear_weights_changed(l.op);
        own_results second = forward(&l);
        own_compare(&t, &second, &changed, close_enough, "changed weights");
        own_results *const all[] = {&want, &changed, &first, &stale, &second};
        for (int i = 0; i < 5; i++)
            own_free_results(all[i]);
        close_layer(&l);
    }
    own_free_inputs(&in);
    mien_backend_close(b);
    mien_float_leave(saved);
}

/* All passes of a layer through the backend's operations; dx only if `needs_dx`. */
static own_results all_passes(mien_backend *b, const own_case *t, const own_inputs *in,
                              bool needs_dx) {
    layer l = open_layer(b, t, in, needs_dx);
    const test_net handle = {.backend = b};
    set_weights(&l, in->w);
    own_results out = forward(&l);
    const mien_tensor dy = tensor(b, l.y.shape, in->dy), dx = tensor(b, l.x.shape, NULL);
    const mien_tensor db = tensor(b, (mien_shape){1, 1, 1, t->oc}, in->db);
    const size_t weights = own_count(t, OWN_DW);
    void *dw = buffer(b, b->ops->linear_weight_bytes(l.op), NULL);
    float *hwio = calloc(weights, sizeof *hwio);
    assert_non_null(hwio);
    for (size_t i = 0; i < weights; i++)
        hwio[i] = (float)in->dw[i];
    expect_ok(b->ops->weights_upload(l.op, dw, hwio));
    expect_ok(b->ops->linear_backward_filter(l.op, dw, db.data, &dy, &l.x, l.scratch, true));
    expect_ok(b->ops->weights_download(l.op, hwio, dw));
    out.of[OWN_DW] = numbers(weights);
    for (size_t i = 0; i < weights; i++)
        out.of[OWN_DW][i] = (double)hwio[i];
    out.of[OWN_DB] = numbers((size_t)t->oc);
    net_read(&handle, &db, out.of[OWN_DB]);
    const mien_status status =
        b->ops->linear_backward_data(l.op, &dx, &dy, l.w, NULL, l.scratch, false);
    assert_true((status == MIEN_OK) == needs_dx); /* otherwise refused */
    if (needs_dx) {
        out.of[OWN_DX] = numbers(own_count(t, OWN_DX));
        net_read(&handle, &dx, out.of[OWN_DX]);
    }
    void *const blocks[] = {dy.data, dx.data, db.data, dw};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        b->ops->free(b, blocks[i]);
    free(hwio);
    close_layer(&l);
    return out;
}

/* Own loops where the gradient of the image is not needed, oneDNN where it is: the same results. */
void test_stem_in_the_backend(void **state) {
    (void)state;
    const mien_backend_options options = {.threads = 2};
    mien_backend *b;
    const unsigned saved = mien_float_enter();
    expect_ok(mien_cpu_open(&options, &b));
    for (int channels = 1; channels <= 4; channels++)
        for (int needs_dx = 0; needs_dx < 2; needs_dx++) {
            const own_case t = {3, 48, 37, channels, 48, 1, 0, 0, 1, false, true, false, true};
            own_inputs in = own_make(&t);
            own_case fresh = t; /* dx is written, dw and db are accumulated */
            fresh.accumulate = false;
            own_results want = own_expected(&t, &in), alone = own_expected(&fresh, &in);
            double *const swap = want.of[OWN_DX];
            want.of[OWN_DX] = alone.of[OWN_DX];
            alone.of[OWN_DX] = swap;
            own_results got = all_passes(b, &t, &in, needs_dx);
            own_compare(&t, &got, &want, close_enough, "stem in the backend");
            own_free_results(&got);
            own_free_results(&want);
            own_free_results(&alone);
            own_free_inputs(&in);
        }
    mien_backend_close(b);
    mien_float_leave(saved);
}
