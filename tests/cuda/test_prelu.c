/* PReLU: values and gradients have the bits of the CPU's loops; the parameter's gradient is summed
 * in double on both, but in a different order. */
#include <stdlib.h>

#include "tests/cuda/pair.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape x;
    body_alpha alpha;
    bool accumulate;
    int shift;
} row;

/* A slope for each element, channel, row and column; with vector access and without; parameters
 * larger than one block, and sums that need several blocks. */
static const row rows[] = {
    {{1, 1, 1, 1}, {1, 1, 1}, false, 0},    {{3, 1, 1, 17}, {1, 1, 17}, true, 0},
    {{2, 3, 5, 16}, {3, 5, 16}, false, 0},  {{2, 3, 5, 16}, {1, 1, 16}, true, 1},
    {{2, 5, 3, 24}, {5, 1, 24}, false, 0},  {{2, 5, 3, 7}, {1, 3, 1}, true, 0},
    {{4, 9, 8, 5}, {1, 1, 1}, false, 0},    {{2, 4, 6, 40}, {4, 1, 1}, true, 0},
    {{3, 31, 17, 8}, {1, 1, 8}, true, 0},   {{40, 20, 19, 3}, {1, 1, 3}, false, 0},
    {{2, 7, 11, 33}, {7, 11, 1}, false, 1},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static size_t numbers_of(body_alpha a) {
    return (size_t)a.h * (size_t)a.w * (size_t)a.c;
}

static void run_values(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    float *values = pair_floats(numbers_of(r->alpha), 41, false);
    void *alpha = device_copy(b, values, numbers_of(r->alpha) * sizeof *values);
    pair_tensor x = pair_tensor_of(b, r->x, 42, true, r->shift);
    pair_tensor y = pair_tensor_of(b, r->x, 0, true, r->shift);
    pair_tensor dy = pair_tensor_of(b, r->x, 43, true, r->shift);
    pair_tensor dx = pair_tensor_of(b, r->x, 44, true, r->shift);
    expect_ok(b->ops->prelu_forward(b, &y.t, &x.t, alpha, r->alpha));
    pair_keep(b, out, &y.t);
    expect_ok(b->ops->prelu_backward(b, &dx.t, &dy.t, &x.t, alpha, r->alpha, r->accumulate));
    pair_keep(b, out, &dx.t);
    b->ops->free(b, alpha);
    free(values);
    pair_release(b, &x);
    pair_release(b, &y);
    pair_release(b, &dy);
    pair_release(b, &dx);
}

static void run_sum(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    const size_t count = numbers_of(r->alpha);
    float *values = pair_floats(count, 45, false);
    void *dalpha = device_copy(b, values, count * sizeof *values);
    pair_tensor x = pair_tensor_of(b, r->x, 46, false, r->shift);
    pair_tensor dy = pair_tensor_of(b, r->x, 47, false, r->shift);
    expect_ok(b->ops->prelu_filter(b, dalpha, &dy.t, &x.t, r->alpha, r->accumulate));
    expect_ok(b->ops->copy_out(b, values, dalpha, count * sizeof *values));
    pair_keep_numbers(out, values, count);
    b->ops->free(b, dalpha);
    free(values);
    pair_release(b, &x);
    pair_release(b, &dy);
}

static void test_values(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++)
        pair_same(run_values, &rows[i], "prelu", i);
}

static void test_sums(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++)
        pair_near(run_sum, &rows[i], 1e-6, "prelu's gradient", i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_sums),
    };
    return pair_run_all_types(tests, sizeof tests / sizeof tests[0]);
}
