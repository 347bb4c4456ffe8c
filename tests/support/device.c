#include "tests/support/device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/body/cast.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

mien_backend *device_open(mien_compute compute, bool deterministic) {
    const char *build = getenv("MIEN_BUILD");
    char folder[512];
    snprintf(folder, sizeof folder, "%s/fake", build ? build : "build/release");
    setenv("MIEN_MODULES", folder, 0);
    const mien_backend_options options = {
        .compute = compute, .deterministic = deterministic, .training = true};
    mien_backend *b;
    expect_ok(mien_backend_open("cuda", &options, &b));
    return b;
}

float *device_numbers(size_t count, float scale, uint32_t seed, mien_dtype dtype) {
    float *out = malloc((count ? count : 1) * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++) {
        const float x = (float)noise(seed, i) * scale;
        out[i] = dtype == MIEN_BF16  ? body_from_bf16(body_to_bf16(x))
                 : dtype == MIEN_F16 ? body_from_f16(body_to_f16(x))
                                     : x;
    }
    return out;
}

void *device_copy(mien_backend *b, const void *host, size_t bytes) {
    void *data;
    expect_ok(b->ops->alloc(b, bytes, &data));
    if (host) expect_ok(b->ops->copy_in(b, data, host, bytes));
    return data;
}

mien_tensor device_tensor(mien_backend *b, mien_shape shape, const float *nhwc) {
    mien_tensor t = {shape, b->dtype, b->ops->channel_block(b, shape), NULL};
    t.data = device_copy(b, NULL, mien_shape_count(shape) * mien_dtype_bytes(b->dtype));
    if (nhwc) expect_ok(b->ops->upload(b, &t, nhwc));
    return t;
}

mien_tensor device_params(mien_backend *b, size_t count, const float *values) {
    const mien_shape row = {1, 1, 1, (int)count};
    mien_tensor t = {row, b->param_dtype, row.c, NULL};
    t.data = device_copy(b, NULL, count * mien_dtype_bytes(t.dtype));
    if (!values) return t;
    double *wide = numbers(count);
    for (size_t i = 0; i < count; i++)
        wide[i] = (double)values[i];
    const test_net handle = {.backend = b};
    net_write(&handle, &t, wide);
    free(wide);
    return t;
}

float *device_take(mien_backend *b, const mien_tensor *t) {
    const size_t count = mien_shape_count(t->shape);
    float *out = malloc((count ? count : 1) * sizeof *out);
    assert_non_null(out);
    if (t->dtype == b->dtype) {
        expect_ok(b->ops->download(b, out, t));
        return out;
    }
    const test_net handle = {.backend = b};
    double *wide = numbers(count);
    net_read(&handle, t, wide);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)wide[i];
    free(wide);
    return out;
}

void device_release(mien_backend *b, mien_tensor *t) {
    b->ops->free(b, t->data);
    t->data = NULL;
}

void device_same(const float *got, const float *want, size_t count, const char *what) {
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&got[i], &want[i], sizeof *got) == 0 || (isnan(got[i]) && isnan(want[i])))
            continue;
        fail_msg("%s[%zu] of %zu is %a (%g), not %a (%g)", what, i, count, (double)got[i],
                 (double)got[i], (double)want[i], (double)want[i]);
    }
}

void device_near(const float *got, const float *want, size_t count, double most, const char *what) {
    double off = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        const double g = (double)got[i], w = (double)want[i];
        off += (g - w) * (g - w);
        norm += w * w;
    }
    if (!(sqrt(off) <= most * sqrt(norm))) /* also where something is NaN */
        fail_msg("%s is %g from what it should be, more than %g", what, sqrt(off / norm), most);
}
