/* Batch normalisation against its definition in double; and every instruction set and number of
 * threads must give the same bits. */
#include "tests/parity/parity.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

/* Blocks of 16 and 8; NHWC where a chunk row holds several pixels, one, or part of one; odd
 * channels; images with fewer pixels than a row; more images and channels than chunks and groups.
 */
static const cpu_dims cases[] = {{3, 9, 7, 32, 16},  {5, 8, 8, 24, 8},    {70, 3, 3, 16, 16},
                                 {2, 24, 24, 8, 8},  {3, 11, 5, 64, 64},  {2, 5, 7, 3, 3},
                                 {9, 4, 5, 17, 17},  {4, 3, 3, 130, 130}, {10, 2, 2, 520, 8},
                                 {67, 1, 1, 20, 20}, {1, 1, 2, 1, 1}};
enum { CASES = sizeof cases / sizeof cases[0], VECTORS = 6 };

/* y, dx, the residual's gradient, and the vectors over channels: mean, inverse std, running mean
 * and variance, dgamma, dbeta. */
static size_t result_size(cpu_dims d, size_t *count) {
    *count = (size_t)(d.n * d.h * d.w) * (size_t)d.c;
    return 3 * *count + VECTORS * (size_t)d.c;
}

typedef struct inputs {
    float *x, *dy, *residual, *gamma, *beta;
} inputs;

/* A variant of a case. */
typedef struct variant {
    int act;
    bool frozen, residual; /* the residual's gradient is accumulated with ReLU, written without */
} variant;
static const variant variants[] = {{BODY_LINEAR, false, false},
                                   {BODY_RELU, false, false},
                                   {BODY_LINEAR, true, false},
                                   {BODY_RELU, false, true},
                                   {BODY_LINEAR, true, true}};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static inputs make_inputs(cpu_dims d) {
    size_t count;
    result_size(d, &count);
    inputs in = {mild_floats(count, 2, 1), mild_floats(count, 1, 2), mild_floats(count, 1, 5),
                 mild_floats((size_t)d.c, 1, 3), mild_floats((size_t)d.c, 1, 4)};
    for (size_t i = 0; i < count; i++)
        in.x[i] += 5; /* E[x^2] - E[x]^2 would lose precision */
    return in;
}

static void free_inputs(inputs in) {
    free(in.x);
    free(in.dy);
    free(in.residual);
    free(in.gamma);
    free(in.beta);
}

/* Forward and backward, accumulating onto dx = 1; frozen: with the running statistics. */
static float *run(const cpu_kernels *k, cpu_dims d, inputs in, variant w) {
    size_t count;
    const size_t c = (size_t)d.c, all = result_size(d, &count);
    float *out = calloc(all, sizeof *out), *dx = out + count, *dr = dx + count;
    assert_non_null(out);
    float *mean = dr + count, *inverse = mean + c, *running_mean = inverse + c,
          *running_variance = running_mean + c;
    for (size_t i = 0; i < count; i++)
        dx[i] = dr[i] = 1;
    for (size_t i = 0; i < c; i++) {
        running_mean[i] = 4.5f;
        running_variance[i] = 1.5f;
    }
    cpu_batchnorm b = {.gamma = in.gamma,
                       .beta = in.beta,
                       .mean = mean,
                       .std = inverse,
                       .epsilon = 1e-3f,
                       .act = w.act};
    if (w.residual) {
        b.residual = in.residual;
        b.y = out;
        b.dresidual = dr;
        b.accumulate_dresidual = w.act == BODY_RELU;
    }
    if (w.frozen)
        b.mean = running_mean, b.std = running_variance, b.frozen = true;
    else
        k->batchnorm_statistics(mean, inverse, running_mean, running_variance, in.x, d, 0.9f, 1e-3f,
                                NULL);
    k->batchnorm_apply(out, in.x, d, &b);
    k->batchnorm_backward(dx, running_variance + c, running_variance + 2 * c, in.dy, in.x, d, &b,
                          true);
    return out;
}

/* Compares the distance of got from want with want's norm. */
static void expect_near(const float *got, const double *want, size_t count, const char *what,
                        int row) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        norm += want[i] * want[i];
    }
    if (!(sqrt(error) <= 2e-6 * sqrt(norm) + 1e-12))
        fail_msg("case %d: %s is %.2g of its norm from double", row, what, sqrt(error / norm));
}

/* Index of pixel p of image n, channel c. */
static size_t index_of(cpu_dims d, int n, int p, int c) {
    return cpu_plane(d, n, c / d.block) + (size_t)p * (size_t)d.block + (size_t)(c % d.block);
}

/* Computes one channel by definition. `y`, the result under test, gives the ReLU mask. */
static void define(double *want, cpu_dims d, inputs in, const float *y, int c, variant w) {
    const bool frozen = w.frozen;
    size_t count;
    result_size(d, &count);
    const double all = (double)d.n * d.h * d.w;
    double sum = 0, squares = 0, dbeta = 0, dgamma = 0;
#define EACH                                                                                       \
    for (int n = 0; n < d.n; n++)                                                                  \
        for (int p = 0; p < d.h * d.w; p++)
    EACH sum += in.x[index_of(d, n, p, c)];
    const double mean = frozen ? 4.5 : sum / all;
    EACH squares += pow(in.x[index_of(d, n, p, c)] - mean, 2);
    const double variance = frozen ? 1.5 : squares / all, inverse = 1 / sqrt(variance + 1e-3f);
    EACH {
        const size_t at = index_of(d, n, p, c);
        const double xhat = (in.x[at] - mean) * inverse, r = w.residual ? in.residual[at] : 0;
        const double g = w.act == BODY_RELU && !(y[at] > 0) ? 0 : in.dy[at];
        const double v = xhat * in.gamma[c] + in.beta[c] + r;
        want[at] = w.act == BODY_RELU && v < 0 ? 0 : v;
        want[2 * count + at] = w.residual ? g + (w.act == BODY_RELU) : 1;
        dbeta += g;
        dgamma += g * xhat;
    }
    EACH {
        const size_t at = index_of(d, n, p, c);
        const double xhat = (in.x[at] - mean) * inverse;
        const double g = w.act == BODY_RELU && !(y[at] > 0) ? 0 : in.dy[at];
        want[count + at] =
            1 + in.gamma[c] * inverse * (g - (frozen ? 0 : dbeta / all + xhat * dgamma / all));
    }
#undef EACH
    const double rows[VECTORS] = {frozen ? 0 : mean,
                                  frozen ? 0 : inverse,
                                  frozen ? 4.5 : 0.9f * 4.5 + (1 - 0.9f) * mean,
                                  frozen ? 1.5 : 0.9f * 1.5 + (1 - 0.9f) * variance,
                                  dgamma,
                                  dbeta};
    for (size_t i = 0; i < VECTORS; i++)
        want[3 * count + i * (size_t)d.c + (size_t)c] = rows[i];
}

void test_batchnorm_definition(void **state) {
    (void)state;
    static const char *const names[VECTORS] = {
        "mean", "inverse std", "running mean", "running variance", "dgamma", "dbeta"};
    const char *isa;
    for (int i = 0; i < VARIANTS * CASES; i++) {
        const cpu_dims d = cases[i / VARIANTS];
        const variant w = variants[i % VARIANTS];
        size_t count;
        double *want = numbers(result_size(d, &count));
        const inputs in = make_inputs(d);
        float *got = run(reference_isa(0, &isa), d, in, w);
        for (int c = 0; c < d.c; c++)
            define(want, d, in, got, c, w);
        expect_near(got, want, count, "y", i / VARIANTS);
        expect_near(got + count, want + count, count, "dx", i / VARIANTS);
        expect_near(got + 2 * count, want + 2 * count, count, "dresidual", i / VARIANTS);
        for (size_t v = 0, at = 3 * count; v < VECTORS; v++, at += (size_t)d.c)
            expect_near(got + at, want + at, (size_t)d.c, names[v], i / VARIANTS);
        free(want);
        free(got);
        free_inputs(in);
    }
}

void test_batchnorm_same_bits(void **state) {
    (void)state;
    const char *isa;
    for (int i = 0; i < VARIANTS * CASES; i++) {
        const cpu_dims d = cases[i / VARIANTS];
        const variant w = variants[i % VARIANTS];
        size_t count;
        const size_t all = result_size(d, &count);
        const inputs in = make_inputs(d);
        float *want = run(reference_isa(0, &isa), d, in, w);
        for (int k = 0; k < 3; k++)
            for (int threads = 1; threads <= 3 && reference_isa(k, &isa); threads++) {
                omp_set_num_threads(threads);
                float *got = run(reference_isa(k, &isa), d, in, w);
                expect_same_floats(got, want, all, "batch normalisation", isa);
                free(got);
            }
        omp_set_num_threads(1);
        free(want);
        free_inputs(in);
    }
}

/* A non-finite number shows in the batch statistics; the running statistics stay unchanged. */
void test_batchnorm_bad_batch(void **state) {
    (void)state;
    const char *isa;
    const cpu_dims d = {4, 6, 6, 16, 16};
    static const float bad[] = {INFINITY, NAN, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        const inputs in = make_inputs(d);
        float mean[16], inverse[16], running[2][16] = {{0}};
        in.x[700 * (i + 1)] = bad[i];
        const int c = (int)(700 * (i + 1) % 16);
        reference_isa(0, &isa)->batchnorm_statistics(mean, inverse, running[0], running[1], in.x, d,
                                                     0.9f, 1e-3f, NULL);
        assert_false(isfinite(mean[c]));
        for (int k = 0; k < 16; k++)
            assert_true((running[0][k] == 0) == (k == c) && (running[1][k] == 0) == (k == c));
        free_inputs(in);
    }
}
