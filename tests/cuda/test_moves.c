/* Boxes, exchanged axes and images of another size: the bits of the CPU's loops, rounded once. */
#include <stdlib.h>

#include "tests/cuda/twins.h"
#include "tests/support/test.h"

typedef struct row {
    mien_shape from, to;
    body_box box;
    body_axes axes;
    bool bilinear, accumulate;
    int shift; /* numbers before the tensors: no packs then */
} row;

/* Every row writing and adding, in packs and not. */
static void every(twin_case run, const char *what, const row *rows, int count) {
    for (int i = 0; i < 4 * count; i++) {
        row r = rows[i / 4];
        r.accumulate = i & 1;
        r.shift = i & 2;
        twins_same(run, &r, what, i);
    }
}

static void run_box(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    twin_tensor src = twin_tensor_of(b, r->from, 31, true, r->shift);
    twin_tensor dst = twin_tensor_of(b, r->to, 32, true, r->shift);
    expect_ok(b->ops->copy_box(b, &dst.t, &src.t, &r->box, r->accumulate));
    twin_keep(b, out, &dst.t);
    twin_release(b, &src);
    twin_release(b, &dst);
}

/* Laid inside, cut out, side by side: channels that fill packs on both sides, on one, on none. */
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

static void run_permute(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    const int sizes[] = {r->from.h, r->from.w, r->from.c};
    const mien_shape to = {r->from.n, sizes[r->axes.from[0]], sizes[r->axes.from[1]],
                           sizes[r->axes.from[2]]};
    twin_tensor x = twin_tensor_of(b, r->from, 33, true, r->shift);
    twin_tensor y = twin_tensor_of(b, to, 34, true, r->shift);
    expect_ok(b->ops->permute_axes(b, &y.t, &x.t, r->axes, r->accumulate));
    twin_keep(b, out, &y.t);
    twin_release(b, &x);
    twin_release(b, &y);
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

static void run_resample(mien_backend *b, const void *of, twin_result *out) {
    const row *r = of;
    const bool wild = !r->bilinear; /* what is chosen keeps its bits whatever it is */
    twin_tensor x = twin_tensor_of(b, r->from, 35, wild, r->shift);
    twin_tensor y = twin_tensor_of(b, r->to, 0, wild, r->shift);
    expect_ok(b->ops->resample_forward(b, &y.t, &x.t, r->bilinear));
    twin_keep(b, out, &y.t);
    twin_tensor dy = twin_tensor_of(b, r->to, 36, false, r->shift);
    twin_tensor dx = twin_tensor_of(b, r->from, 37, false, r->shift);
    expect_ok(b->ops->resample_backward(b, &dx.t, &dy.t, r->bilinear, r->accumulate));
    twin_keep(b, out, &dx.t);
    twin_release(b, &x);
    twin_release(b, &y);
    twin_release(b, &dy);
    twin_release(b, &dx);
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
    return twins_all_types(tests, sizeof tests / sizeof tests[0]);
}
