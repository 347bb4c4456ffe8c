/* Activations, sums, products, scalings and copies: the bits of the CPU's loops, rounded once. */
#include <math.h>
#include <stdlib.h>

#include "tests/cuda/pair.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape shape;
    int shift; /* elements before the tensor, which prevent vector access */
    int act;
    bool accumulate, broadcast;
} row;

static const mien_shape shapes[] = {{1, 1, 1, 1},  {1, 1, 1, 3},    {2, 1, 1, 5},   {3, 5, 7, 17},
                                    {2, 9, 5, 16}, {1, 1, 1, 4105}, {7, 3, 11, 40}, {17, 1, 3, 8}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* Every shape, aligned and unaligned, writing and accumulating. */
static void every(pair_case run, const char *what, row r) {
    for (int i = 0; i < 4 * SHAPES; i++) {
        r.shape = shapes[i / 4];
        r.shift = i & 1;
        r.accumulate = i & 2;
        pair_same(run, &r, what, i);
    }
}

static void run_activation(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    pair_tensor x = pair_tensor_of(b, r->shape, 1, true, r->shift);
    pair_tensor y = pair_tensor_of(b, r->shape, 2, true, r->shift);
    pair_tensor dy = pair_tensor_of(b, r->shape, 3, true, r->shift);
    pair_tensor dx = pair_tensor_of(b, r->shape, 4, true, r->shift);
    expect_ok(
        b->ops->activation_backward(b, &dx.t, &dy.t, &x.t, &y.t, r->act, 0.2f, r->accumulate));
    pair_keep(b, out, &dx.t);
    expect_ok(b->ops->activation_backward(b, &dy.t, &dy.t, &x.t, &y.t, r->act, 0.2f, false));
    pair_keep(b, out, &dy.t);
    expect_ok(b->ops->activation_forward(b, &y.t, &x.t, r->act, 0.2f));
    pair_keep(b, out, &y.t);
    expect_ok(b->ops->activation_forward(b, &x.t, &x.t, r->act, 0.2f));
    pair_keep(b, out, &x.t);
    pair_release(b, &x);
    pair_release(b, &y);
    pair_release(b, &dy);
    pair_release(b, &dx);
}

static void test_activations(void **state) {
    (void)state;
    for (int act = BODY_LINEAR; act <= BODY_TANH; act++) {
        static const char *const names[] = {
#define NAME(id, name, from_output) #name,
            BODY_ACTIVATIONS(NAME)
#undef NAME
        };
        every(run_activation, names[act], (row){.act = act});
    }
}

static void run_linear(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    pair_tensor x = pair_tensor_of(b, r->shape, 5, true, r->shift);
    pair_tensor y = pair_tensor_of(b, r->shape, 6, true, r->shift);
    pair_tensor z = pair_tensor_of(b, r->shape, 7, true, r->shift);
    expect_ok(b->ops->add(b, &z.t, &x.t, &y.t));
    pair_keep(b, out, &z.t);
    expect_ok(b->ops->rescale(b, &y.t, &x.t, 1.7f, -0.3f, r->accumulate));
    pair_keep(b, out, &y.t);
    pair_release(b, &x);
    pair_release(b, &y);
    pair_release(b, &z);
}

static void test_sums_and_scalings(void **state) {
    (void)state;
    every(run_linear, "add and rescale", (row){0});
}

/* A plain copy must keep subnormals, which distinguishes it from a sum. */
static void run_copy(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    pair_tensor x = pair_tensor_of(b, r->shape, 8, true, r->shift);
    pair_tensor y = pair_tensor_of(b, r->shape, 9, true, 0);
    expect_ok(b->ops->copy(b, &y.t, &x.t, r->accumulate));
    pair_keep(b, out, &y.t);
    pair_release(b, &x);
    pair_release(b, &y);
}

static void test_copies(void **state) {
    (void)state;
    every(run_copy, "copy", (row){0});
}

static void run_multiply(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    const mien_shape small = {r->shape.n, 1, 1, r->shape.c};
    const mien_shape right = r->broadcast ? small : r->shape;
    pair_tensor x = pair_tensor_of(b, r->shape, 10, true, r->shift);
    pair_tensor y = pair_tensor_of(b, right, 11, true, 0);
    pair_tensor z = pair_tensor_of(b, r->shape, 0, true, 0);
    expect_ok(b->ops->multiply(b, &z.t, &x.t, &y.t));
    pair_keep(b, out, &z.t);
    pair_tensor dz = pair_tensor_of(b, r->shape, 12, true, r->shift);
    pair_tensor dx = pair_tensor_of(b, r->shape, 13, true, 0);
    pair_tensor dy = pair_tensor_of(b, right, 14, false, 0);
    expect_ok(b->ops->multiply_backward(b, &dx.t, &dy.t, &dz.t, &x.t, &y.t, r->accumulate,
                                        !r->accumulate));
    pair_keep(b, out, &dx.t);
    pair_keep(b, out, &dy.t);
    expect_ok(b->ops->multiply_backward(b, NULL, &dy.t, &dz.t, &x.t, &y.t, false, false));
    pair_keep(b, out, &dy.t);
    expect_ok(b->ops->multiply_backward(b, &dx.t, NULL, &dz.t, &x.t, &y.t, false, false));
    pair_keep(b, out, &dx.t);
    pair_release(b, &x);
    pair_release(b, &y);
    pair_release(b, &z);
    pair_release(b, &dz);
    pair_release(b, &dx);
    pair_release(b, &dy);
}

static void test_products(void **state) {
    (void)state;
    every(run_multiply, "multiply", (row){0});
    every(run_multiply, "multiply by [n,1,1,c]", (row){.broadcast = true});
}

static void run_rectify(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    const body_rectifier kinds[] = {{6, 0, 0}, {3, 0.25f, 0.5f}, {INFINITY, 0.125f, 1}};
    const body_rectifier kind = kinds[r->act];
    pair_tensor x = pair_tensor_of(b, r->shape, 15, true, r->shift);
    pair_tensor dy = pair_tensor_of(b, r->shape, 16, true, r->shift);
    pair_tensor dx = pair_tensor_of(b, r->shape, 17, true, r->shift);
    expect_ok(b->ops->rectify_backward(b, &dx.t, &dy.t, &x.t, &kind, r->accumulate));
    pair_keep(b, out, &dx.t);
    expect_ok(b->ops->rectify_forward(b, &dx.t, &x.t, &kind));
    pair_keep(b, out, &dx.t);
    pair_release(b, &x);
    pair_release(b, &dy);
    pair_release(b, &dx);
}

static void test_rectifiers(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        every(run_rectify, "rectify", (row){.act = kind});
}

enum { VALUES = 3 };

/* The second input equals the first in places: of equal values the first wins. */
static void run_maximum(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    const size_t count = mien_shape_count(r->shape);
    pair_tensor x[VALUES];
    mien_tensor views[VALUES];
    for (int i = 0; i < VALUES; i++) {
        x[i] = pair_tensor_of(b, r->shape, 18 + (uint32_t)i, i == 2, r->shift);
        views[i] = x[i].t;
    }
    float *first = pair_floats(count, 18, false), *second = pair_floats(count, 19, false);
    for (size_t i = 0; i < count; i += 2)
        second[i] = first[i];
    expect_ok(b->ops->upload(b, &x[1].t, second));
    pair_tensor y = pair_tensor_of(b, r->shape, 0, true, r->shift);
    pair_tensor dy = pair_tensor_of(b, r->shape, 21, true, r->shift);
    expect_ok(b->ops->maximum(b, &y.t, &x[0].t, &x[1].t));
    expect_ok(b->ops->maximum(b, &y.t, &y.t, &x[2].t));
    pair_keep(b, out, &y.t);
    for (int i = 0; i < VALUES; i++) {
        pair_tensor dx = pair_tensor_of(b, r->shape, 22, true, r->shift);
        expect_ok(b->ops->maximum_backward(b, &dx.t, &dy.t, &y.t, views, i, r->accumulate));
        pair_keep(b, out, &dx.t);
        pair_release(b, &dx);
    }
    for (int i = 0; i < VALUES; i++)
        pair_release(b, &x[i]);
    pair_release(b, &y);
    pair_release(b, &dy);
    free(first);
    free(second);
}

static void test_maxima(void **state) {
    (void)state;
    every(run_maximum, "maximum", (row){0});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations), cmocka_unit_test(test_sums_and_scalings),
        cmocka_unit_test(test_copies),      cmocka_unit_test(test_products),
        cmocka_unit_test(test_rectifiers),  cmocka_unit_test(test_maxima),
    };
    return pair_run_all_types(tests, sizeof tests / sizeof tests[0]);
}
