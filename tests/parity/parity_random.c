/* The random generator against published numbers; masks and augmentation must not depend on layout,
 * threads or micro-batches. */
#include "tests/parity/parity.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/body/rng.h"
#include "tests/support/test.h"

/* kat_vectors of Random123 (Salmon et al.), philox4x32 with ten rounds. */
void test_philox(void **state) {
    (void)state;
    static const uint32_t vectors[][10] = {
        /* counter, key, result */
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        const uint32_t *v = vectors[i];
        const rng_block b = rng_philox(v[0], v[1], v[2], v[3], v[4], v[5]);
        assert_memory_equal(b.word, v + 6, sizeof b.word);
    }
    for (uint64_t i = 0; i < 16; i++) { /* word i is element i % 4 of block i / 4 */
        const rng_block b = rng_at(11, 22, 1ull << 33, i / 4);
        assert_int_equal(rng_word(11, 22, 1ull << 33, i), b.word[i % 4]);
    }
    assert_true(rng_unit(0) == 0 && rng_unit(0xffffffff) < 1);
}

/* The loops that the program would use here. */
static const cpu_kernels *newest(void) {
    const char *isa;
    const cpu_kernels *best = NULL;
    for (int i = 0; i < 3; i++)
        if (reference_isa(i, &isa)) best = reference_isa(i, &isa);
    return best;
}

/* Dropout of ones shows each element's word: it is kept or dropped as rng_word says, in every
 * layout, for any first element, and for step and element numbers beyond 32 bits. */
static void check_words(const cpu_kernels *k, cpu_dims d, const cpu_mask *m, const char *isa) {
    const size_t count = (size_t)(d.n * d.h * d.w) * (size_t)d.c;
    float *x = calloc(count, sizeof *x), *y = calloc(count, sizeof *y);
    assert_true(x && y);
    for (size_t i = 0; i < count; i++)
        x[i] = 1;
    k->dropout(y, x, NULL, d, m, true);
    for (size_t i = 0; i < count; i++) {
        const size_t c = i % (size_t)d.c, p = i / (size_t)d.c % (size_t)(d.h * d.w);
        const size_t n = i / (size_t)d.c / (size_t)(d.h * d.w);
        const uint32_t word = rng_word(m->seed, m->stream, m->step,
                                       m->first * (uint64_t)(d.h * d.w * d.c) + (uint64_t)i);
        const size_t at =
            cpu_plane(d, (int)n, (int)c / d.block) + p * (size_t)d.block + c % (size_t)d.block;
        if ((y[at] != 0) != (word >= body_dropout_threshold(m->rate)))
            fail_msg("%s: element %zu of %dx%dx%dx%d in blocks of %d has another word", isa, i, d.n,
                     d.h, d.w, d.c, d.block);
    }
    free(x);
    free(y);
}

void test_drawn_words(void **state) {
    (void)state;
    static const cpu_dims dims[] = {{2, 7, 5, 3, 3},    {3, 1, 1, 1, 1},    {1, 48, 48, 16, 16},
                                    {2, 3, 3, 32, 16},  {2, 13, 11, 48, 8}, {1, 40, 30, 17, 17},
                                    {3, 2, 2, 1030, 2}, {1, 9, 31, 24, 12}, {2, 40, 3, 128, 64}};
    const cpu_mask masks[] = {{0.5, 7, RNG_DROPOUT, 3, 0},
                              {0.3, 8, RNG_DROPOUT + 1, (5ull << 32) + 1, 1ull << 40},
                              {0.5, 0xffffffff, RNG_DROPOUT + 9, 0, 3}};
    const char *isa;
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; reference_isa(k, &isa) && i < sizeof dims / sizeof dims[0]; i++)
            for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++)
                check_words(reference_isa(k, &isa), dims[i], &masks[m], isa);
}

enum { N = 6, H = 5, W = 7, C = 48, ALL = N * H * W * C };
static const cpu_dims nhwc = {N, H, W, C, C};

static void mask(float *y, const float *x, cpu_dims d, uint64_t first) {
    const cpu_mask m = {0.4, 1234, RNG_DROPOUT + 3, 21, first};
    newest()->dropout(y, x, NULL, d, &m, false);
}

static float *buffer(void) {
    float *out = calloc(ALL, sizeof *out);
    assert_non_null(out);
    return out;
}

void test_dropout_layout(void **state) {
    (void)state;
    static const int blocks[] = {16, 8};
    float *x = mild_floats(ALL, 1, 3), *want = buffer(), *there = buffer(), *masked = buffer();
    float *back = buffer();
    mask(want, x, nhwc, 0);
    for (int i = 0; i < 2; i++) {
        cpu_dims d = nhwc;
        d.block = blocks[i];
        newest()->relayout(there, blocks[i], x, nhwc, false);
        mask(masked, there, d, 0);
        newest()->relayout(back, C, masked, d, false);
        expect_same_floats(back, want, ALL, "dropout in another layout", "newest");
    }
    size_t kept = 0;
    for (size_t i = 0; i < ALL; i++)
        kept += want[i] != 0;
    assert_in_range(kept, ALL * 57 / 100, ALL * 63 / 100);
    float *const all[] = {x, want, there, masked, back};
    for (int i = 0; i < 5; i++)
        free(all[i]);
}

void test_dropout_threads(void **state) {
    (void)state;
    float *x = mild_floats(ALL, 1, 3), *one = buffer(), *two = buffer();
    omp_set_num_threads(1);
    mask(one, x, nhwc, 5);
    omp_set_num_threads(2);
    mask(two, x, nhwc, 5);
    omp_set_num_threads(1);
    expect_same_floats(two, one, ALL, "dropout with two threads", "newest");
    free(x);
    free(one);
    free(two);
}

void test_dropout_micro_batches(void **state) {
    (void)state;
    float *x = mild_floats(ALL, 1, 3), *whole = buffer(), *parts = buffer();
    mask(whole, x, nhwc, 100);
    for (int first = 0, rows; first < N; first += rows) {
        rows = first == 0 ? 1 : (first + 3 > N ? N - first : 3);
        cpu_dims d = nhwc;
        d.n = rows;
        const size_t at = (size_t)first * H * W * C;
        mask(parts + at, x + at, d, 100 + (uint64_t)first);
    }
    expect_same_floats(parts, whole, ALL, "dropout in micro-batches", "newest");
    free(x);
    free(whole);
    free(parts);
}

enum { CLASSES = 3 };

/* Gathers rows [first, first + rows) of the batch into x and t, with everything switched on. */
static void augment(float *x, float *t, int block, int first, int rows) {
    static uint8_t pixels[ALL];
    static const uint32_t order[N] = {4, 2, 5, 1, 0, 3};
    static float targets[N * CLASSES], scale[C], shift[C];
    for (int i = 0; i < ALL; i++)
        pixels[i] = (uint8_t)(noise(31, (size_t)i) * 128 + 128);
    for (int i = 0; i < N; i++)
        targets[i * CLASSES + i % CLASSES] = 1;
    for (int i = 0; i < C; i++) {
        scale[i] = 1.0f / 64;
        shift[i] = -2;
    }
    const cpu_gather g = {.pixels = pixels,
                          .targets = targets,
                          .order = order + first,
                          .classes = CLASSES,
                          .batch = N,
                          .first = (uint64_t)first,
                          .scale = scale,
                          .shift = shift,
                          .augment = true,
                          .ranges = {1, 20, 0.1f, 0.1f, 0.1f, 0.2f, 0.2f, 0.5f, 0.4f, 0.8f},
                          .label_smoothing = 0.1f,
                          .seed = 99,
                          .step = 7};
    newest()->gather(x, t, rows, (cpu_dims){rows, H, W, C, block}, &g);
}

void test_augment_layout(void **state) {
    (void)state;
    float *plain = buffer(), *blocked = buffer(), *back = buffer(), t[N * CLASSES], u[N * CLASSES];
    augment(plain, t, C, 0, N);
    augment(blocked, u, 16, 0, N);
    newest()->relayout(back, C, blocked, (cpu_dims){N, H, W, C, 16}, false);
    expect_same_floats(back, plain, ALL, "augmentation in blocks", "newest");
    expect_same_floats(u, t, N * CLASSES, "targets in blocks", "newest");
    free(plain);
    free(blocked);
    free(back);
}

void test_augment_threads(void **state) {
    (void)state;
    float *one = buffer(), *two = buffer(), t[N * CLASSES], u[N * CLASSES];
    omp_set_num_threads(1);
    augment(one, t, C, 0, N);
    omp_set_num_threads(2);
    augment(two, u, C, 0, N);
    omp_set_num_threads(1);
    expect_same_floats(two, one, ALL, "augmentation with two threads", "newest");
    free(one);
    free(two);
}

void test_augment_micro_batches(void **state) {
    (void)state;
    float *whole = buffer(), *parts = buffer(), t[N * CLASSES], u[N * CLASSES];
    augment(whole, t, C, 0, N);
    for (int first = 0, rows; first < N; first += rows) {
        rows = first == 0 ? 2 : (first + 3 > N ? N - first : 3);
        augment(parts + (size_t)first * H * W * C, u + first * CLASSES, C, first, rows);
    }
    expect_same_floats(parts, whole, ALL, "augmentation in micro-batches", "newest");
    expect_same_floats(u, t, N * CLASSES, "targets in micro-batches", "newest");
    free(whole);
    free(parts);
}
