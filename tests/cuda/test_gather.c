/* Gathering, augmentation and the shuffle against the CPU's loops: the same bits in f32, and the
 * same numbers rounded once in the half types. */
#include <stdlib.h>
#include <string.h>

#include "kernels/body/rng.h"
#include "tests/cuda/pair.h"
#include "tests/support/test.h"

enum { CLASSES = 7, CURSOR = 13 };

/* Options of a row. */
enum { AUGMENT = 1, MIXUP = 2, VIEW = 4, SMOOTH = 8, FOLLOWS = 16, NO_TARGETS = 32 };

typedef struct row {
    mien_shape shape;
    int batch; /* rows in the whole batch */
    uint64_t first;
    int flags;
} row;

static const row rows[] = {
    {{1, 1, 1, 1}, 1, 0, AUGMENT | MIXUP},
    {{5, 12, 12, 1}, 5, 0, 0},
    {{5, 48, 48, 1}, 5, 0, AUGMENT},
    {{4, 48, 48, 1}, 9, 3, AUGMENT | MIXUP | SMOOTH},
    {{5, 17, 13, 3}, 11, 5, AUGMENT | MIXUP | FOLLOWS},
    {{2, 7, 5, 5}, 2, 0, AUGMENT | MIXUP | FOLLOWS | NO_TARGETS},
    {{3, 1, 9, 17}, 3, 0, AUGMENT | SMOOTH},
    {{40, 3, 7, 1}, 40, 0, AUGMENT}, /* some images begin 16-byte aligned but end unaligned */
    {{2, 31, 29, 1}, 6, 4, VIEW | FOLLOWS},
    {{2, 48, 48, 1}, 6, 0, VIEW | AUGMENT | MIXUP},
    {{2, 96, 97, 1}, 5, 1, AUGMENT | MIXUP}, /* too large for shared memory */
    {{1, 64, 130, 3}, 4, 0, AUGMENT | MIXUP | SMOOTH},
};

/* A data set on one backend. */
typedef struct set {
    uint8_t *pixels;
    mien_tensor targets;
    uint32_t *order;
    float *scale, *shift;
    body_step *state;
} set;

static set make_set(mien_backend *b, const row *r) {
    const size_t count = (size_t)r->batch + CURSOR;
    const size_t image = (size_t)r->shape.h * (size_t)r->shape.w * (size_t)r->shape.c;
    const body_step step = {.seed = 77, .step = 5, .cursor = CURSOR};
    const float scale[] = {0.01f, 0.02f, 0.5f}, shift[] = {-0.5f, 3, 0.1f};
    uint8_t *bytes = malloc(count * image);
    uint32_t order[64];
    float part[2][32];
    assert_non_null(bytes);
    for (size_t i = 0; i < count * image; i++)
        bytes[i] = (uint8_t)whole_below(1, i, 256);
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)((i * 5 + 2) % count);
    for (int c = 0; c < r->shape.c; c++) {
        part[0][c] = scale[c % 3];
        part[1][c] = shift[c % 3];
    }
    float *targets = device_numbers(count * CLASSES, 1, 2, MIEN_F32);
    const size_t bytes_of_c = (size_t)r->shape.c * sizeof(float);
    const set s = {
        device_copy(b, bytes, count * image),         device_params(b, count * CLASSES, targets),
        device_copy(b, order, count * sizeof *order), device_copy(b, part[0], bytes_of_c),
        device_copy(b, part[1], bytes_of_c),          device_copy(b, &step, sizeof step)};
    free(bytes);
    free(targets);
    return s;
}

static void free_set(mien_backend *b, set *s) {
    b->ops->free(b, s->pixels);
    device_release(b, &s->targets);
    b->ops->free(b, s->order);
    b->ops->free(b, s->scale);
    b->ops->free(b, s->shift);
    b->ops->free(b, s->state);
}

/* Returns the images; stores the targets in *targets. */
static float *run(mien_backend *b, const row *r, float **targets) {
    const int all = r->flags;
    set s = make_set(b, r);
    const body_warp view = body_view_warp(1, 0.9f, 1.5f, -2, r->shape.h, r->shape.w);
    const mien_gather g = {.pixels = s.pixels,
                           .targets = s.targets.data,
                           .order = s.order + r->first,
                           .follows = all & FOLLOWS,
                           .classes = CLASSES,
                           .batch = r->batch,
                           .first = r->first,
                           .scale = s.scale,
                           .shift = s.shift,
                           .augment = all & AUGMENT,
                           .ranges = {.flip = 1,
                                      .rotate = 20,
                                      .shift = 0.1f,
                                      .zoom = 0.1f,
                                      .crop = 0.1f,
                                      .brightness = 0.2f,
                                      .contrast = 0.2f,
                                      .erase = 0.5f,
                                      .mixup = all & MIXUP ? 0.4f : 0,
                                      .mixup_p = 0.7f},
                           .view = all & VIEW ? &view : NULL,
                           .label_smoothing = all & SMOOTH ? 0.1f : 0,
                           .state = s.state};
    mien_tensor x = device_tensor(b, r->shape, NULL);
    mien_tensor t = device_params(b, (size_t)r->shape.n * CLASSES, NULL);
    expect_ok(b->ops->gather(b, &x, all & NO_TARGETS ? NULL : &t, &g));
    float *out = device_take(b, &x);
    *targets = device_take(b, &t);
    device_release(b, &x);
    device_release(b, &t);
    free_set(b, &s);
    return out;
}

static void test_gather(void **state) {
    (void)state;
    mien_backend *cuda = pair_cuda();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const size_t count = mien_shape_count(rows[i].shape);
        float *want_t, *got_t, *want = run(pair_plain(), &rows[i], &want_t);
        float *got = run(cuda, &rows[i], &got_t);
        for (size_t k = 0; k < count; k++)
            want[k] = pair_round(want[k]);
        device_same(got, want, count, "x");
        device_same(got_t, want_t, (size_t)rows[i].shape.n * CLASSES, "targets");
        free(want);
        free(want_t);
        free(got);
        free(got_t);
    }
}

static int by_key(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The shuffle equals a sort by key, within one tile of the sorting network and beyond it. */
static void test_permutation(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 17, 2047, 2048, 2049, 4097, 28709};
    mien_backend *cuda = pair_cuda();
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        const size_t n = sizes[k];
        uint64_t *want = malloc(n * sizeof *want);
        uint32_t *index = malloc(n * sizeof *index), *got = malloc(n * sizeof *got);
        assert_true(want && index && got);
        for (size_t i = 0; i < n; i++) {
            want[i] = rng_shuffle_key(9, 1ull << 33, (uint32_t)i);
            index[i] = (uint32_t)(7 * i + 3);
        }
        qsort(want, n, sizeof *want, by_key);
        uint32_t *from = device_copy(cuda, index, n * sizeof *index);
        uint32_t *order = device_copy(cuda, NULL, n * sizeof *order);
        uint64_t *keys = device_copy(cuda, NULL, mien_permute_capacity(n) * sizeof *keys);
        expect_ok(cuda->ops->permute(cuda, order, from, n, keys, 9, 1ull << 33));
        expect_ok(cuda->ops->copy_out(cuda, got, order, n * sizeof *got));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(got[i], index[(uint32_t)want[i]]);
        cuda->ops->free(cuda, from);
        cuda->ops->free(cuda, order);
        cuda->ops->free(cuda, keys);
        free(want);
        free(index);
        free(got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gather)};
    const struct CMUnitTest floats[] = {cmocka_unit_test(test_permutation)};
    return pair_run_all_types(tests, 1) + pair_run_f32(floats, 1);
}
