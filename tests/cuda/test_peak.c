/* What the measurement of a device's peak multiplies: no zeros, which need less power than data,
 * and the same numbers in every run. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/bench/peak.h"
#include "tests/cuda/pair.h"
#include "tests/support/test.h"

static const mien_ops *genuine;
static float *operand; /* of the last product; its weights are checked to be data, too */
static size_t count;

static void check_numbers(const float *x, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(isfinite(x[i]));
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    assert_true(fabs(sum / (double)n) < 0.1);
    assert_true(fabs(squares / (double)n - 1) < 0.1);
}

static mien_status watched(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                           const void *w, const void *bias, void *scratch) {
    mien_backend *b = pair_cuda();
    mien_tensor weights = *x; /* a square matrix, like x */
    weights.data = (void *)(uintptr_t)w;
    float *numbers = device_take(b, &weights);
    count = mien_shape_count(x->shape);
    check_numbers(numbers, count);
    free(numbers);
    free(operand);
    operand = device_take(b, x);
    check_numbers(operand, count);
    return genuine->linear_forward(op, y, x, w, bias, scratch);
}

/* One window; returns what its last product multiplied. */
static float *window(void) {
    mien_backend *b = pair_cuda();
    mien_peak peak = {.backend = b};
    genuine = b->ops;
    static mien_ops ops; /* also during the teardown after a failure */
    ops = *genuine;
    ops.linear_forward = watched;
    b->ops = &ops;
    const mien_status status = mien_peak_window(&peak);
    b->ops = genuine;
    expect_ok(status);
    assert_int_equal(peak.windows, 1);
    assert_true(peak.flops_per_second > 0);
    float *seen = operand;
    operand = NULL;
    assert_non_null(seen);
    return seen;
}

static void test_operands(void **state) {
    (void)state;
    float *first = window();
    const size_t before = count;
    float *second = window();
    assert_int_equal(count, before);
    device_same(second, first, count, "the operand of another window");
    free(first);
    free(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_operands)};
    return pair_run_all_types(tests, 1);
}
