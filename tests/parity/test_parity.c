/* Parity: convolution, dense and pooling on whole numbers agree bit for bit between the plain loops
 * and oneDNN; operations of the class EXACT agree between ISAs, layouts, thread counts and
 * micro-batches. */
#include "tests/parity/parity.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "tests/support/test.h"

static mien_backend *plain, *onednn;

static int open_backends(void **state) {
    (void)state;
    const mien_backend_options options = {.threads = 1, .deterministic = true};
    expect_ok(reference_open(false, &plain));
    expect_ok(mien_cpu_open(&options, &onednn));
    return 0;
}

static int close_backends(void **state) {
    (void)state;
    mien_backend_close(plain);
    mien_backend_close(onednn);
    return 0;
}

typedef struct linear_row {
    int n, h, w, ic, oc, kh, kw, sh, sw;
    int padding; /* MIEN_SAME, MIEN_VALID or -1: dense */
} linear_row;

typedef struct conv_row {
    linear_row row;
    int dilation, groups;
    bool transposed; /* strides make the image larger */
} conv_row;

/* A tensor in a backend's memory, filled with whole numbers when `seed` is not 0. */
static mien_tensor make(mien_backend *b, mien_shape s, uint32_t seed) {
    mien_tensor t = {s, MIEN_F32, b->ops->channel_block(b, s), NULL};
    const test_net handle = {.backend = b};
    expect_ok(b->ops->alloc(b, mien_shape_count(s) * sizeof(float), &t.data));
    if (!seed) return t;
    double *values = integers(mien_shape_count(s), 4, seed);
    net_write(&handle, &t, values);
    free(values);
    return t;
}

static double *take(mien_backend *b, const mien_tensor *t) {
    const test_net handle = {.backend = b};
    double *out = numbers(mien_shape_count(t->shape));
    net_read(&handle, t, out);
    return out;
}

enum { RESULTS = 4 };

/* Output, pads, dilation and groups of a row. A transposed row is the gradient of a convolution
 * from h * sh to h. */
static void shape_linear(const conv_row *c, mien_linear_desc *d) {
    const linear_row *r = &c->row;
    const int span_h = (r->kh - 1) * c->dilation + 1, span_w = (r->kw - 1) * c->dilation + 1;
    d->out = (mien_shape){1, 1, 1, r->oc};
    d->dilation_h = d->dilation_w = c->dilation;
    d->groups = c->groups;
    d->transposed = c->transposed;
    if (d->dense) return;
    const bool same = r->padding == MIEN_SAME;
    const int large_h = c->transposed ? r->h * r->sh + (same ? 0 : span_h - r->sh) : r->h;
    const int large_w = c->transposed ? r->w * r->sw + (same ? 0 : span_w - r->sw) : r->w;
    d->out.h = mien_conv_axis(large_h, span_h, r->sh, r->padding, &d->pad_top, &d->pad_bottom);
    d->out.w = mien_conv_axis(large_w, span_w, r->sw, r->padding, &d->pad_left, &d->pad_right);
    if (!c->transposed) return;
    assert_true(d->out.h == r->h && d->out.w == r->w);
    d->out.h = large_h;
    d->out.w = large_w;
}

/* Results of all three passes: y, dx, dw, db. The backward passes run twice, the second time
 * accumulating. */
static void run_linear(mien_backend *b, const conv_row *row, double *results[RESULTS],
                       size_t counts[RESULTS]) {
    const linear_row *r = &row->row;
    mien_linear_desc d = {.name = "it",
                          .dense = r->padding < 0,
                          .in = {1, r->h, r->w, r->ic},
                          .kernel_h = r->kh,
                          .kernel_w = r->kw,
                          .stride_h = r->sh,
                          .stride_w = r->sw,
                          .bias = true,
                          .alpha = 1,
                          .training = true,
                          .needs_dx = true,
                          .accumulates_dx = true,
                          .accumulates_dw = true};
    shape_linear(row, &d);
    const mien_shape in = {r->n, r->h, r->w, r->ic}, out = {r->n, d.out.h, d.out.w, r->oc};
    const size_t weights = mien_linear_weights(&d);
    mien_linear *op;
    void *w, *dw, *scratch;
    expect_ok(b->ops->linear_create(b, &d, &op));
    expect_ok(b->ops->linear_prepare(op, r->n));
    expect_ok(b->ops->alloc(b, b->ops->linear_weight_bytes(op), &w));
    expect_ok(b->ops->alloc(b, b->ops->linear_weight_bytes(op), &dw));
    expect_ok(b->ops->alloc(b, b->ops->linear_scratch_bytes(op), &scratch));
    double *values = integers(weights, 3, 4);
    float *hwio = calloc(weights, sizeof *hwio);
    assert_non_null(hwio);
    for (size_t i = 0; i < weights; i++)
        hwio[i] = (float)values[i];
    expect_ok(b->ops->weights_upload(op, w, hwio));
    const mien_tensor x = make(b, in, 1), y = make(b, out, 0), dy = make(b, out, 2);
    const mien_tensor dx = make(b, in, 0), bias = make(b, (mien_shape){1, 1, 1, r->oc}, 3);
    const mien_tensor db = make(b, (mien_shape){1, 1, 1, r->oc}, 0);
    expect_ok(b->ops->linear_forward(op, &y, &x, w, bias.data, scratch));
    for (int again = 0; again < 2; again++) {
        expect_ok(b->ops->linear_backward_data(op, &dx, &dy, w, NULL, scratch, again));
        expect_ok(b->ops->linear_backward_filter(op, dw, db.data, &dy, &x, scratch, again));
    }
    expect_ok(b->ops->weights_download(op, hwio, dw));
    for (size_t i = 0; i < weights; i++)
        values[i] = (double)hwio[i];
    results[0] = take(b, &y);
    results[1] = take(b, &dx);
    results[2] = values;
    results[3] = take(b, &db);
    counts[0] = mien_shape_count(out);
    counts[1] = mien_shape_count(in);
    counts[2] = weights;
    counts[3] = (size_t)r->oc;
    free(hwio);
    void *const blocks[] = {w, dw, scratch, x.data, y.data, dy.data, dx.data, bias.data, db.data};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        b->ops->free(b, blocks[i]);
    b->ops->linear_free(op);
}

static void check_convs(const conv_row *rows, size_t count) {
    static const char *const names[RESULTS] = {"y", "dx", "dw", "db"};
    const unsigned saved = mien_float_enter();
    for (size_t i = 0; i < count; i++) {
        double *want[RESULTS], *got[RESULTS];
        size_t sizes[RESULTS];
        const linear_row *r = &rows[i].row;
        run_linear(plain, &rows[i], want, sizes);
        run_linear(onednn, &rows[i], got, sizes);
        for (int k = 0; k < RESULTS; k++) {
            for (size_t e = 0; e < sizes[k]; e++)
                if (got[k][e] != want[k][e])
                    fail_msg(
                        "row %zu, batch %d, %dx%dx%d to %d, kernel %dx%d, stride %dx%d, dilation "
                        "%d, groups %d%s: %s[%zu] is %g by oneDNN, %g by loops",
                        i, r->n, r->h, r->w, r->ic, r->oc, r->kh, r->kw, r->sh, r->sw,
                        rows[i].dilation, rows[i].groups, rows[i].transposed ? ", transposed" : "",
                        names[k], e, got[k][e], want[k][e]);
            free(want[k]);
            free(got[k]);
        }
    }
    mien_float_leave(saved);
}

static void check_linear(const linear_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const conv_row row = {rows[i], 1, 1, false};
        check_convs(&row, 1);
    }
}

static void test_integer_conv(void **state) {
    (void)state;
    static const linear_row rows[] = {
        {1, 5, 5, 1, 1, 3, 3, 1, 1, MIEN_VALID},    {1, 48, 48, 1, 32, 3, 3, 1, 1, MIEN_VALID},
        {3, 9, 7, 1, 8, 3, 3, 1, 1, MIEN_SAME},     {2, 8, 8, 3, 16, 3, 3, 1, 1, MIEN_SAME},
        {1, 17, 13, 3, 16, 3, 3, 2, 2, MIEN_SAME},  {4, 16, 16, 3, 32, 5, 5, 2, 2, MIEN_SAME},
        {1, 7, 7, 16, 16, 3, 3, 1, 1, MIEN_SAME},   {5, 12, 12, 16, 32, 3, 3, 1, 1, MIEN_VALID},
        {2, 24, 24, 16, 16, 3, 3, 1, 1, MIEN_SAME}, {2, 9, 10, 32, 16, 3, 3, 2, 2, MIEN_SAME},
        {3, 10, 9, 32, 48, 3, 3, 2, 2, MIEN_SAME},  {2, 6, 6, 17, 5, 3, 3, 1, 1, MIEN_SAME},
        {1, 6, 5, 17, 19, 3, 3, 2, 2, MIEN_SAME},   {2, 7, 9, 16, 33, 1, 1, 1, 1, MIEN_VALID},
        {3, 9, 9, 32, 64, 1, 1, 2, 2, MIEN_SAME},   {2, 9, 6, 7, 3, 1, 1, 3, 2, MIEN_VALID},
        {1, 6, 8, 2, 16, 2, 3, 1, 2, MIEN_SAME},    {2, 5, 8, 16, 2, 4, 4, 1, 1, MIEN_SAME},
        {2, 3, 3, 16, 16, 7, 7, 1, 1, MIEN_SAME},   {1, 11, 9, 24, 40, 3, 2, 3, 1, MIEN_SAME},
        {16, 6, 6, 8, 8, 3, 3, 1, 1, MIEN_SAME},    {17, 5, 5, 64, 64, 3, 3, 1, 1, MIEN_SAME},
        {7, 4, 4, 48, 16, 3, 3, 1, 1, MIEN_SAME},   {1, 1, 1, 16, 16, 1, 1, 1, 1, MIEN_VALID},
    };
    check_linear(rows, sizeof rows / sizeof rows[0]);
}

static void test_integer_groups(void **state) {
    (void)state;
    static const conv_row rows[] = {
        {{2, 9, 8, 3, 4, 3, 3, 1, 1, MIEN_VALID}, 2, 1, false},
        {{3, 7, 9, 16, 32, 3, 3, 1, 1, MIEN_SAME}, 2, 1, false},
        {{1, 9, 9, 17, 5, 3, 2, 1, 1, MIEN_SAME}, 3, 1, false},
        {{2, 6, 5, 6, 9, 3, 3, 1, 1, MIEN_SAME}, 1, 3, false},
        {{2, 8, 7, 32, 32, 3, 3, 2, 2, MIEN_SAME}, 1, 2, false},
        {{1, 8, 7, 32, 64, 3, 3, 1, 1, MIEN_SAME}, 1, 4, false},
        {{3, 7, 6, 34, 34, 1, 1, 1, 1, MIEN_VALID}, 1, 2, false},
        {{2, 7, 6, 16, 16, 3, 3, 1, 1, MIEN_SAME}, 1, 16, false},
        {{3, 9, 8, 32, 32, 3, 3, 2, 2, MIEN_SAME}, 1, 32, false},
        {{2, 6, 7, 5, 5, 3, 3, 1, 1, MIEN_VALID}, 1, 5, false},
        {{1, 6, 7, 24, 24, 5, 5, 1, 1, MIEN_SAME}, 1, 24, false},
        {{2, 6, 7, 16, 32, 3, 3, 1, 1, MIEN_SAME}, 1, 16, false},
        {{2, 6, 7, 3, 9, 3, 2, 1, 2, MIEN_SAME}, 1, 3, false},
        {{2, 9, 9, 16, 16, 3, 3, 1, 1, MIEN_SAME}, 2, 16, false},
        {{17, 5, 5, 64, 64, 3, 3, 1, 1, MIEN_SAME}, 1, 64, false},
        {{2, 4, 5, 3, 4, 3, 3, 1, 1, MIEN_VALID}, 1, 1, true},
        {{2, 4, 5, 16, 16, 3, 3, 2, 2, MIEN_SAME}, 1, 1, true},
        {{3, 3, 5, 16, 32, 3, 3, 2, 2, MIEN_VALID}, 1, 1, true},
        {{1, 5, 4, 17, 5, 4, 3, 2, 3, MIEN_SAME}, 1, 1, true},
        {{2, 5, 4, 8, 3, 2, 2, 2, 2, MIEN_SAME}, 1, 1, true},
        {{2, 6, 5, 16, 16, 3, 3, 1, 1, MIEN_SAME}, 2, 1, true},
        {{1, 3, 4, 64, 1, 5, 5, 2, 2, MIEN_SAME}, 1, 1, true},
        {{2, 1, 1, 5, 7, 4, 4, 1, 1, MIEN_VALID}, 1, 1, true},
    };
    check_convs(rows, sizeof rows / sizeof rows[0]);
}

static void test_integer_dense(void **state) {
    (void)state;
    static const linear_row rows[] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 1, -1},   {1, 1, 1, 16, 7, 1, 1, 1, 1, -1},
        {5, 1, 1, 17, 3, 1, 1, 1, 1, -1},  {64, 1, 1, 128, 64, 1, 1, 1, 1, -1},
        {3, 1, 1, 513, 7, 1, 1, 1, 1, -1}, {33, 1, 1, 2048, 32, 1, 1, 1, 1, -1},
        {16, 1, 1, 8, 2, 1, 1, 1, 1, -1},
    };
    check_linear(rows, sizeof rows / sizeof rows[0]);
}

/* Pooling through the backend's operations: NHWC in one backend, blocks in the other. Indices are
 * compared through the gradient. */
static double *run_pool(mien_backend *b, mien_shape in, mien_shape out, const mien_pool *p,
                        const mien_pool_tail *tail) {
    const mien_tensor x = make(b, in, 6), y = make(b, out, 0), dy = make(b, out, 7);
    const mien_tensor dx = make(b, in, 0);
    void *index;
    expect_ok(b->ops->alloc(b, mien_shape_count(out) * mien_pool_index_bytes(p), &index));
    expect_ok(b->ops->pool_forward(b, &y, index, &x, p, tail));
    expect_ok(b->ops->pool_backward(b, &dx, &dy, index, p, tail, false));
    const size_t first = mien_shape_count(out), second = mien_shape_count(in);
    double *both = numbers(first + second), *forward = take(b, &y), *backward = take(b, &dx);
    memcpy(both, forward, first * sizeof *both);
    memcpy(both + first, backward, second * sizeof *both);
    free(forward);
    free(backward);
    void *const blocks[] = {x.data, y.data, dy.data, dx.data, index};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        b->ops->free(b, blocks[i]);
    return both;
}

static void test_integer_pooling(void **state) {
    (void)state;
    static const linear_row rows[] = {
        {1, 6, 6, 1, 0, 2, 2, 2, 2, MIEN_VALID},    {2, 7, 5, 16, 0, 3, 3, 2, 2, MIEN_SAME},
        {3, 8, 9, 17, 0, 3, 3, 1, 1, MIEN_SAME},    {2, 9, 8, 32, 0, 2, 2, 2, 2, MIEN_SAME},
        {1, 5, 4, 48, 0, 5, 4, 5, 4, MIEN_VALID},   {5, 6, 6, 64, 0, 4, 4, 1, 1, MIEN_VALID},
        {2, 48, 48, 32, 0, 2, 2, 2, 2, MIEN_VALID}, {2, 33, 18, 32, 0, 16, 16, 8, 1, MIEN_VALID},
        {1, 32, 17, 16, 0, 15, 17, 3, 3, MIEN_SAME}};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        const linear_row *r = &rows[i / 2];
        mien_pool p = {i % 2, r->kh, r->kw, r->sh, r->sw, 0, 0};
        int after;
        const mien_shape in = {r->n, r->h, r->w, r->ic};
        mien_shape out = in;
        out.h = mien_conv_axis(r->h, r->kh, r->sh, r->padding, &p.pad_top, &after);
        out.w = mien_conv_axis(r->w, r->kw, r->sw, r->padding, &p.pad_left, &after);
        const mien_pool_tail alone = {0};
        double *want = run_pool(plain, in, out, &p, &alone);
        double *got = run_pool(onednn, in, out, &p, &alone);
        for (size_t e = 0; e < mien_shape_count(out) + mien_shape_count(in); e++)
            if (got[e] != want[e])
                fail_msg("pooling row %zu: element %zu is %g in blocks, %g in NHWC", i, e, got[e],
                         want[e]);
        free(want);
        free(got);
    }
}

/* Fused max pooling gives the results of ReLU, pooling and dropout in sequence. */
static void check_fused_pooling(mien_backend *b, const linear_row *r) {
    const mien_pool p = {false, r->kh, r->kw, r->sh, r->sw, 0, 0};
    const mien_shape in = {r->n, r->h, r->w, r->ic};
    mien_shape out = in;
    int before, after;
    out.h = mien_conv_axis(r->h, r->kh, r->sh, MIEN_VALID, &before, &after);
    out.w = mien_conv_axis(r->w, r->kw, r->sw, MIEN_VALID, &before, &after);
    body_step step;
    memset(&step, 0, sizeof step);
    body_step_start(&step, 7, 0.9, 0.999);
    const mien_dropout drop = {.rate = 0.25, .stream = RNG_DROPOUT + 5, .state = &step, .first = 3};
    const mien_pool_tail alone = {0}, both = {.relu_mask = true, .dropout = &drop};
    const mien_tensor x = make(b, in, 6), y = make(b, out, 0), dy = make(b, out, 7);
    const mien_tensor dx = make(b, in, 0), y2 = make(b, out, 0), dx2 = make(b, in, 0);
    void *index;
    expect_ok(b->ops->alloc(b, mien_shape_count(out) * mien_pool_index_bytes(&p), &index));
    expect_ok(b->ops->activation_forward(b, &x, &x, BODY_RELU, 0));
    expect_ok(b->ops->pool_forward(b, &y, index, &x, &p, &both));
    expect_ok(b->ops->pool_backward(b, &dx, &dy, index, &p, &both, false));
    expect_ok(b->ops->pool_forward(b, &y2, index, &x, &p, &alone));
    expect_ok(b->ops->dropout(b, &y2, &y2, &drop, false));
    expect_ok(b->ops->dropout(b, &dy, &dy, &drop, false));
    expect_ok(b->ops->pool_backward(b, &dx2, &dy, index, &p, &alone, false));
    expect_ok(b->ops->activation_backward(b, &dx2, &dx2, NULL, &x, BODY_RELU, 0, false));
    double *got = take(b, &y), *want = take(b, &y2);
    assert_memory_equal(got, want, mien_shape_count(out) * sizeof *got);
    double *got_dx = take(b, &dx), *want_dx = take(b, &dx2);
    for (size_t i = 0; i < mien_shape_count(in); i++)
        assert_true(got_dx[i] == want_dx[i]); /* == ignores the sign of zero */
    double *const lists[] = {got, want, got_dx, want_dx};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        free(lists[i]);
    void *const blocks[] = {x.data, y.data, dy.data, dx.data, y2.data, dx2.data, index};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        b->ops->free(b, blocks[i]);
}

static void test_fused_pooling(void **state) {
    (void)state;
    static const linear_row rows[] = {
        {2, 8, 8, 32, 0, 2, 2, 2, 2, 0},    {1, 9, 7, 16, 0, 2, 2, 2, 2, 0},
        {2, 9, 9, 48, 0, 3, 3, 2, 2, 0},    {3, 6, 6, 7, 0, 2, 2, 2, 2, 0},
        {1, 44, 44, 64, 0, 2, 2, 2, 2, 0},  {2, 20, 19, 16, 0, 16, 16, 2, 1, 0},
        {1, 31, 18, 32, 0, 15, 17, 4, 1, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_fused_pooling(onednn, &rows[i]);
        check_fused_pooling(plain, &rows[i]);
    }
}

/* Among equal maxima the first one of a window gets the gradient, as in TensorFlow. */
static void test_pooling_ties(void **state) {
    (void)state;
    const cpu_dims xd = {1, 4, 4, 1, 1}, yd = {1, 2, 2, 1, 1};
    const cpu_window p = {2, 2, 2, 2, 0, 0};
    const float x[16] = {0}, dy[4] = {1, 2, 3, 4};
    const float want[16] = {1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0};
    float y[4], dx[16];
    uint8_t index[4];
    cpu_of(plain)->kernels->max_pool_forward(y, index, x, xd, yd, p, false, NULL);
    cpu_of(plain)->kernels->max_pool_backward(dx, dy, index, xd, yd, p, 0, false);
    assert_memory_equal(dx, want, sizeof dx);
}

/* The last of as many positions as a byte can number, and one more: the largest number of either
 * type means that no gradient goes back. */
static void test_last_position(void **state) {
    (void)state;
    static const cpu_window windows[] = {{15, 17, 15, 17, 0, 0}, {16, 16, 16, 16, 0, 0}};
    for (int i = 0; i < 4; i++) {
        const cpu_window p = windows[i / 2];
        const int size = p.kernel_h * p.kernel_w;
        const cpu_dims xd = {1, p.kernel_h, p.kernel_w, 1, 1}, yd = {1, 1, 1, 1, 1};
        const bool relu_mask = i % 2;
        float x[256], dx[256], y = 0;
        const float dy = 3;
        uint16_t index = 0;
        for (int k = 0; k < size; k++)
            x[k] = (float)(k - size) + 0.5f + (relu_mask ? 0 : 1);
        cpu_of(plain)->kernels->max_pool_forward(&y, &index, x, xd, yd, p, relu_mask, NULL);
        cpu_of(plain)->kernels->max_pool_backward(dx, &dy, &index, xd, yd, p, 0, false);
        for (int k = 0; k < size; k++)
            assert_true(dx[k] == (k == size - 1 && !relu_mask ? dy : 0));
    }
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_conv),
        cmocka_unit_test(test_integer_groups),
        cmocka_unit_test(test_integer_dense),
        cmocka_unit_test(test_integer_pooling),
        cmocka_unit_test(test_fused_pooling),
        cmocka_unit_test(test_pooling_ties),
        cmocka_unit_test(test_last_position),
        cmocka_unit_test(test_isa_activations),
        cmocka_unit_test(test_isa_dropout),
        cmocka_unit_test(test_isa_pooling),
        cmocka_unit_test(test_isa_gather),
        cmocka_unit_test(test_isa_optimizers),
        cmocka_unit_test(test_isa_loss),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_philox),
        cmocka_unit_test(test_drawn_words),
        cmocka_unit_test(test_dropout_layout),
        cmocka_unit_test(test_dropout_threads),
        cmocka_unit_test(test_dropout_micro_batches),
        cmocka_unit_test(test_augment_layout),
        cmocka_unit_test(test_augment_threads),
        cmocka_unit_test(test_augment_micro_batches),
        cmocka_unit_test(test_moves_same_bits),
        cmocka_unit_test(test_channel_words),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_batchnorm_definition),
        cmocka_unit_test(test_batchnorm_same_bits),
        cmocka_unit_test(test_batchnorm_bad_batch),
        cmocka_unit_test(test_winograd_algebra),
        cmocka_unit_test(test_winograd_shared_sums),
        cmocka_unit_test(test_winograd_isas),
        cmocka_unit_test(test_winograd_isas_shared),
        cmocka_unit_test(test_winograd_in_the_backend),
        cmocka_unit_test(test_stem_algebra),
        cmocka_unit_test(test_stem_isas),
        cmocka_unit_test(test_stem_in_the_backend),
    };
    return cmocka_run_group_tests_name("parity", tests, open_backends, close_backends);
}
