/* Copies, permutations, resampling, maxima, averages and PReLU: the same bits in every layout, with
 * every instruction set and number of threads. */
#include "tests/parity/parity.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "tests/support/test.h"

enum { N = 3, H = 5, W = 4, C = 48, ALL = N * H * W * C, CAPACITY = 64 * ALL };

/* A configuration of the loops, and all results in NHWC order. */
typedef struct config {
    const cpu_kernels *k;
    int block; /* 0: NHWC */
    float *out;
    size_t count;
} config;

static cpu_dims dims(const config *w, int h, int wide, int c) {
    const bool fits = w->block && c % w->block == 0;
    return (cpu_dims){N, h, wide, c, fits ? w->block : c};
}

static size_t size_of(cpu_dims d) {
    return (size_t)(d.n * d.h * d.w) * (size_t)d.c;
}

/* Numbers in the config's layout; the caller frees them. */
static float *input(const config *w, cpu_dims d, bool whole, uint32_t seed) {
    const size_t count = size_of(d);
    float *plain = mild_floats(count, 3, seed), *there = calloc(count, sizeof *there);
    cpu_dims from = d;
    assert_non_null(there);
    for (size_t i = 0; whole && i < count; i++)
        plain[i] = (float)(int)(4 * plain[i]);
    from.block = d.c;
    w->k->relayout(there, d.block, plain, from, false);
    free(plain);
    return there;
}

/* Appends a result and frees it. */
static void keep(config *w, float *data, cpu_dims d) {
    assert_true(w->count + size_of(d) <= CAPACITY);
    w->k->relayout(w->out + w->count, d.c, data, d, false);
    w->count += size_of(d);
    free(data);
}

static void run_boxes(config *w) {
    const cpu_dims small = dims(w, H, W, C), large = dims(w, 7, 6, 80);
    const body_box in = {H, W, C, 1, 2, 24, 0, 0, 0}, out = {3, 2, 17, 2, 1, 5, 4, 3, 40};
    for (int adds = 0; adds < 2; adds++) {
        float *x = input(w, small, false, 1), *y = input(w, large, false, 2);
        w->k->copy_box(y, large, x, small, &in, adds);
        w->k->copy_box(x, small, y, large, &out, adds);
        keep(w, x, small);
        keep(w, y, large);
    }
}

static void run_orders(config *w) {
    static const body_axes axes[] = {{{1, 0, 2}}, {{2, 0, 1}}, {{1, 2, 0}}};
    const int sizes[] = {16, 3, 32};
    const cpu_dims xd = dims(w, 16, 3, 32), other = dims(w, 6, 2, 128);
    float *x = input(w, xd, false, 3);
    for (int i = 0; i < 3; i++) {
        const cpu_dims yd =
            dims(w, sizes[axes[i].from[0]], sizes[axes[i].from[1]], sizes[axes[i].from[2]]);
        float *y = input(w, yd, false, 4);
        w->k->permute_axes(y, yd, x, xd, axes[i], i == 1);
        keep(w, y, yd);
    }
    for (int adds = 0; adds < 2; adds++) {
        float *y = input(w, other, false, 5);
        w->k->reshape(y, other, x, xd, adds);
        keep(w, y, other);
    }
    free(x);
}

static void run_sizes(config *w) {
    static const int sizes[][2] = {{10, 12}, {3, 7}, {2, 2}};
    const cpu_dims xd = dims(w, H, W, C);
    float *x = input(w, xd, false, 6);
    for (int i = 0; i < 6; i++) {
        const cpu_dims yd = dims(w, sizes[i / 2][0], sizes[i / 2][1], C);
        float *y = input(w, yd, false, 7), *dx = input(w, xd, false, 8);
        w->k->resample_backward(dx, y, xd, yd, i % 2, i > 2);
        w->k->resample_forward(y, x, yd, xd, i % 2);
        keep(w, y, yd);
        keep(w, dx, xd);
    }
    free(x);
}

/* Whole numbers, so that the order of a sum does not matter. */
static void run_prelu(config *w) {
    static const body_alpha shapes[] = {{1, 1, C}, {H, 1, 1}, {1, 1, 1}, {H, W, C}, {1, W, C}};
    const cpu_dims d = dims(w, H, W, C);
    float *x = input(w, d, true, 9), *dy = input(w, d, true, 10);
    float *alpha = mild_floats(H * W * C, 1, 11);
    for (int i = 0; i < 5; i++) {
        const size_t count = (size_t)shapes[i].h * (size_t)shapes[i].w * (size_t)shapes[i].c;
        float *y = input(w, d, false, 12), *dx = input(w, d, false, 13);
        memset(w->out + w->count, 0, count * sizeof *w->out);
        w->k->prelu_filter(w->out + w->count, dy, x, d, shapes[i], i % 2);
        w->count += count;
        w->k->prelu_forward(y, x, d, alpha, shapes[i]);
        w->k->prelu_backward(dx, dy, x, d, alpha, shapes[i], i % 2);
        keep(w, y, d);
        keep(w, dx, d);
    }
    free(x);
    free(dy);
    free(alpha);
}

static void run_choices(config *w) {
    const cpu_dims d = dims(w, H, W, C);
    const body_rectifier r = {2, 0.25f, 0.5f};
    const cpu_mask mask = {0.4, 77, RNG_DROPOUT + 2, 9, 40};
    float *a = input(w, d, true, 14), *b = input(w, d, true, 15), *dy = input(w, d, false, 16);
    float *y[6];
    for (int i = 0; i < 6; i++)
        y[i] = input(w, d, false, 17);
    w->k->rectify_forward(y[0], a, ALL, r);
    w->k->rectify_backward(y[1], dy, a, ALL, r, true);
    w->k->maximum(y[2], a, b, ALL);
    w->k->maximum_backward(y[3], dy, y[2], (const float *const[]){a, b}, 1, ALL, true);
    w->k->dropout_channels(y[4], dy, d, &mask, true);
    w->k->noise(y[5], dy, d, &mask);
    for (int i = 0; i < 6; i++)
        keep(w, y[i], d);
    free(a);
    free(b);
    free(dy);
}

static config run_all(const cpu_kernels *k, int block) {
    config w = {k, block, calloc(CAPACITY, sizeof(float)), 0};
    assert_non_null(w.out);
    run_boxes(&w);
    run_orders(&w);
    run_sizes(&w);
    run_prelu(&w);
    run_choices(&w);
    return w;
}

void test_moves_same_bits(void **state) {
    (void)state;
    static const int blocks[] = {0, 16, 8};
    const unsigned saved = mien_float_enter();
    const char *isa;
    omp_set_num_threads(1);
    const config want = run_all(reference_isa(0, &isa), 0);
    for (int i = 0; i < 9; i++) {
        const cpu_kernels *k = reference_isa(i / 3, &isa);
        if (!k) continue;
        omp_set_num_threads(i % 3 + 1);
        const config got = run_all(k, blocks[i % 3]);
        assert_int_equal(got.count, want.count);
        expect_same_floats(got.out, want.out, want.count, "a moved number", isa);
        free(got.out);
    }
    omp_set_num_threads(1);
    free(want.out);
    mien_float_leave(saved);
}

/* Spatial dropout of ones shows each channel's random word; micro-batches draw the same words as
 * the whole batch. */
void test_channel_words(void **state) {
    (void)state;
    const char *isa;
    const cpu_kernels *k = reference_isa(0, &isa);
    const cpu_dims d = {N, H, W, C, C};
    float x[H * W * C], y[H * W * C];
    for (int i = 0; i < H * W * C; i++)
        x[i] = 1;
    size_t kept = 0;
    for (uint64_t n = 0; n < N; n++) {
        const cpu_mask m = {0.5, 7, RNG_DROPOUT + 1, (5ull << 32) + 1, (1ull << 40) + n};
        k->dropout_channels(y, x, (cpu_dims){1, d.h, d.w, d.c, d.block}, &m, false);
        for (size_t i = 0; i < H * W * C; i++) {
            const uint32_t word = rng_word(m.seed, m.stream, m.step, m.first * C + i % C);
            assert_true(y[i] == (word >= body_dropout_threshold(m.rate) ? 2 : 0));
            kept += y[i] != 0;
        }
    }
    assert_in_range(kept, ALL * 3 / 10, ALL * 7 / 10);
}

/* Mean, std and tail of the noise; micro-batches draw the same noise as the whole batch. */
void test_noise(void **state) {
    (void)state;
    enum { ROWS = 40, LONG = ROWS * 997 };
    const char *isa;
    const cpu_kernels *k = reference_isa(0, &isa);
    const cpu_mask m = {0.5, 7, RNG_DROPOUT + 1, 4, 100}, later = {0.5, 7, RNG_DROPOUT + 1, 4, 130};
    float *x = calloc(LONG, sizeof *x), *y = calloc(LONG, sizeof *y),
          *part = calloc(LONG, sizeof *x);
    assert_true(x && y && part);
    k->noise(y, x, (cpu_dims){ROWS, 1, 1, 997, 997}, &m);
    k->noise(part, x, (cpu_dims){10, 1, 1, 997, 997}, &later);
    expect_same_floats(part, y + 30 * 997, 10 * 997, "noise of later rows", isa);
    double sum = 0, squares = 0;
    int beyond = 0;
    for (int i = 0; i < LONG; i++) {
        sum += (double)y[i];
        squares += (double)y[i] * (double)y[i];
        beyond += y[i] > 1 || y[i] < -1; /* two standard deviations: 4.55 % */
    }
    assert_true(sum / LONG > -0.01 && sum / LONG < 0.01);
    assert_true(squares / LONG > 0.245 && squares / LONG < 0.255);
    assert_in_range(beyond, LONG * 4 / 100, LONG * 5 / 100);
    free(x);
    free(y);
    free(part);
}
