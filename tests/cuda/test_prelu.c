/* PReLU: values and gradients have the bits of the CPU's loops; the parameter's gradient is summed
 * in double on both sides, in another order. */
#include <stdlib.h>

#include "tests/cuda/twins.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape x;
    body_alpha alpha;
    bool accumulate;
    int shift;
} row;

/* One number for each element, channel, line and column; packs and not; a parameter that is larger
 * than one block's, and sums that take several. */
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

static void run_values(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    float *values = twin_floats(numbers_of(r->alpha), 41, false);
    void *alpha = device_copy(b, values, numbers_of(r->alpha) * sizeof *values);
    twin_tensor x = twin_tensor_of(b, r->x, 42, true, r->shift);
    twin_tensor y = twin_tensor_of(b, r->x, 0, true, r->shift);
    twin_tensor dy = twin_tensor_of(b, r->x, 43, true, r->shift);
    twin_tensor dx = twin_tensor_of(b, r->x, 44, true, r->shift);
    expect_ok(b->ops->prelu_forward(b, &y.t, &x.t, alpha, r->alpha));
    twin_keep(b, out, &y.t);
    expect_ok(b->ops->prelu_backward(b, &dx.t, &dy.t, &x.t, alpha, r->alpha, r->accumulate));
    twin_keep(b, out, &dx.t);
    b->ops->free(b, alpha);
    free(values);
    twin_release(b, &x);
    twin_release(b, &y);
    twin_release(b, &dy);
    twin_release(b, &dx);
}

static void run_sum(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    const size_t count = numbers_of(r->alpha);
    float *values = twin_floats(count, 45, false);
    void *dalpha = device_copy(b, values, count * sizeof *values);
    twin_tensor x = twin_tensor_of(b, r->x, 46, false, r->shift);
    twin_tensor dy = twin_tensor_of(b, r->x, 47, false, r->shift);
    expect_ok(b->ops->prelu_filter(b, dalpha, &dy.t, &x.t, r->alpha, r->accumulate));
    expect_ok(b->ops->copy_out(b, values, dalpha, count * sizeof *values));
    twin_keep_numbers(out, values, count);
    b->ops->free(b, dalpha);
    free(values);
    twin_release(b, &x);
    twin_release(b, &dy);
}

static void test_values(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++)
        twins_same(run_values, &rows[i], "prelu", i);
}

static void test_sums(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++)
        twins_near(run_sum, &rows[i], 1e-6, "prelu's gradient", i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_sums),
    };
    return twins_all_types(tests, sizeof tests / sizeof tests[0]);
}
