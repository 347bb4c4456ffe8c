/* Copies of boxes, permuted axes and resized images: the bits of the CPU's loops, rounded once. */
#include <stdlib.h>

#include "tests/cuda/pair.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape from, to;
    body_box box;
    body_axes axes;
    bool bilinear, accumulate;
    int shift; /* elements before the tensors, which prevent vector access */
} row;

/* Every row writing and accumulating, aligned and unaligned. */
static void every(pair_case run, const char *what, const row *rows, int count) {
    for (int i = 0; i < 4 * count; i++) {
        row r = rows[i / 4];
        r.accumulate = i & 1;
        r.shift = i & 2;
        pair_same(run, &r, what, i);
    }
}

static void run_box(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    pair_tensor src = pair_tensor_of(b, r->from, 31, true, r->shift);
    pair_tensor dst = pair_tensor_of(b, r->to, 32, true, r->shift);
    expect_ok(b->ops->copy_box(b, &dst.t, &src.t, &r->box, r->accumulate));
    pair_keep(b, out, &dst.t);
    pair_release(b, &src);
    pair_release(b, &dst);
}

/* Padding, cropping, concatenation, with channel counts that allow vector access on both sides, one
 * or neither. */
static void test_boxes(void **state) {
    (void)state;
    static const row rows[] = {
        {.from = {1, 1, 1, 1}, .to = {1, 1, 1, 1}, .box = {1, 1, 1, 0, 0, 0, 0, 0, 0}},
        {.from = {2, 3, 5, 16}, .to = {2, 6, 7, 16}, .box = {3, 5, 16, 2, 1, 0, 0, 0, 0}},
        {.from = {3, 7, 6, 24}, .to = {3, 3, 2, 24}, .box = {3, 2, 24, 0, 0, 0, 3, 4, 0}},
        {.from = {2, 4, 3, 8}, .to = {2, 4, 3, 19}, .box = {4, 3, 8, 0, 0, 11, 0, 0, 0}},
        {.from = {2, 4, 3, 32}, .to = {2, 4, 3, 48}, .box = {4, 3, 32, 0, 0, 16, 0, 0, 0}},
        {.from = {2, 4, 3, 48}, .to = {2, 4, 3, 8}, .box = {4, 3, 8, 0, 0, 0, 0, 0, 20}},
        {.from = {5, 1, 1, 17}, .to = {5, 1, 1, 40}, .box = {1, 1, 17, 0, 0, 8, 0, 0, 0}},
        {.from = {9, 20, 31, 3}, .to = {9, 22, 33, 3}, .box = {20, 31, 3, 1, 1, 0, 0, 0, 0}},
    };
    every(run_box, "box", rows, sizeof rows / sizeof rows[0]);
}

static void run_permute(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    const int sizes[] = {r->from.h, r->from.w, r->from.c};
    const mien_shape to = {r->from.n, sizes[r->axes.from[0]], sizes[r->axes.from[1]],
                           sizes[r->axes.from[2]]};
    pair_tensor x = pair_tensor_of(b, r->from, 33, true, r->shift);
    pair_tensor y = pair_tensor_of(b, to, 34, true, r->shift);
    expect_ok(b->ops->permute_axes(b, &y.t, &x.t, r->axes, r->accumulate));
    pair_keep(b, out, &y.t);
    pair_release(b, &x);
    pair_release(b, &y);
}

static void test_axes(void **state) {
    (void)state;
    static const row rows[] = {
        {.from = {1, 1, 1, 1}, .axes = {{2, 1, 0}}}, {.from = {2, 3, 4, 5}, .axes = {{1, 0, 2}}},
        {.from = {2, 5, 7, 8}, .axes = {{2, 0, 1}}}, {.from = {3, 6, 2, 40}, .axes = {{1, 2, 0}}},
        {.from = {2, 9, 3, 1}, .axes = {{0, 2, 1}}},
    };
    every(run_permute, "axes", rows, sizeof rows / sizeof rows[0]);
}

static void run_resample(mien_backend *b, const void *of, pair_result *out) {
    const row *r = of;
    const bool wild = !r->bilinear; /* nearest copies values: any bits must survive */
    pair_tensor x = pair_tensor_of(b, r->from, 35, wild, r->shift);
    pair_tensor y = pair_tensor_of(b, r->to, 0, wild, r->shift);
    expect_ok(b->ops->resample_forward(b, &y.t, &x.t, r->bilinear));
    pair_keep(b, out, &y.t);
    pair_tensor dy = pair_tensor_of(b, r->to, 36, false, r->shift);
    pair_tensor dx = pair_tensor_of(b, r->from, 37, false, r->shift);
    expect_ok(b->ops->resample_backward(b, &dx.t, &dy.t, r->bilinear, r->accumulate));
    pair_keep(b, out, &dx.t);
    pair_release(b, &x);
    pair_release(b, &y);
    pair_release(b, &dy);
    pair_release(b, &dx);
}

static void test_sizes(void **state) {
    (void)state;
    row rows[] = {
        {.from = {1, 1, 1, 1}, .to = {1, 1, 1, 1}},    {.from = {2, 3, 4, 5}, .to = {2, 6, 8, 5}},
        {.from = {2, 5, 3, 16}, .to = {2, 7, 9, 16}},  {.from = {3, 8, 9, 8}, .to = {3, 3, 2, 8}},
        {.from = {2, 1, 1, 24}, .to = {2, 4, 3, 24}},  {.from = {2, 6, 5, 17}, .to = {2, 1, 1, 17}},
        {.from = {2, 24, 13, 3}, .to = {2, 48, 5, 3}},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    every(run_resample, "nearest", rows, ROWS);
    for (int i = 0; i < ROWS; i++)
        rows[i].bilinear = true;
    every(run_resample, "bilinear", rows, ROWS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_sizes),
    };
    return pair_run_all_types(tests, sizeof tests / sizeof tests[0]);
}
