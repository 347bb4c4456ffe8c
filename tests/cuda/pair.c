#include "tests/cuda/pair.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "kernels/body/cast.h"
#include "tests/support/test.h"

static mien_backend *plain, *cuda;

static void open_both(mien_compute compute) {
    expect_ok(reference_open(false, &plain));
    cuda = device_open(compute, true);
}

static int open_f32(void **state) {
    (void)state;
    open_both(MIEN_COMPUTE_F32);
    return 0;
}

static int open_bf16(void **state) {
    (void)state;
    open_both(MIEN_COMPUTE_BF16);
    return 0;
}

static int open_f16(void **state) {
    (void)state;
    open_both(MIEN_COMPUTE_F16);
    return 0;
}

static int close_both(void **state) {
    (void)state;
    mien_backend_close(cuda);
    mien_backend_close(plain);
    return 0;
}

static int run_types(const struct CMUnitTest *tests, size_t count, int types) {
    static const CMFixtureFunction opens[] = {open_f32, open_bf16, open_f16};
    static const char *const names[] = {"f32", "bf16", "f16"};
    omp_set_num_threads(1); /* subnormals are flushed in this thread only */
    const unsigned flags = mien_float_enter();
    int failed = 0;
    for (int i = 0; i < types; i++)
        failed += _cmocka_run_group_tests(names[i], tests, count, opens[i], close_both);
    mien_float_leave(flags);
    return failed;
}

int pair_run_all_types(const struct CMUnitTest *tests, size_t count) {
    return run_types(tests, count, 3);
}

int pair_run_f32(const struct CMUnitTest *tests, size_t count) {
    return run_types(tests, count, 1);
}

mien_backend *pair_plain(void) {
    return plain;
}

mien_backend *pair_cuda(void) {
    return cuda;
}

float pair_round(float x) {
    return cuda->dtype == MIEN_BF16  ? body_from_bf16(body_to_bf16(x))
           : cuda->dtype == MIEN_F16 ? body_from_f16(body_to_f16(x))
                                     : x;
}

float *pair_floats(size_t count, uint32_t seed, bool wild) {
    static const float special[] = {0.0f,    -0.0f,    1e-40f, INFINITY, -INFINITY, NAN,  3.4e38f,
                                    -3.0e4f, 1.2e-38f, 6.0f,   -87.3f,   6e-8f,     -3.0f};
    enum { SPECIAL = sizeof special / sizeof special[0] };
    float *out = malloc((count ? count : 1) * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++) {
        const double scale = wild ? exp(8 * noise(seed, 2 * i + 1)) : 1;
        const bool odd = wild && whole_below(seed + 77, i, 4) == 0;
        out[i] = pair_round(odd ? special[whole_below(seed + 78, i, SPECIAL)]
                                : (float)(noise(seed, 2 * i) * scale));
    }
    return out;
}

pair_tensor pair_tensor_of(mien_backend *b, mien_shape shape, uint32_t seed, bool wild, int shift) {
    const size_t count = mien_shape_count(shape), bytes = mien_dtype_bytes(b->dtype);
    pair_tensor out = {{shape, b->dtype, b->ops->channel_block(b, shape), NULL}, NULL};
    out.data = device_copy(b, NULL, (count + (size_t)shift) * bytes);
    out.t.data = (char *)out.data + (size_t)shift * bytes;
    if (seed == 0) return out;
    float *values = pair_floats(count, seed, wild);
    expect_ok(b->ops->upload(b, &out.t, values));
    free(values);
    return out;
}

void pair_release(mien_backend *b, pair_tensor *t) {
    b->ops->free(b, t->data);
}

void pair_keep_numbers(pair_result *r, const float *values, size_t count) {
    r->values = realloc(r->values, (r->count + count + 1) * sizeof *r->values);
    assert_non_null(r->values);
    memcpy(r->values + r->count, values, count * sizeof *values);
    r->count += count;
}

void pair_keep(mien_backend *b, pair_result *r, const mien_tensor *t) {
    float *values = device_take(b, t);
    pair_keep_numbers(r, values, mien_shape_count(t->shape));
    free(values);
}

/* Compilers differ in whether a selection (x > 6 ? 6 : x) flushes subnormals: they count as zero.
 */
static void flush(pair_result *r) {
    for (size_t i = 0; i < r->count; i++) {
        const uint32_t bits = body_to_bits(r->values[i]);
        if ((bits & 0x7f800000u) == 0) r->values[i] = body_from_bits(bits & 0x80000000u);
    }
}

static void compare(pair_case run, const void *row, double most, const char *what, int number) {
    static const char *const orders[] = {"forward", "reverse", "7"};
    pair_result want = {0};
    char name[128];
    run(plain, row, &want);
    for (size_t i = 0; most == 0 && i < want.count; i++)
        want.values[i] = pair_round(want.values[i]);
    flush(&want);
    for (int order = 0; order < 3; order++) {
        pair_result got = {0};
        setenv("FAKE_CUDA_ORDER", orders[order], 1);
        run(cuda, row, &got);
        flush(&got);
        snprintf(name, sizeof name, "%s, row %d, order %s", what, number, orders[order]);
        assert_int_equal(got.count, want.count);
        if (most == 0)
            device_same(got.values, want.values, got.count, name);
        else
            device_near(got.values, want.values, got.count, most, name);
        free(got.values);
    }
    unsetenv("FAKE_CUDA_ORDER");
    free(want.values);
}

void pair_same(pair_case run, const void *row, const char *what, int number) {
    compare(run, row, 0, what, number);
}

void pair_near(pair_case run, const void *row, double most, const char *what, int number) {
    compare(run, row, most, what, number);
}
