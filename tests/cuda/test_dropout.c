/* Dropout and noise against the CPU's loops: the same bits in f32, and the same numbers rounded
 * once in the half types. */
#include <stdlib.h>

#include "kernels/body/rng.h"
#include "tests/cuda/pair.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape shape;
    double rate;
    uint64_t first;
    bool channels;
} row;

static const row rows[] = {
    {{1, 1, 1, 1}, 0.5, 0, false},      {{1, 1, 1, 5}, 0.25, 3, false},
    {{3, 1, 1, 17}, 0.4, 1, false},     {{2, 5, 3, 3}, 0.1, 7, false},
    {{4, 12, 12, 32}, 0.25, 64, false}, {{1, 1, 1, 1027}, 0.9, 0, false},
    {{5, 7, 1, 1}, 0, 11, false},       {{2, 3, 3, 5}, 0.75, 1000, false},
    {{1, 1, 1, 1}, 0.5, 0, true},       {{3, 5, 3, 17}, 0.4, 1, true},
    {{4, 7, 6, 32}, 0.25, 64, true},    {{2, 1, 1, 40}, 0.5, 3, true},
    {{5, 2, 90, 8}, 0.3, 7, true},
};

/* y, written and then accumulated. */
static float *run(mien_backend *b, const row *r, const float *x) {
    const body_step step = {.seed = 99, .step = 12345678901};
    body_step *state = device_copy(b, &step, sizeof step);
    const mien_dropout drop = {.rate = r->rate,
                               .stream = RNG_DROPOUT + 3,
                               .state = state,
                               .first = r->first,
                               .channels = r->channels};
    mien_tensor from = device_tensor(b, r->shape, x), to = device_tensor(b, r->shape, NULL);
    expect_ok(b->ops->dropout(b, &to, &from, &drop, false));
    expect_ok(b->ops->dropout(b, &to, &from, &drop, true));
    float *y = device_take(b, &to);
    device_release(b, &from);
    device_release(b, &to);
    b->ops->free(b, state);
    return y;
}

/* x plus noise. */
static float *run_noise(mien_backend *b, const row *r, const float *x) {
    const body_step step = {.seed = 99, .step = 12345678901};
    body_step *state = device_copy(b, &step, sizeof step);
    const mien_dropout from = {
        .rate = r->rate, .stream = RNG_DROPOUT + 3, .state = state, .first = r->first};
    mien_tensor in = device_tensor(b, r->shape, x), out = device_tensor(b, r->shape, NULL);
    expect_ok(b->ops->noise(b, &out, &in, &from));
    float *y = device_take(b, &out);
    device_release(b, &in);
    device_release(b, &out);
    b->ops->free(b, state);
    return y;
}

typedef struct backward {
    const row *r;
    bool accumulate;
    int shift; /* elements before each tensor, which prevent access in packs */
    bool fused;
} backward;

/* dx through a dropout and the ReLU before it, in one pass or in two. */
static void run_backward(mien_backend *b, const void *of, pair_result *out) {
    const backward *c = of;
    const body_step step = {.seed = 99, .step = 12345678901};
    body_step *state = device_copy(b, &step, sizeof step);
    mien_dropout drop = {
        .rate = c->r->rate, .stream = RNG_DROPOUT + 3, .state = state, .first = c->r->first};
    const mien_shape s = c->r->shape;
    pair_tensor dy = pair_tensor_of(b, s, 61, !c->accumulate, c->shift & 1);
    pair_tensor y = pair_tensor_of(b, s, 62, !c->accumulate, c->shift >> 1 & 1);
    pair_tensor dx = pair_tensor_of(b, s, 63, false, c->shift >> 2);
    expect_ok(b->ops->activation_forward(b, &y.t, &y.t, BODY_RELU, 0));
    if (c->fused) drop.relu = &y.t;
    expect_ok(b->ops->dropout(b, &dx.t, &dy.t, &drop, c->accumulate));
    if (!c->fused)
        expect_ok(b->ops->activation_backward(b, &dx.t, &dx.t, NULL, &y.t, BODY_RELU, 0, false));
    pair_keep(b, out, &dx.t);
    pair_release(b, &dy);
    pair_release(b, &y);
    pair_release(b, &dx);
    b->ops->free(b, state);
}

static void test_slope_of_relu(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].channels) continue;
        for (int k = 0; k < 16; k++) {
            const backward fused = {&rows[i], k & 1, k >> 1, true};
            pair_same(run_backward, &fused, "dx", (int)i);
        }
        const backward one = {&rows[i], false, 0, true}, two = {&rows[i], false, 0, false};
        pair_result got = {0}, want = {0};
        run_backward(pair_cuda(), &one, &got);
        run_backward(pair_cuda(), &two, &want);
        device_same(got.values, want.values, want.count, "one pass instead of two");
        free(got.values);
        free(want.values);
    }
}

/* Rounds to the device's type, once for each of the two passes. */
static void cast(float *y, size_t count) {
    for (size_t i = 0; i < count && pair_cuda()->dtype != MIEN_F32; i++)
        y[i] = pair_round(pair_round(y[i] / 2) + y[i] / 2);
}

static void test_dropout_and_noise(void **state) {
    (void)state;
    mien_backend *cuda = pair_cuda();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const size_t count = mien_shape_count(rows[i].shape);
        float *x = device_numbers(count, 3, (uint32_t)i + 1, cuda->dtype);
        float *want = run(pair_plain(), &rows[i], x), *got = run(cuda, &rows[i], x);
        cast(want, count);
        device_same(got, want, count, "y");
        float *noisy = run_noise(pair_plain(), &rows[i], x), *there = run_noise(cuda, &rows[i], x);
        for (size_t k = 0; k < count; k++)
            noisy[k] = pair_round(noisy[k]);
        device_same(there, noisy, count, "noise");
        free(noisy);
        free(there);
        free(x);
        free(want);
        free(got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dropout_and_noise),
                                       cmocka_unit_test(test_slope_of_relu)};
    return pair_run_all_types(tests, 2);
}
