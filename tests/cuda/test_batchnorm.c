/* Batch normalisation beside the CPU's: sums are taken in another order, so results agree within
 * their norm; and what must hold exactly: a bad batch, the bits of a repetition. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/cuda/twins.h"

typedef struct row {
    mien_shape x;
    int act;
    bool frozen, accumulate, plain; /* plain: neither gamma nor beta */
    float mean;                     /* of x, whose deviation is about 0.6 */
    int shift;
    int part; /* of the results: enum part */
} row;

enum part { VALUES, GRADIENT, STATISTICS, RUNNING, SUMS, PARTS };

static const row rows[] = {
    {.x = {3, 9, 7, 32}, .act = BODY_LINEAR, .accumulate = true},
    {.x = {5, 8, 8, 24}, .act = BODY_RELU},
    {.x = {70, 3, 3, 16}, .act = BODY_RELU, .mean = 2},
    {.x = {2, 5, 7, 3}, .act = BODY_RELU, .accumulate = true},
    {.x = {9, 4, 5, 17}, .act = BODY_LINEAR, .plain = true},
    {.x = {4, 3, 3, 130}, .act = BODY_RELU},
    {.x = {67, 1, 1, 20}, .act = BODY_RELU, .shift = 1},
    {.x = {2, 1, 2, 1}, .act = BODY_LINEAR},
    {.x = {1, 24, 24, 520}, .act = BODY_RELU},
    {.x = {3, 9, 7, 32}, .act = BODY_RELU, .frozen = true},
    {.x = {2, 5, 7, 5}, .act = BODY_LINEAR, .frozen = true, .accumulate = true},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* Everything that one layer's batch normalisation owns, on a backend. */
typedef struct layer {
    twin_tensor x, y, dy, dx;
    mien_tensor gamma, beta, running_mean, running_variance, mean, inverse, dgamma, dbeta;
    mien_batchnorm norm;
} layer;

static mien_tensor vector(mien_backend *b, int c, uint32_t seed, float around) {
    float *values = device_numbers((size_t)c, 0.4f, seed, MIEN_F32);
    for (int i = 0; i < c; i++)
        values[i] += around;
    const mien_tensor out = device_params(b, (size_t)c, values);
    free(values);
    return out;
}

static layer layer_of(mien_backend *b, const row *r) {
    const int c = r->x.c;
    const size_t count = mien_shape_count(r->x);
    layer l = {.x = twin_tensor_of(b, r->x, 0, false, r->shift),
               .y = twin_tensor_of(b, r->x, 0, false, r->shift),
               .dy = twin_tensor_of(b, r->x, 52, false, r->shift),
               .dx = twin_tensor_of(b, r->x, 53, false, r->shift),
               .gamma = vector(b, c, 54, 1),
               .beta = vector(b, c, 55, 0.1f),
               .running_mean = vector(b, c, 56, r->mean),
               .running_variance = vector(b, c, 57, 0.6f),
               .mean = vector(b, c, 58, 0),
               .inverse = vector(b, c, 59, 0),
               .dgamma = vector(b, c, 60, 0),
               .dbeta = vector(b, c, 61, 0)};
    float *x = twin_floats(count, 51, false);
    for (size_t i = 0; r->mean != 0 && i < count; i++)
        x[i] = truncf(x[i] * 64) / 64 + r->mean; /* a mean of 2 leaves bf16 six bits of it */
    expect_ok(b->ops->upload(b, &l.x.t, x));
    free(x);
    l.norm = (mien_batchnorm){.gamma = r->plain ? NULL : l.gamma.data,
                              .beta = r->plain ? NULL : l.beta.data,
                              .running_mean = l.running_mean.data,
                              .running_variance = l.running_variance.data,
                              .mean = l.mean.data,
                              .inverse_deviation = l.inverse.data,
                              .dgamma = l.dgamma.data,
                              .dbeta = l.dbeta.data,
                              .momentum = 0.9f,
                              .epsilon = 1e-3f,
                              .activation = r->act};
    return l;
}

static void release(mien_backend *b, layer *l) {
    twin_tensor *const tensors[] = {&l->x, &l->y, &l->dy, &l->dx};
    mien_tensor *const vectors[] = {&l->gamma, &l->beta,    &l->running_mean, &l->running_variance,
                                    &l->mean,  &l->inverse, &l->dgamma,       &l->dbeta};
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++)
        twin_release(b, tensors[i]);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        device_release(b, vectors[i]);
}

static void run(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    layer l = layer_of(b, r);
    if (r->frozen)
        expect_ok(b->ops->batchnorm_infer(b, &l.y.t, &l.x.t, &l.norm));
    else
        expect_ok(b->ops->batchnorm_train(b, &l.y.t, &l.x.t, &l.norm));
    expect_ok(b->ops->batchnorm_backward(b, &l.dx.t, &l.dy.t, &l.x.t, &l.y.t, &l.norm, r->frozen,
                                         r->accumulate));
    const mien_tensor *const parts[PARTS][2] = {{&l.y.t},
                                                {&l.dx.t},
                                                {&l.mean, &l.inverse},
                                                {&l.running_mean, &l.running_variance},
                                                {&l.dgamma, &l.dbeta}};
    for (int i = 0; i < 2 && parts[r->part][i]; i++)
        twin_keep(b, out, parts[r->part][i]);
    release(b, &l);
}

static double narrowness(void) {
    return twin_cuda()->dtype == MIEN_F32 ? 0 : twin_cuda()->dtype == MIEN_BF16 ? 4e-3 : 5e-4;
}

static void test_against_cpu(void **state) {
    (void)state;
    static const char *const names[PARTS] = {"y", "dx", "statistics", "running statistics",
                                             "dgamma and dbeta"};
    for (int i = 0; i < ROWS * PARTS; i++) {
        row r = rows[i / PARTS];
        r.part = i % PARTS;
        const double most = r.part <= GRADIENT ? 3e-6 + narrowness() : 3e-6;
        twins_near(run, &r, most, names[r.part], i / PARTS);
    }
}

/* A mean a thousand times the deviation: squares around zero would leave no bit of the variance. */
static void test_large_mean(void **state) {
    (void)state;
    if (twin_cuda()->dtype != MIEN_F32) return; /* such numbers do not exist there */
    const row r = {.x = {9, 6, 7, 20}, .act = BODY_LINEAR, .mean = 600, .part = STATISTICS};
    twins_near(run, &r, 1e-6, "statistics", 0);
    const row far = {.x = {9, 6, 7, 16}, .act = BODY_LINEAR, .mean = -5000, .part = RUNNING};
    twins_near(run, &far, 1e-6, "running statistics", 0);
}

/* A number that is not finite shows, and the running statistics stay as they were. */
static void test_bad_batch(void **state) {
    (void)state;
    static const float bad[] = {INFINITY, NAN, -INFINITY};
    mien_backend *b = twin_cuda();
    const row r = {.x = {4, 6, 6, 16}, .act = BODY_LINEAR};
    const size_t count = mien_shape_count(r.x);
    for (size_t i = 0; i < 3; i++) {
        layer l = layer_of(b, &r);
        float *x = twin_floats(count, 51, false), *before = device_take(b, &l.running_mean);
        x[700 * (i + 1)] = bad[i];
        const int channel = (int)(700 * (i + 1) % 16);
        expect_ok(b->ops->upload(b, &l.x.t, x));
        expect_ok(b->ops->batchnorm_train(b, &l.y.t, &l.x.t, &l.norm));
        float *mean = device_take(b, &l.mean), *after = device_take(b, &l.running_mean);
        for (int c = 0; c < 16; c++) {
            assert_true(isfinite(mean[c]) == (c != channel));
            assert_true((before[c] == after[c]) == (c == channel));
        }
        free(x);
        free(before);
        free(mean);
        free(after);
        release(b, &l);
    }
}

/* Without dx, without the vectors' gradients: what is left is the same. */
static void test_parts_alone(void **state) {
    (void)state;
    mien_backend *b = twin_cuda();
    const row r = {.x = {5, 8, 8, 24}, .act = BODY_RELU};
    for (int frozen = 0; frozen < 2; frozen++) {
        layer both = layer_of(b, &r), alone = layer_of(b, &r);
        layer *const all[] = {&both, &alone};
        for (int i = 0; i < 2; i++)
            expect_ok(b->ops->batchnorm_train(b, &all[i]->y.t, &all[i]->x.t, &all[i]->norm));
        expect_ok(b->ops->batchnorm_backward(b, &both.dx.t, &both.dy.t, &both.x.t, &both.y.t,
                                             &both.norm, frozen, false));
        expect_ok(b->ops->batchnorm_backward(b, NULL, &alone.dy.t, &alone.x.t, &alone.y.t,
                                             &alone.norm, frozen, false));
        float *want = device_take(b, &both.dgamma), *got = device_take(b, &alone.dgamma);
        device_same(got, want, 24, "dgamma alone");
        free(want);
        free(got);
        alone.norm.dgamma = alone.norm.dbeta = NULL;
        expect_ok(b->ops->batchnorm_backward(b, &alone.dx.t, &alone.dy.t, &alone.x.t, &alone.y.t,
                                             &alone.norm, frozen, false));
        want = device_take(b, &both.dx.t);
        got = device_take(b, &alone.dx.t);
        device_same(got, want, mien_shape_count(r.x), "dx alone");
        free(want);
        free(got);
        release(b, &both);
        release(b, &alone);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_cpu),
        cmocka_unit_test(test_large_mean),
        cmocka_unit_test(test_bad_batch),
        cmocka_unit_test(test_parts_alone),
    };
    return twins_all_types(tests, sizeof tests / sizeof tests[0]);
}
