/* Activations, sums, products, scalings and copies: the bits of the CPU's loops, rounded once. */
#include <math.h>
#include <stdlib.h>

#include "tests/cuda/twins.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape shape;
    int shift; /* numbers before the tensor: no packs then */
    int act;
    bool accumulate, broadcast;
} row;

static const mien_shape shapes[] = {{1, 1, 1, 1},  {1, 1, 1, 3},    {2, 1, 1, 5},   {3, 5, 7, 17},
                                    {2, 9, 5, 16}, {1, 1, 1, 4105}, {7, 3, 11, 40}, {17, 1, 3, 8}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* Every shape, in packs and not, writing and adding. */
static void every(twin_case run, const char *what, row r) {
    for (int i = 0; i < 4 * SHAPES; i++) {
        r.shape = shapes[i / 4];
        r.shift = i & 1;
        r.accumulate = i & 2;
        twins_same(run, &r, what, i);
    }
}

static void run_activation(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    twin_tensor x = twin_tensor_of(b, r->shape, 1, true, r->shift);
    twin_tensor y = twin_tensor_of(b, r->shape, 2, true, r->shift);
    twin_tensor dy = twin_tensor_of(b, r->shape, 3, true, r->shift);
    twin_tensor dx = twin_tensor_of(b, r->shape, 4, true, r->shift);
    expect_ok(
        b->ops->activation_backward(b, &dx.t, &dy.t, &x.t, &y.t, r->act, 0.2f, r->accumulate));
    twin_keep(b, out, &dx.t);
    expect_ok(b->ops->activation_backward(b, &dy.t, &dy.t, &x.t, &y.t, r->act, 0.2f, false));
    twin_keep(b, out, &dy.t);
    expect_ok(b->ops->activation_forward(b, &y.t, &x.t, r->act, 0.2f));
    twin_keep(b, out, &y.t);
    expect_ok(b->ops->activation_forward(b, &x.t, &x.t, r->act, 0.2f));
    twin_keep(b, out, &x.t);
    twin_release(b, &x);
    twin_release(b, &y);
    twin_release(b, &dy);
    twin_release(b, &dx);
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

static void run_linear(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    twin_tensor x = twin_tensor_of(b, r->shape, 5, true, r->shift);
    twin_tensor y = twin_tensor_of(b, r->shape, 6, true, r->shift);
    twin_tensor z = twin_tensor_of(b, r->shape, 7, true, r->shift);
    expect_ok(b->ops->add(b, &z.t, &x.t, &y.t));
    twin_keep(b, out, &z.t);
    expect_ok(b->ops->rescale(b, &y.t, &x.t, 1.7f, -0.3f, r->accumulate));
    twin_keep(b, out, &y.t);
    twin_release(b, &x);
    twin_release(b, &y);
    twin_release(b, &z);
}

static void test_sums_and_scalings(void **state) {
    (void)state;
    every(run_linear, "add and rescale", (row){0});
}

/* Without addition subnormals pass as they are, so that copies are told apart from sums. */
static void run_copy(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    twin_tensor x = twin_tensor_of(b, r->shape, 8, true, r->shift);
    twin_tensor y = twin_tensor_of(b, r->shape, 9, true, 0);
    expect_ok(b->ops->copy(b, &y.t, &x.t, r->accumulate));
    twin_keep(b, out, &y.t);
    twin_release(b, &x);
    twin_release(b, &y);
}

static void test_copies(void **state) {
    (void)state;
    every(run_copy, "copy", (row){0});
}

static void run_multiply(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    const mien_shape small = {r->shape.n, 1, 1, r->shape.c};
    const mien_shape right = r->broadcast ? small : r->shape;
    twin_tensor x = twin_tensor_of(b, r->shape, 10, true, r->shift);
    twin_tensor y = twin_tensor_of(b, right, 11, true, 0);
    twin_tensor z = twin_tensor_of(b, r->shape, 0, true, 0);
    expect_ok(b->ops->multiply(b, &z.t, &x.t, &y.t));
    twin_keep(b, out, &z.t);
    twin_tensor dz = twin_tensor_of(b, r->shape, 12, true, r->shift);
    twin_tensor dx = twin_tensor_of(b, r->shape, 13, true, 0);
    twin_tensor dy = twin_tensor_of(b, right, 14, false, 0);
    expect_ok(b->ops->multiply_backward(b, &dx.t, &dy.t, &dz.t, &x.t, &y.t, r->accumulate,
                                        !r->accumulate));
    twin_keep(b, out, &dx.t);
    twin_keep(b, out, &dy.t);
    expect_ok(b->ops->multiply_backward(b, NULL, &dy.t, &dz.t, &x.t, &y.t, false, false));
    twin_keep(b, out, &dy.t);
    expect_ok(b->ops->multiply_backward(b, &dx.t, NULL, &dz.t, &x.t, &y.t, false, false));
    twin_keep(b, out, &dx.t);
    twin_release(b, &x);
    twin_release(b, &y);
    twin_release(b, &z);
    twin_release(b, &dz);
    twin_release(b, &dx);
    twin_release(b, &dy);
}

static void test_products(void **state) {
    (void)state;
    every(run_multiply, "multiply", (row){0});
    every(run_multiply, "multiply by [n,1,1,c]", (row){.broadcast = true});
}

static void run_rectify(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    const body_rectifier kinds[] = {{6, 0, 0}, {3, 0.25f, 0.5f}, {INFINITY, 0.125f, 1}};
    const body_rectifier kind = kinds[r->act];
    twin_tensor x = twin_tensor_of(b, r->shape, 15, true, r->shift);
    twin_tensor dy = twin_tensor_of(b, r->shape, 16, true, r->shift);
    twin_tensor dx = twin_tensor_of(b, r->shape, 17, true, r->shift);
    expect_ok(b->ops->rectify_backward(b, &dx.t, &dy.t, &x.t, &kind, r->accumulate));
    twin_keep(b, out, &dx.t);
    expect_ok(b->ops->rectify_forward(b, &dx.t, &x.t, &kind));
    twin_keep(b, out, &dx.t);
    twin_release(b, &x);
    twin_release(b, &dy);
    twin_release(b, &dx);
}

static void test_rectifiers(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        every(run_rectify, "rectify", (row){.act = kind});
}

enum { VALUES = 3 };

/* The second is like the first here and there: equals, of which the first wins. */
static void run_maximum(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    const size_t count = mien_shape_count(r->shape);
    twin_tensor x[VALUES];
    mien_tensor views[VALUES];
    for (int i = 0; i < VALUES; i++) {
        x[i] = twin_tensor_of(b, r->shape, 18 + (uint32_t)i, i == 2, r->shift);
        views[i] = x[i].t;
    }
    float *first = twin_floats(count, 18, false), *second = twin_floats(count, 19, false);
    for (size_t i = 0; i < count; i += 2)
        second[i] = first[i];
    expect_ok(b->ops->upload(b, &x[1].t, second));
    twin_tensor y = twin_tensor_of(b, r->shape, 0, true, r->shift);
    twin_tensor dy = twin_tensor_of(b, r->shape, 21, true, r->shift);
    expect_ok(b->ops->maximum(b, &y.t, &x[0].t, &x[1].t));
    expect_ok(b->ops->maximum(b, &y.t, &y.t, &x[2].t));
    twin_keep(b, out, &y.t);
    for (int i = 0; i < VALUES; i++) {
        twin_tensor dx = twin_tensor_of(b, r->shape, 22, true, r->shift);
        expect_ok(b->ops->maximum_backward(b, &dx.t, &dy.t, &y.t, views, i, r->accumulate));
        twin_keep(b, out, &dx.t);
        twin_release(b, &dx);
    }
    for (int i = 0; i < VALUES; i++)
        twin_release(b, &x[i]);
    twin_release(b, &y);
    twin_release(b, &dy);
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
    return twins_all_types(tests, sizeof tests / sizeof tests[0]);
}
