/* Softmax and the loss against the CPU's loops: the same bits in every row and its gradient, also
 * with NaN and infinity in the input. */
#include <math.h>
#include <stdlib.h>

#include "tests/cuda/pair.h"
#include "tests/support/test.h"

typedef struct row {
    int rows, classes;
    bool weights, faults;
    double scale;
} row;

static const row table[] = {
    {1, 1, false, false, 0},   {1, 7, true, false, 0},      {63, 7, false, true, 0},
    {65, 5, true, false, 128}, {3, 32, true, true, 0},      {130, 3, false, false, 65536},
    {2, 33, true, false, 0},   {5, 256, false, false, 0},   {4, 257, true, true, 64},
    {3, 1000, true, false, 0}, {70000, 2, false, false, 0},
};

typedef struct numbers_of {
    float *z, *t, *weight;
} numbers_of;

static numbers_of make(const row *r, mien_dtype dtype) {
    const size_t count = (size_t)r->rows * (size_t)r->classes, last = count - 1;
    numbers_of n = {device_numbers(count, 9, 1, dtype), device_numbers(count, 1, 2, MIEN_F32),
                    device_numbers((size_t)r->classes, 1, 3, MIEN_F32)};
    for (size_t i = 0; i < count; i++)
        n.t[i] = fabsf(n.t[i]);
    /* ties: the first class is the prediction */
    if (r->classes > 2) n.t[1] = n.t[r->classes - 1] = n.z[0] = n.z[r->classes - 1] = 16;
    if (!r->faults) return n;
    n.z[last] = INFINITY;
    n.z[count / 2] = NAN;
    n.z[r->classes] = NAN; /* the first logit of a row */
    return n;
}

/* Gradient and step state after the loss, run with and without a gradient. */
static float *run_loss(mien_backend *b, const row *r, const numbers_of *n, body_step *state) {
    const mien_shape shape = {r->rows, 1, 1, r->classes};
    body_step step = {.loss_scale = r->scale, .loss_sum = 0, .rows = 3, .correct = 1};
    body_step *on_device = device_copy(b, &step, sizeof step);
    mien_tensor z = device_tensor(b, shape, n->z), dz = device_tensor(b, shape, NULL);
    mien_tensor t = device_params(b, mien_shape_count(shape), n->t);
    mien_tensor w = device_params(b, (size_t)r->classes, n->weight);
    t.shape = shape;
    t.block = shape.c;
    const void *weight = r->weights ? w.data : NULL;
    expect_ok(b->ops->softmax_xent(b, &dz, &z, &t, weight, 2 * r->rows + 1, on_device));
    expect_ok(b->ops->copy_out(b, state, on_device, sizeof *state));
    expect_ok(b->ops->copy_in(b, on_device, &step, sizeof step));
    expect_ok(b->ops->softmax_xent(b, NULL, &z, &t, weight, 2 * r->rows + 1, on_device));
    expect_ok(b->ops->copy_out(b, &step, on_device, sizeof step));
    assert_memory_equal(&step, state, sizeof step);
    float *out = device_take(b, &dz);
    device_release(b, &z);
    device_release(b, &dz);
    device_release(b, &t);
    device_release(b, &w);
    b->ops->free(b, on_device);
    return out;
}

static void test_loss(void **state) {
    (void)state;
    mien_backend *cuda = pair_cuda();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const row *r = &table[i];
        const size_t count = (size_t)r->rows * (size_t)r->classes;
        numbers_of n = make(r, cuda->dtype);
        body_step want_state, got_state;
        float *want = run_loss(pair_plain(), r, &n, &want_state);
        float *got = run_loss(cuda, r, &n, &got_state);
        for (size_t k = 0; k < count; k++)
            want[k] = pair_round(want[k]);
        device_same(got, want, count, "dlogits");
        assert_int_equal(got_state.rows, want_state.rows);
        assert_int_equal(got_state.correct, want_state.correct);
        const double off = got_state.loss_sum - want_state.loss_sum;
        if (isfinite(want_state.loss_sum))
            assert_true(r->rows == 1 ? off == 0 : fabs(off) <= 1e-12 * fabs(want_state.loss_sum));
        else
            assert_false(isfinite(got_state.loss_sum));
        free(want);
        free(got);
        free(n.z);
        free(n.t);
        free(n.weight);
    }
}

/* y; dx, written and then accumulated. */
static void run_softmax(mien_backend *b, mien_shape shape, const float *x, const float *slope,
                        float *out[2]) {
    mien_tensor from = device_tensor(b, shape, x), y = device_tensor(b, shape, NULL);
    mien_tensor dy = device_tensor(b, shape, slope), dx = device_tensor(b, shape, NULL);
    expect_ok(b->ops->softmax(b, &y, &from));
    expect_ok(b->ops->softmax_backward(b, &dx, &dy, &y, false));
    expect_ok(b->ops->softmax_backward(b, &dx, &dy, &y, true));
    out[0] = device_take(b, &y);
    out[1] = device_take(b, &dx);
    device_release(b, &from);
    device_release(b, &y);
    device_release(b, &dy);
    device_release(b, &dx);
}

static void test_softmax(void **state) {
    (void)state;
    static const mien_shape shapes[] = {{1, 1, 1, 1},  {2, 3, 5, 3},   {65, 1, 1, 7},
                                        {1, 2, 2, 32}, {3, 1, 1, 300}, {1, 1, 2, 1001}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const size_t count = mien_shape_count(shapes[i]);
        float *x = device_numbers(count, 9, 4, MIEN_F32),
              *dy = device_numbers(count, 1, 5, MIEN_F32);
        float *want[2], *got[2];
        run_softmax(pair_plain(), shapes[i], x, dy, want);
        run_softmax(pair_cuda(), shapes[i], x, dy, got);
        device_same(got[0], want[0], count, "y");
        device_same(got[1], want[1], count, "dx");
        for (int k = 0; k < 2; k++) {
            free(want[k]);
            free(got[k]);
        }
        free(x);
        free(dy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loss)};
    const struct CMUnitTest floats[] = {cmocka_unit_test(test_softmax)};
    return pair_run_all_types(tests, 1) + pair_run_f32(floats, 1);
}
