/* Batch normalisation against the CPU. Sums are taken in another order, so results agree only
 * within a bound. Bad batches and partial outputs must agree exactly. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/pair.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape x;
    int act;
    bool frozen, accumulate, plain; /* plain: neither gamma nor beta */
    float mean;                     /* of x, whose standard deviation is about 0.6 */
    int shift;
    bool residual, adds_residual; /* has a residual; its gradient is accumulated */
    int warm_step;                /* above 0: momentum is warmed up, at this step */
    int part;                     /* which result to compare: enum part */
} row;

enum part { VALUES, GRADIENT, STATISTICS, RUNNING, SUMS, RESIDUAL, PARTS };

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
    {.x = {3, 9, 7, 32}, .act = BODY_RELU, .warm_step = 2},
    {.x = {3, 9, 7, 32}, .act = BODY_RELU, .frozen = true},
    {.x = {2, 5, 7, 5}, .act = BODY_LINEAR, .frozen = true, .accumulate = true},
    {.x = {3, 9, 7, 32}, .act = BODY_RELU, .residual = true, .adds_residual = true},
    {.x = {5, 8, 8, 24}, .act = BODY_RELU, .residual = true, .accumulate = true},
    {.x = {2, 5, 7, 3}, .act = BODY_RELU, .residual = true, .adds_residual = true},
    {.x = {9, 4, 5, 17}, .act = BODY_LINEAR, .residual = true},
    {.x = {4, 3, 3, 16}, .act = BODY_LINEAR, .residual = true, .adds_residual = true},
    {.x = {67, 1, 1, 20}, .act = BODY_RELU, .residual = true, .shift = 1},
    {.x = {1, 1, 2, 1}, .act = BODY_RELU, .residual = true},
    {.x = {3, 9, 7, 32}, .act = BODY_RELU, .residual = true, .frozen = true},
    {.x = {2, 5, 7, 5}, .act = BODY_RELU, .residual = true, .frozen = true, .accumulate = true},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* All tensors of one batch normalisation layer on a backend. */
typedef struct layer {
    pair_tensor x, y, dy, dx, residual, dresidual;
    mien_tensor gamma, beta, running_mean, running_variance, mean, inverse, dgamma, dbeta;
    void *step; /* in backend memory, or NULL */
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
    layer l = {.x = pair_tensor_of(b, r->x, 0, false, r->shift),
               .y = pair_tensor_of(b, r->x, 0, false, r->shift),
               .dy = pair_tensor_of(b, r->x, 52, false, r->shift),
               .dx = pair_tensor_of(b, r->x, 53, false, r->shift),
               .residual = pair_tensor_of(b, r->x, 62, false, r->shift),
               .dresidual = pair_tensor_of(b, r->x, 63, false, r->shift),
               .gamma = vector(b, c, 54, 1),
               .beta = vector(b, c, 55, 0.1f),
               .running_mean = vector(b, c, 56, r->mean),
               .running_variance = vector(b, c, 57, 0.6f),
               .mean = vector(b, c, 58, 0),
               .inverse = vector(b, c, 59, 0),
               .dgamma = vector(b, c, 60, 0),
               .dbeta = vector(b, c, 61, 0)};
    float *x = pair_floats(count, 51, false);
    for (size_t i = 0; r->mean != 0 && i < count; i++)
        x[i] = truncf(x[i] * 64) / 64 + r->mean; /* a mean of 2 leaves bf16 six bits of it */
    expect_ok(b->ops->upload(b, &l.x.t, x));
    free(x);
    const body_step step = {.step = (uint64_t)r->warm_step};
    l.step = r->warm_step ? device_copy(b, &step, sizeof step) : NULL;
    l.norm = (mien_batchnorm){.gamma = r->plain ? NULL : l.gamma.data,
                              .beta = r->plain ? NULL : l.beta.data,
                              .running_mean = l.running_mean.data,
                              .running_variance = l.running_variance.data,
                              .mean = l.mean.data,
                              .inverse_std = l.inverse.data,
                              .dgamma = l.dgamma.data,
                              .dbeta = l.dbeta.data,
                              .momentum = 0.9f,
                              .warm = l.step,
                              .epsilon = 1e-3f,
                              .activation = r->act,
                              .accumulate_dresidual = r->adds_residual};
    return l;
}

/* The layer's description with its residual. It points into *l, which must not move. */
static mien_batchnorm norm_of(const row *r, const layer *l) {
    mien_batchnorm n = l->norm;
    n.residual = r->residual ? &l->residual.t : NULL;
    n.dresidual = r->residual ? &l->dresidual.t : NULL;
    return n;
}

static void release(mien_backend *b, layer *l) {
    pair_tensor *const tensors[] = {&l->x, &l->y, &l->dy, &l->dx, &l->residual, &l->dresidual};
    mien_tensor *const vectors[] = {&l->gamma, &l->beta,    &l->running_mean, &l->running_variance,
                                    &l->mean,  &l->inverse, &l->dgamma,       &l->dbeta};
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++)
        pair_release(b, tensors[i]);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        device_release(b, vectors[i]);
    if (l->step) b->ops->free(b, l->step);
}

static void run(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    layer l = layer_of(b, r);
    const mien_batchnorm n = norm_of(r, &l);
    if (r->frozen)
        expect_ok(b->ops->batchnorm_infer(b, &l.y.t, &l.x.t, &n));
    else
        expect_ok(b->ops->batchnorm_train(b, &l.y.t, &l.x.t, &n));
    expect_ok(b->ops->batchnorm_backward(b, &l.dx.t, &l.dy.t, &l.x.t, &l.y.t, &n, r->frozen,
                                         r->accumulate));
    const mien_tensor *const parts[PARTS][2] = {{&l.y.t},
                                                {&l.dx.t},
                                                {&l.mean, &l.inverse},
                                                {&l.running_mean, &l.running_variance},
                                                {&l.dgamma, &l.dbeta},
                                                {&l.dresidual.t}};
    for (int i = 0; i < 2 && parts[r->part][i]; i++)
        pair_keep(b, out, parts[r->part][i]);
    release(b, &l);
}

static double rounding_error(void) {
    return pair_cuda()->dtype == MIEN_F32 ? 0 : pair_cuda()->dtype == MIEN_BF16 ? 4e-3 : 5e-4;
}

static void test_against_cpu(void **state) {
    (void)state;
    static const char *const names[PARTS] = {"y",
                                             "dx",
                                             "statistics",
                                             "running statistics",
                                             "dgamma and dbeta",
                                             "the residual's gradient"};
    for (int i = 0; i < ROWS * PARTS; i++) {
        row r = rows[i / PARTS];
        r.part = i % PARTS;
        const bool cast = r.part <= GRADIENT || r.part == RESIDUAL;
        const double most = cast ? 3e-6 + rounding_error() : 3e-6;
        pair_near(run, &r, most, names[r.part], i / PARTS);
    }
}

/* A mean a thousand times the standard deviation: E[x^2] - E[x]^2 would lose the variance. */
static void test_large_mean(void **state) {
    (void)state;
    if (pair_cuda()->dtype != MIEN_F32) return; /* the half types cannot hold such numbers */
    const row r = {.x = {9, 6, 7, 20}, .act = BODY_LINEAR, .mean = 600, .part = STATISTICS};
    pair_near(run, &r, 1e-6, "statistics", 0);
    const row far = {.x = {9, 6, 7, 16}, .act = BODY_LINEAR, .mean = -5000, .part = RUNNING};
    pair_near(run, &far, 1e-6, "running statistics", 0);
}

/* A non-finite number is reported, and the running statistics stay unchanged. */
static void test_bad_batch(void **state) {
    (void)state;
    static const float bad[] = {INFINITY, NAN, -INFINITY};
    mien_backend *b = pair_cuda();
    const row r = {.x = {4, 6, 6, 16}, .act = BODY_LINEAR};
    const size_t count = mien_shape_count(r.x);
    for (size_t i = 0; i < 3; i++) {
        layer l = layer_of(b, &r);
        float *x = pair_floats(count, 51, false), *before = device_take(b, &l.running_mean);
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

/* Without dx, or without the gradients of gamma and beta, the other results are the same. */
static void test_parts_alone(void **state) {
    (void)state;
    mien_backend *b = pair_cuda();
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

static void expect_same(mien_backend *b, const mien_tensor *got, const mien_tensor *want,
                        const char *what) {
    float *a = device_take(b, got), *e = device_take(b, want);
    device_same(a, e, mien_shape_count(got->shape), what);
    free(a);
    free(e);
}

/* In f32 the fused pass gives the bits of normalisation, sum and ReLU as separate passes. */
static void test_residual_matches_separate_passes(void **state) {
    (void)state;
    mien_backend *b = pair_cuda();
    if (b->dtype != MIEN_F32) return; /* in the half types every separate pass rounds */
    static const mien_shape shapes[] = {{3, 9, 7, 32}, {2, 5, 7, 17}, {1, 1, 2, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const row r = {.x = shapes[i], .act = BODY_RELU, .residual = true, .adds_residual = true};
        const row plain = {.x = shapes[i], .act = BODY_LINEAR};
        layer one = layer_of(b, &r), many = layer_of(b, &plain);
        const mien_batchnorm n = norm_of(&r, &one);
        expect_ok(b->ops->batchnorm_train(b, &one.y.t, &one.x.t, &n));
        expect_ok(b->ops->batchnorm_backward(b, &one.dx.t, &one.dy.t, &one.x.t, &one.y.t, &n, false,
                                             false));
        const mien_tensor *y = &many.y.t, *dy = &many.dy.t;
        expect_ok(b->ops->batchnorm_train(b, y, &many.x.t, &many.norm));
        expect_ok(b->ops->add(b, y, y, &many.residual.t));
        expect_ok(b->ops->activation_forward(b, y, y, BODY_RELU, 0));
        expect_ok(b->ops->activation_backward(b, dy, dy, NULL, y, BODY_RELU, 0, false));
        expect_ok(b->ops->copy(b, &many.dresidual.t, dy, true));
        expect_ok(
            b->ops->batchnorm_backward(b, &many.dx.t, dy, &many.x.t, y, &many.norm, false, false));
        expect_same(b, &one.y.t, y, "y");
        expect_same(b, &one.dx.t, &many.dx.t, "dx");
        expect_same(b, &one.dresidual.t, &many.dresidual.t, "dresidual");
        expect_same(b, &one.dgamma, &many.dgamma, "dgamma");
        expect_same(b, &one.dbeta, &many.dbeta, "dbeta");
        release(b, &one);
        release(b, &many);
    }
}

/* Only dx or only the residual's gradient is requested. */
static void test_residual_parts_alone(void **state) {
    (void)state;
    mien_backend *b = pair_cuda();
    const row r = {.x = {5, 8, 8, 24}, .act = BODY_RELU, .residual = true};
    for (int frozen = 0; frozen < 2; frozen++) {
        layer both = layer_of(b, &r), alone = layer_of(b, &r);
        mien_batchnorm n = norm_of(&r, &both);
        expect_ok(b->ops->batchnorm_train(b, &both.y.t, &both.x.t, &n));
        expect_ok(b->ops->batchnorm_backward(b, &both.dx.t, &both.dy.t, &both.x.t, &both.y.t, &n,
                                             frozen, false));
        n = norm_of(&r, &alone);
        expect_ok(b->ops->batchnorm_train(b, &alone.y.t, &alone.x.t, &n));
        n.dgamma = n.dbeta = NULL;
        expect_ok(b->ops->batchnorm_backward(b, NULL, &alone.dy.t, &alone.x.t, &alone.y.t, &n,
                                             frozen, false));
        expect_same(b, &alone.dresidual.t, &both.dresidual.t, "dresidual alone");
        n.dresidual = NULL;
        expect_ok(b->ops->batchnorm_backward(b, &alone.dx.t, &alone.dy.t, &alone.x.t, &alone.y.t,
                                             &n, frozen, false));
        expect_same(b, &alone.dx.t, &both.dx.t, "dx alone");
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
        cmocka_unit_test(test_residual_matches_separate_passes),
        cmocka_unit_test(test_residual_parts_alone),
    };
    return pair_run_all_types(tests, sizeof tests / sizeof tests[0]);
}
