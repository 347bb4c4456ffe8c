/* Pooling: values, indices and gradients have the bits of the CPU's loops; the fused bias gradient
 * is the sum of the returned gradient. */
#include <stdlib.h>
#include <string.h>

#include "kernels/body/rng.h"
#include "tests/cuda/pair.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape x;
    int oh, ow; /* of y */
    mien_pool p;
    bool relu_mask, accumulate;
    double rate; /* of the dropout that follows; 0: none */
    int shift;
} row;

/* 2x2 with vector access (even and odd sizes), with single channels, and unaligned; overlapping,
 * padded, larger than the image, one output. */
static const row rows[] = {
    {{1, 2, 2, 8}, 1, 1, {false, 2, 2, 2, 2, 0, 0}, true, false, 0.25, 0},
    {{3, 6, 8, 16}, 3, 4, {false, 2, 2, 2, 2, 0, 0}, true, false, 0, 0},
    {{2, 7, 5, 24}, 3, 2, {false, 2, 2, 2, 2, 0, 0}, false, true, 0.5, 0},
    {{5, 9, 9, 8}, 4, 4, {false, 2, 2, 2, 2, 0, 0}, false, false, 0.1, 0},
    {{2, 5, 7, 16}, 2, 3, {false, 2, 2, 2, 2, 0, 0}, true, false, 0.25, 1},
    {{9, 4, 4, 3}, 2, 2, {false, 2, 2, 2, 2, 0, 0}, true, true, 0.3, 0},
    {{1, 1, 1, 1}, 1, 1, {false, 1, 1, 1, 1, 0, 0}, true, false, 0.5, 0},
    {{2, 7, 7, 5}, 3, 3, {false, 3, 3, 2, 2, 0, 0}, false, false, 0.2, 0},
    {{2, 6, 5, 32}, 3, 3, {false, 3, 3, 2, 2, 0, 1}, true, true, 0.25, 0},
    {{3, 5, 5, 17}, 5, 5, {false, 3, 3, 1, 1, 1, 1}, true, false, 0, 0},
    {{4, 3, 6, 8}, 1, 1, {false, 3, 6, 3, 6, 0, 0}, false, false, 0.4, 0},
    {{2, 3, 3, 8}, 2, 2, {false, 2, 2, 2, 2, 0, 0}, false, false, 0, 0},
    {{600, 3, 3, 8}, 1, 1, {false, 2, 2, 2, 2, 0, 0}, true, false, 0.25, 0},
    /* the largest window of a one-byte index, and the smallest of a two-byte one */
    {{2, 16, 18, 8}, 2, 2, {false, 15, 17, 1, 1, 0, 0}, true, false, 0.25, 0},
    {{2, 17, 18, 16}, 2, 3, {false, 16, 16, 1, 1, 0, 0}, true, true, 0.25, 0},
    {{3, 16, 16, 3}, 1, 1, {false, 16, 16, 16, 16, 0, 0}, false, false, 0, 0},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static mien_shape pooled(const row *r) {
    return (mien_shape){r->x.n, r->oh, r->ow, r->x.c};
}

static void keep_index(mien_backend *b, pair_result *out, const void *index, size_t count,
                       size_t bytes) {
    uint8_t *host = malloc(count * bytes);
    float *values = malloc(count * sizeof *values);
    assert_non_null(host);
    assert_non_null(values);
    expect_ok(b->ops->copy_out(b, host, index, count * bytes));
    for (size_t i = 0; i < count; i++) { /* bf16 rounds none of them; "nowhere" becomes -1 */
        uint16_t wide;
        memcpy(&wide, host + i * bytes, bytes);
        const int position = bytes == 1 ? host[i] : wide, nowhere = bytes == 1 ? 255 : 65535;
        values[i] = position == nowhere ? -1 : (float)position;
    }
    pair_keep_numbers(out, values, count);
    free(host);
    free(values);
}

/* Ignores the sign of zero: the CPU's own loops differ in whether a gradient of -0 is written or
 * added to 0. */
static void keep_gradient(mien_backend *b, pair_result *out, const mien_tensor *dx) {
    const size_t first = out->count;
    pair_keep(b, out, dx);
    for (size_t i = first; i < out->count; i++)
        out->values[i] = out->values[i] == 0 ? 0 : out->values[i];
}

static void run_max(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    const mien_shape to = pooled(r);
    const size_t count = mien_shape_count(to);
    const body_step step = {.seed = 5, .step = 77};
    body_step *state = device_copy(b, &step, sizeof step);
    const mien_dropout drop = {
        .rate = r->rate, .stream = RNG_DROPOUT + 2, .state = state, .first = 11};
    const mien_pool_tail tail = {.relu_mask = r->relu_mask, .dropout = r->rate > 0 ? &drop : NULL};
    pair_tensor x = pair_tensor_of(b, r->x, 21, true, r->shift);
    pair_tensor y = pair_tensor_of(b, to, 0, false, r->shift);
    pair_tensor dy = pair_tensor_of(b, to, 22, !r->accumulate, r->shift);
    pair_tensor dx = pair_tensor_of(b, r->x, 23, !r->accumulate, r->shift);
    const size_t index_bytes = mien_pool_index_bytes(&r->p);
    void *index = device_copy(b, NULL, count * index_bytes);
    expect_ok(b->ops->pool_forward(b, &y.t, index, &x.t, &r->p, &tail));
    pair_keep(b, out, &y.t);
    keep_index(b, out, index, count, index_bytes);
    expect_ok(b->ops->pool_backward(b, &dx.t, &dy.t, index, &r->p, &tail, r->accumulate));
    keep_gradient(b, out, &dx.t);
    b->ops->free(b, state);
    b->ops->free(b, index);
    pair_release(b, &x);
    pair_release(b, &y);
    pair_release(b, &dy);
    pair_release(b, &dx);
}

static void test_max(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++)
        pair_same(run_max, &rows[i], "max pooling", i);
}

/* The last position of a window: the largest number of the index's type is not one of them. */
static void test_last_position(void **state) {
    (void)state;
    static const mien_pool windows[] = {{false, 15, 17, 15, 17, 0, 0},
                                        {false, 16, 16, 16, 16, 0, 0}};
    mien_backend *b = pair_cuda();
    for (int i = 0; i < 2; i++) {
        const mien_pool *p = &windows[i];
        const mien_shape in = {1, p->kernel_h, p->kernel_w, 8}, out = {1, 1, 1, 8};
        const size_t count = mien_shape_count(in);
        const mien_pool_tail tail = {.relu_mask = true};
        float *values = calloc(count, sizeof *values);
        assert_non_null(values);
        for (size_t k = count - 8; k < count; k++)
            values[k] = 1;
        mien_tensor x = device_tensor(b, in, values), dx = device_tensor(b, in, NULL);
        mien_tensor y = device_tensor(b, out, NULL), dy = device_tensor(b, out, values + count - 8);
        void *index = device_copy(b, NULL, 8 * mien_pool_index_bytes(p));
        expect_ok(b->ops->pool_forward(b, &y, index, &x, p, &tail));
        expect_ok(b->ops->pool_backward(b, &dx, &dy, index, p, &tail, false));
        float *got = device_take(b, &dx);
        device_same(got, values, count, "gradient of the last position");
        free(got);
        free(values);
        b->ops->free(b, index);
        mien_tensor *const all[] = {&x, &y, &dx, &dy};
        for (size_t k = 0; k < 4; k++)
            device_release(b, all[k]);
    }
}

/* The expected bias gradient: the sum of dx, added to the old value. */
static void bias_of(float *sum, const float *dx, mien_shape s, float before) {
    for (int c = 0; c < s.c; c++) {
        double total = before;
        for (size_t i = (size_t)c; i < mien_shape_count(s); i += (size_t)s.c)
            total += (double)dx[i];
        sum[c] = (float)total;
    }
}

static void check_bias(const row *r, bool accumulate) {
    mien_backend *b = pair_cuda();
    const size_t count = mien_shape_count(pooled(r)), c = (size_t)r->x.c;
    float *before = calloc(c, sizeof *before), *want = calloc(c, sizeof *want);
    assert_true(before && want);
    for (size_t i = 0; i < c; i++)
        before[i] = 3;
    pair_tensor x = pair_tensor_of(b, r->x, 31, false, 0);
    pair_tensor y = pair_tensor_of(b, pooled(r), 0, false, 0);
    pair_tensor dy = pair_tensor_of(b, pooled(r), 32, false, 0);
    pair_tensor dx = pair_tensor_of(b, r->x, 0, false, 0);
    mien_tensor dbias = device_params(b, c, before);
    void *index = device_copy(b, NULL, count * mien_pool_index_bytes(&r->p));
    mien_pool_tail tail = {.relu_mask = true};
    expect_ok(b->ops->pool_forward(b, &y.t, index, &x.t, &r->p, &tail));
    tail.dbias = dbias.data;
    tail.accumulate_dbias = accumulate;
    expect_ok(b->ops->pool_backward(b, &dx.t, &dy.t, index, &r->p, &tail, false));
    float *back = device_take(b, &dx.t), *got = device_take(b, &dbias);
    bias_of(want, back, r->x, accumulate ? 3 : 0);
    device_near(got, want, c, b->dtype == MIEN_F32 ? 2e-6 : 6e-3, "bias gradient");
    free(back);
    free(got);
    free(before);
    free(want);
    b->ops->free(b, index);
    device_release(b, &dbias);
    pair_release(b, &x);
    pair_release(b, &y);
    pair_release(b, &dy);
    pair_release(b, &dx);
}

static void test_bias(void **state) {
    (void)state;
    assert_true(pair_cuda()->ops->sums_bias);
    for (int i = 0; i < 2 * ROWS; i++)
        check_bias(&rows[i / 2], i % 2);
    /* so many channels that threads loop over them, and several runs of rows */
    const row many = {{11, 4, 6, 16897}, 2, 3, {false, 2, 2, 2, 2, 0, 0}, true, false, 0, 0};
    check_bias(&many, false);
}

static void run_average(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    const mien_pool_tail none = {0};
    mien_pool p = r->p;
    p.average = true;
    pair_tensor x = pair_tensor_of(b, r->x, 41, true, r->shift);
    pair_tensor y = pair_tensor_of(b, pooled(r), 0, false, r->shift);
    pair_tensor dy = pair_tensor_of(b, pooled(r), 42, true, r->shift);
    pair_tensor dx = pair_tensor_of(b, r->x, 43, true, r->shift);
    expect_ok(b->ops->pool_forward(b, &y.t, NULL, &x.t, &p, &none));
    pair_keep(b, out, &y.t);
    expect_ok(b->ops->pool_backward(b, &dx.t, &dy.t, NULL, &p, &none, r->accumulate));
    pair_keep(b, out, &dx.t);
    pair_release(b, &x);
    pair_release(b, &y);
    pair_release(b, &dy);
    pair_release(b, &dx);
}

static void test_average(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++)
        pair_same(run_average, &rows[i], "average pooling", i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max),
        cmocka_unit_test(test_last_position),
        cmocka_unit_test(test_bias),
        cmocka_unit_test(test_average),
    };
    return pair_run_all_types(tests, sizeof tests / sizeof tests[0]);
}
