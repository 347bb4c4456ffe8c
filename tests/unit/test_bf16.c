/* bf16 inference on the CPU: operators whose factors and sums are exact in it give the bits of f32,
 * others are rounded once; what a CPU without it, and training, answer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/cpu.h"
#include "host/base/memory.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

enum { ROWS = 3 };

static mien_backend *f32, *bf16; /* bf16: NULL where the CPU has none */

static int open_backends(void **state) {
    (void)state;
    mien_backend_options options = {.threads = 2};
    expect_ok(mien_cpu_open(&options, &f32));
    options.compute = MIEN_COMPUTE_BF16;
    if (mien_onednn_has_bf16()) expect_ok(mien_cpu_open(&options, &bf16));
    return 0;
}

static int close_backends(void **state) {
    (void)state;
    mien_backend_close(f32);
    mien_backend_close(bf16);
    return 0;
}

/* y of ROWS rows in NHWC, on one backend. */
static float *run(mien_backend *b, const mien_linear_desc *d, const float *x, const float *hwio,
                  const float *bias, const float *before) {
    mien_linear *op;
    void *w, *scratch;
    mien_shape in = d->in, out = d->out;
    in.n = out.n = ROWS;
    mien_tensor tx = {in, MIEN_F32, b->ops->channel_block(b, in), NULL};
    mien_tensor ty = {out, MIEN_F32, b->ops->channel_block(b, out), NULL};
    float *y = malloc(mien_shape_count(out) * sizeof *y);
    assert_non_null(y);
    expect_ok(b->ops->linear_create(b, d, &op));
    expect_ok(b->ops->linear_prepare(op, 1));
    expect_ok(b->ops->linear_prepare(op, ROWS));
    expect_ok(mien_new_aligned(&w, b->ops->linear_weight_bytes(op)));
    expect_ok(mien_new_aligned(&scratch, b->ops->linear_scratch_bytes(op) + 64));
    expect_ok(mien_new_aligned(&tx.data, mien_shape_count(in) * sizeof *y));
    expect_ok(mien_new_aligned(&ty.data, mien_shape_count(out) * sizeof *y));
    expect_ok(b->ops->weights_upload(op, w, hwio));
    expect_ok(b->ops->upload(b, &tx, x));
    expect_ok(b->ops->upload(b, &ty, before));
    expect_ok(b->ops->linear_forward(op, &ty, &tx, w, d->bias ? bias : NULL, scratch));
    expect_ok(b->ops->download(b, y, &ty));
    b->ops->linear_free(op);
    mien_free(w);
    mien_free(scratch);
    mien_free(tx.data);
    mien_free(ty.data);
    return y;
}

static float *multiples(uint64_t stream, size_t count, float unit) {
    float *v = malloc(count * sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < count; i++)
        v[i] = (float)(whole_below(stream, i, 31) - 15) * unit;
    return v;
}

/* Small multiples of powers of two are exact in bf16, and so are their sums in f32. Largest
 * difference from f32; `unit` other than a power of two needs rounding. */
static double difference(mien_linear_desc d, float unit, bool *same) {
    const size_t xs = mien_shape_sample(d.in) * ROWS, ys = mien_shape_sample(d.out) * ROWS;
    float *x = multiples(1, xs, unit), *hwio = multiples(2, mien_linear_weights(&d), 0.25f);
    float *bias = multiples(3, (size_t)d.out.c, 0.5f), *before = multiples(4, ys, 0.5f);
    d.algorithm[MIEN_FORWARD] = MIEN_DIRECT; /* Winograd's sums are not exact */
    float *want = run(f32, &d, x, hwio, bias, before), *got = run(bf16, &d, x, hwio, bias, before);
    double most = 0, largest = 0;
    for (size_t i = 0; i < ys; i++) {
        most = fmax(most, fabs((double)got[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    *same = memcmp(want, got, ys * sizeof *want) == 0;
    free(x);
    free(hwio);
    free(bias);
    free(before);
    free(want);
    free(got);
    return most / largest;
}

static mien_linear_desc conv(int size, int in, int out, int kernel, int stride, int pad) {
    const int o = (size + 2 * pad - kernel) / stride + 1;
    return (mien_linear_desc){.name = "layer",
                              .in = {1, size, size, in},
                              .out = {1, o, o, out},
                              .kernel_h = kernel,
                              .kernel_w = kernel,
                              .stride_h = stride,
                              .stride_w = stride,
                              .pad_top = pad,
                              .pad_left = pad,
                              .pad_bottom = pad,
                              .pad_right = pad,
                              .bias = true,
                              .activation = BODY_RELU};
}

static void exact_factors_give_the_bits_of_f32(void **state) {
    (void)state;
    bool same;
    if (!bf16) skip();
    static const int shapes[][6] = {
        {6, 32, 48, 3, 1, 1}, {7, 16, 32, 3, 1, 0},  {9, 17, 33, 3, 2, 1},  {5, 64, 16, 1, 1, 0},
        {6, 19, 16, 2, 2, 0}, {1, 128, 96, 1, 1, 0}, {14, 24, 40, 5, 1, 2}, {6, 192, 192, 3, 1, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int *s = shapes[i];
        mien_linear_desc d = conv(s[0], s[1], s[2], s[3], s[4], s[5]);
        for (int v = 0; v < 4; v++) {
            d.activation = v % 2 ? BODY_RELU : BODY_LINEAR;
            d.dilation_h = d.dilation_w = 1;
            d.bias = v < 2;
            d.adds =
                v == 3 && bf16->ops->linear_can_add(bf16, &d) && f32->ops->linear_can_add(f32, &d);
            difference(d, 0.25f, &same);
            if (!same) fail_msg("shape %zu, variant %d: not the bits of f32", i, v);
        }
    }
    for (int k = 16; k < 400; k += 61) {
        mien_linear_desc d = conv(1, k, k + 3, 1, 1, 0);
        d.dense = true;
        difference(d, 0.25f, &same);
        if (!same) fail_msg("dense %d: not the bits of f32", k);
    }
}

/* Factors are rounded to 8 bits, and sums are not. */
static void other_factors_are_rounded(void **state) {
    (void)state;
    bool same;
    if (!bf16) skip();
    const double d = difference(conv(6, 64, 32, 3, 1, 1), 0.3f, &same);
    assert_false(same);
    assert_true(d < 1.0 / 256);
    difference(conv(6, 64, 7, 3, 1, 1), 0.3f, &same); /* few outputs stay in f32 */
    assert_true(same);
    assert_string_equal(mien_compute_name(mien_backend_compute(bf16)), "bf16");
    assert_non_null(strstr(mien_backend_description(bf16), "bf16"));
}

static void training_is_refused(void **state) {
    (void)state;
    mien_backend *b;
    const mien_backend_options bad[] = {{.compute = MIEN_COMPUTE_BF16, .training = true},
                                        {.compute = MIEN_COMPUTE_F16},
                                        {.compute = MIEN_COMPUTE_TF32}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(mien_cpu_open(&bad[i], &b), MIEN_UNSUPPORTED);
    assert_non_null(strstr(mien_error_message(), "the CPU computes in f32, not in tf32"));
}

static void a_cpu_without_it_refuses(void **state) {
    (void)state;
    mien_backend *b;
    const mien_backend_options options = {.compute = MIEN_COMPUTE_BF16};
    if (bf16) skip(); /* the gate runs this with MIEN_ISA */
    assert_int_equal(mien_cpu_open(&options, &b), MIEN_INVALID);
    assert_string_equal(mien_error_message(),
                        "bf16 needs a CPU with AVX512-BF16 or AMX, which this one lacks: use f32");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(exact_factors_give_the_bits_of_f32),
                                       cmocka_unit_test(other_factors_are_rounded),
                                       cmocka_unit_test(training_is_refused),
                                       cmocka_unit_test(a_cpu_without_it_refuses)};
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
