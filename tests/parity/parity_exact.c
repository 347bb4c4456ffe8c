/* The loops of x86-64-v2, v3 and v4 must give the same bits: everything of the class EXACT. */
#include "tests/parity/parity.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "tests/support/test.h"

/* Loops over every ISA but v2 that this CPU has. */
#define FOR_OTHER_ISAS(index, table, isa)                                                          \
    for (int index = 1; index < 3; index++)                                                        \
        for (const cpu_kernels *table = reference_isa(index, &isa); table; table = NULL)

static const cpu_kernels *oldest(void) {
    const char *isa;
    return reference_isa(0, &isa);
}

static float *buffer(size_t count) {
    float *out = calloc(count, sizeof *out);
    assert_non_null(out);
    return out;
}

enum { WILD = 9001 }; /* more than two chunks, and not a multiple of the vector length */

static void activation_all(const cpu_kernels *k, float *y, float *dx, const float *x,
                           const float *dy, int act) {
    k->activation_forward(y, x, WILD, act, 0.2f);
    k->activation_backward(dx, dy, x, y, WILD, act, 0.2f, false);
    k->activation_backward(dx, dy, x, y, WILD, act, 0.2f, true);
}

void test_isa_activations(void **state) {
    (void)state;
    const char *isa;
    const unsigned saved = mien_float_enter();
    float *x = wild_floats(WILD, 1), *dy = mild_floats(WILD, 2, 2);
    float *y = buffer(WILD), *dx = buffer(WILD), *other_y = buffer(WILD), *other_dx = buffer(WILD);
    for (int act = BODY_LINEAR; act < BODY_SOFTMAX; act++) {
        char what[32];
        activation_all(oldest(), y, dx, x, dy, act);
        FOR_OTHER_ISAS(i, table, isa) {
            activation_all(table, other_y, other_dx, x, dy, act);
            snprintf(what, sizeof what, "activation %d", act);
            expect_same_floats(other_y, y, WILD, what, isa);
            snprintf(what, sizeof what, "slope of activation %d", act);
            expect_same_floats(other_dx, dx, WILD, what, isa);
        }
    }
    mien_float_leave(saved);
    float *const blocks[] = {x, dy, y, dx, other_y, other_dx};
    for (int i = 0; i < 6; i++)
        free(blocks[i]);
}

void test_isa_dropout(void **state) {
    (void)state;
    const char *isa;
    static const int channels[] = {1, 3, 4, 16, 17, 520, 1030};
    const cpu_mask mask = {0.37, 77, RNG_DROPOUT + 2, 9, 40};
    for (size_t c = 0; c < sizeof channels / sizeof channels[0]; c++) {
        const cpu_dims d = {2, 5, 3, channels[c], channels[c]};
        const size_t count = (size_t)(30 * channels[c]);
        float *x = mild_floats(count, 3, 5), *y = buffer(count), *other = buffer(count);
        oldest()->dropout(y, x, NULL, d, &mask, false);
        FOR_OTHER_ISAS(i, table, isa) {
            table->dropout(other, x, NULL, d, &mask, false);
            expect_same_floats(other, y, count, "dropout", isa);
        }
        /* with the slope of a ReLU: the bits of two passes, also those of zeros */
        float *relu = mild_floats(count, 4, 5), *fused = buffer(count);
        oldest()->activation_forward(relu, relu, count, BODY_RELU, 0);
        oldest()->activation_backward(y, y, NULL, relu, count, BODY_RELU, 0, false);
        for (int i = 0; i < MIEN_ISA_COUNT; i++) {
            const cpu_kernels *table = reference_isa(i, &isa);
            if (!table) continue;
            table->dropout(fused, x, relu, d, &mask, false);
            assert_memory_equal(fused, y, count * sizeof *y);
            memcpy(other, x, count * sizeof *x);
            table->dropout(other, other, relu, d, &mask, true);
            for (size_t k = 0; k < count; k++)
                assert_true(other[k] == x[k] + y[k]);
        }
        float *const blocks[] = {x, y, other, relu, fused};
        for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++)
            free(blocks[k]);
    }
}

/* Maximum with its index, and the mean over windows whose area is a power of two. */
static void pool_case(int c, int block, cpu_window p, int oh, int ow) {
    const char *isa;
    const cpu_dims xd = {2, 19, 18, c, block}, yd = {2, oh, ow, c, block};
    const size_t in = (size_t)(2 * 19 * 18 * c), out = (size_t)(2 * oh * ow * c);
    float *x = wild_floats(in, 3), *y = buffer(out), *other = buffer(out);
    const size_t index_bytes = out * (size_t)body_pool_index_bytes(p.kernel_h, p.kernel_w);
    void *index = calloc(index_bytes, 1), *other_index = calloc(index_bytes, 1);
    assert_true(index && other_index);
    const cpu_mask mask = {0.3, 77, RNG_DROPOUT + 2, 9, 40};
    oldest()->max_pool_forward(y, index, x, xd, yd, p, true, &mask);
    FOR_OTHER_ISAS(i, table, isa) {
        table->max_pool_forward(other, other_index, x, xd, yd, p, true, &mask);
        expect_same_floats(other, y, out, "max pooling", isa);
        assert_memory_equal(index, other_index, index_bytes);
    }
    oldest()->average_pool_forward(y, x, xd, yd, p);
    FOR_OTHER_ISAS(i, table, isa) {
        table->average_pool_forward(other, x, xd, yd, p);
        expect_same_floats(other, y, out, "average pooling", isa);
    }
    free(x);
    free(y);
    free(other);
    free(index);
    free(other_index);
}

void test_isa_pooling(void **state) {
    (void)state;
    const unsigned saved = mien_float_enter();
    pool_case(3, 3, (cpu_window){2, 2, 2, 2, 0, 0}, 4, 4);
    pool_case(17, 17, (cpu_window){3, 3, 2, 2, 1, 0}, 5, 4);
    pool_case(32, 16, (cpu_window){4, 2, 1, 1, 0, 0}, 6, 7);
    pool_case(16, 8, (cpu_window){9, 8, 9, 8, 0, 0}, 1, 1);
    pool_case(32, 16, (cpu_window){2, 2, 2, 2, 0, 0}, 9, 9);
    pool_case(48, 16, (cpu_window){16, 16, 1, 1, 0, 0}, 4, 3);
    pool_case(5, 5, (cpu_window){15, 17, 3, 1, 0, 0}, 2, 2);
    mien_float_leave(saved);
}

void test_isa_gather(void **state) {
    (void)state;
    const char *isa;
    enum { N = 12, H = 13, W = 11, C = 3, CLASSES = 5, ALL = N * H * W * C };
    static uint8_t pixels[ALL];
    static const uint32_t order[N] = {3, 1, 4, 0, 5, 9, 2, 6, 8, 7, 11, 10};
    float *targets = mild_floats(N * CLASSES, 1, 8), *x = buffer(ALL), *t = buffer(N * CLASSES);
    float *other_x = buffer(ALL), *other_t = buffer(N * CLASSES);
    const float scale[C] = {0.017f, 0.018f, 0.019f}, shift[C] = {-2, -1.9f, -1.8f};
    for (int i = 0; i < ALL; i++)
        pixels[i] = (uint8_t)(noise(9, (size_t)i) * 128 + 128);
    cpu_gather g = {.pixels = pixels,
                    .targets = targets,
                    .order = order,
                    .classes = CLASSES,
                    .batch = N,
                    .scale = scale,
                    .shift = shift,
                    .label_smoothing = 0.1f,
                    .seed = 5};
    g.ranges = (body_augment){1, 25, 0.1f, 0.2f, 0.1f, 0.2f, 0.3f, 0.5f, 0.3f, 0.7f};
    for (int round = 0; round < 4; round++) {
        g.augment = round > 0;
        g.step = (uint64_t)round * 1000;
        oldest()->gather(x, t, N, (cpu_dims){N, H, W, C, C}, &g);
        FOR_OTHER_ISAS(i, table, isa) {
            table->gather(other_x, other_t, N, (cpu_dims){N, H, W, C, C}, &g);
            expect_same_floats(other_x, x, ALL, "gathered pixels", isa);
            expect_same_floats(other_t, t, N * CLASSES, "gathered targets", isa);
        }
    }
    float *const blocks[] = {targets, x, t, other_x, other_t};
    for (int i = 0; i < 5; i++)
        free(blocks[i]);
}

enum { WEIGHTS = 20011, DECAYED = 12000 };

/* `all`: everything that an optimiser changes, w, m, v and average, contiguous. */
static void optimise(const cpu_kernels *k, const body_rule *rule, float *all, body_step *step) {
    body_step_start(step, 1, rule->beta_1, rule->beta_2);
    step->learning_rate = 0.01;
    for (uint32_t i = 0; i < 3; i++) {
        float *g = mild_floats(WEIGHTS, 0.5f, 20 + i);
        g[7] = 1e-40f; /* a denormal gradient, and second moments below the smallest float */
        g[8] = 1e-25f;
        const cpu_update update = {.w = all,
                                   .g = g,
                                   .m = all + WEIGHTS,
                                   .v = all + 2 * WEIGHTS,
                                   .average = all + 3 * WEIGHTS,
                                   .decayed = DECAYED,
                                   .count = WEIGHTS,
                                   .rule = rule,
                                   .state = step};
        k->optimize(&update, 1);
        free(g);
    }
}

void test_isa_optimizers(void **state) {
    (void)state;
    const char *isa;
    const body_rule rules[] = {
        {.kind = BODY_ADAM, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-7, .ema = 0.99},
        {.kind = BODY_ADAMW,
         .beta_1 = 0.9,
         .beta_2 = 0.999,
         .epsilon = 1e-7,
         .weight_decay = 0.01,
         .clip_norm = 1},
        {.kind = BODY_SGD, .momentum = 0.9, .weight_decay = 0.001},
        {.kind = BODY_SGD, .momentum = 0.9, .nesterov = 1, .ema = 0.9},
    };
    const unsigned saved = mien_float_enter();
    for (size_t r = 0; r < sizeof rules / sizeof rules[0]; r++) {
        body_step step, other_step;
        float *all = mild_floats(4 * WEIGHTS, 1, 30);
        memset(all + WEIGHTS, 0, 2 * WEIGHTS * sizeof *all);
        optimise(oldest(), &rules[r], all, &step);
        FOR_OTHER_ISAS(i, table, isa) {
            float *other = mild_floats(4 * WEIGHTS, 1, 30);
            memset(other + WEIGHTS, 0, 2 * WEIGHTS * sizeof *other);
            optimise(table, &rules[r], other, &other_step);
            expect_same_floats(other, all, 4 * WEIGHTS, "optimiser", isa);
            assert_memory_equal(&step, &other_step, sizeof step);
            free(other);
        }
        assert_int_equal(step.bad, 0);
        free(all);
    }
    mien_float_leave(saved);
}

void test_isa_loss(void **state) {
    (void)state;
    const char *isa;
    enum { ROWS = 300, CLASSES = 7, ALL = ROWS * CLASSES };
    const unsigned saved = mien_float_enter();
    float *z = mild_floats(ALL, 30, 40), *t = buffer(ALL), *dz = buffer(ALL), *other = buffer(ALL);
    float *weight = mild_floats(CLASSES, 2, 42);
    for (int i = 0; i < ROWS; i++) {
        t[i * CLASSES + i % CLASSES] = 0.75f;
        t[i * CLASSES + (i + 3) % CLASSES] += 0.25f;
    }
    body_step step = {0}, other_step = {0};
    oldest()->softmax_xent(dz, z, t, weight, ROWS, CLASSES, ROWS, &step);
    FOR_OTHER_ISAS(i, table, isa) {
        other_step = (body_step){0};
        table->softmax_xent(other, z, t, weight, ROWS, CLASSES, ROWS, &other_step);
        expect_same_floats(other, dz, ALL, "gradient of the loss", isa);
        assert_memory_equal(&step, &other_step, sizeof step);
        const cpu_dims d = {ROWS, 1, 1, CLASSES, CLASSES};
        oldest()->softmax(dz, z, d);
        table->softmax(other, z, d);
        expect_same_floats(other, dz, ALL, "softmax", isa);
        oldest()->softmax_xent(dz, z, t, weight, ROWS, CLASSES, ROWS, &(body_step){0});
    }
    mien_float_leave(saved);
    float *const blocks[] = {z, t, dz, other, weight};
    for (int i = 0; i < 5; i++)
        free(blocks[i]);
}

/* A copy writes all bytes and none after them, with one thread or several. */
void test_copies(void **state) {
    (void)state;
    const char *isa;
    static const size_t sizes[] = {0, 1, 16384, 100000, 700001};
    enum { MOST = 700064 };
    uint8_t *from = malloc(MOST), *to = malloc(MOST);
    assert_true(from && to);
    for (size_t i = 0; i < MOST; i++)
        from[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int k = 0; k < 9; k++) {
        const cpu_kernels *table = reference_isa(k / 3, &isa);
        omp_set_num_threads(k % 3 + 1);
        for (size_t s = 0; table && s < sizeof sizes / sizeof sizes[0]; s++) {
            memset(to, 7, MOST);
            table->copy(to, from, sizes[s]);
            assert_memory_equal(to, from, sizes[s]);
            assert_int_equal(to[sizes[s]], 7);
            table->zero(to, sizes[s]);
            for (size_t i = 0; i < sizes[s]; i++)
                assert_int_equal(to[i], 0);
            assert_int_equal(to[sizes[s]], 7);
        }
    }
    omp_set_num_threads(1);
    free(from);
    free(to);
}
