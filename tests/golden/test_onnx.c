/* The networks of tests/golden/onnx, made by other programs, against what ONNX Runtime computes of
 * the same pixels. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/formats/safetensors.h"
#include "host/infer/ensemble.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

enum { IMAGES = 3, NETS_LEAST = 60 };
static const double tolerance = 1e-5; /* of the largest output */

static mien_backend *backend;

/* The pixels of make_onnx.py: the upper bytes of an xorshift generator. */
static uint8_t *make_pixels(size_t count) {
    uint8_t *out = malloc(count);
    uint32_t s = 2463534242u;
    assert_non_null(out);
    for (size_t i = 0; i < count; i++) {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        out[i] = (uint8_t)(s >> 24);
    }
    return out;
}

static double compare(const mien_st_tensor *expected, const float *got, size_t count) {
    float *want = malloc(count * sizeof *want);
    double worst = 0, largest = 0;
    assert_non_null(want);
    assert_int_equal(expected->count, count);
    expect_ok(mien_st_floats(expected, want, count));
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)want[i]));
        const double off = fabs((double)want[i] - (double)got[i]);
        worst = isnan(off) || off > worst ? off : worst;
    }
    free(want);
    return worst / largest;
}

/* The network's own outputs: no classes are named, so that no softmax is added. */
static bool check_net(const char *path, const char *name, const mien_safetensors *golden) {
    static const char *const choices[] = {NULL, "v12_0"}; /* of two_outputs */
    const mien_model_options options = {.classes = "none",
                                        .preprocess = "unit",
                                        .several = true,
                                        .output = choices[strcmp(name, "two_outputs") == 0]};
    char key[256];
    mien_model model;
    mien_predictor *predictor = NULL;
    mien_status status = mien_model_open_with(path, &options, &model);
    if (status != MIEN_OK) {
        print_message("%s\n", mien_error_message());
        mien_model_release(&model);
        return false;
    }
    model.meta.unknown = 0; /* the names of classes do not matter here */
    const mien_shape in = mien_model_input(&model);
    const size_t image = (size_t)in.h * (size_t)in.w * (size_t)in.c;
    const size_t count = IMAGES * (size_t)model.meta.classes;
    float *out = malloc(count * sizeof *out);
    uint8_t *pixels = make_pixels(IMAGES * image);
    assert_non_null(out);
    expect_ok(mien_predictor_create(&model, backend, IMAGES, &predictor));
    expect_ok(mien_predictor_run(predictor, pixels, IMAGES, out));
    if (strncmp(name, "activations", 11) == 0) /* its file ends in LogSoftmax */
        for (size_t i = 0; i < count; i++)
            out[i] = logf(out[i]);
    snprintf(key, sizeof key, "%.200s/y", name);
    const mien_st_tensor *expected = mien_safetensors_find(golden, key);
    assert_non_null(expected);
    const double off = compare(expected, out, count);
    if (!(off <= tolerance)) print_message("%s: off by %.3g of the largest output\n", name, off);
    mien_predictor_free(predictor);
    mien_model_release(&model);
    free(out);
    free(pixels);
    return off <= tolerance;
}

static void nets_of_other_programs(void **state) {
    char path[MIEN_PATH], name[200], *bytes;
    size_t size, nets = 0, bad = 0;
    mien_safetensors golden;
    (void)state;
    const char *only = getenv("MIEN_NET");
    expect_ok(mien_file_read("tests/golden/onnx.safetensors", 1 << 24, &bytes, &size));
    expect_ok(mien_safetensors_parse(bytes, size, "onnx.safetensors", &golden));
    for (size_t i = 0; i < golden.count; i++) {
        snprintf(name, sizeof name, "%.*s", (int)strlen(golden.tensors[i].name) - 2,
                 golden.tensors[i].name);
        if (only && strcmp(only, name) != 0) continue;
        snprintf(path, sizeof path, "tests/golden/onnx/%s.onnx", name);
        nets++;
        bad += !check_net(path, name, &golden);
    }
    mien_safetensors_release(&golden);
    mien_free(bytes);
    assert_int_equal(bad, 0);
    assert_true(only || nets >= NETS_LEAST);
}

/* The library refuses to guess, too. */
static void nothing_is_guessed(void **state) {
    mien_model *model;
    mien_predictor *predictor;
    (void)state;
    expect_ok(mien_model_load("tests/golden/onnx/plain_9.onnx", &model));
    assert_int_equal(mien_predictor_create(model, backend, 1, &predictor), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "does not say which classes"));
    mien_model_free(model);
}

int main(void) {
    const mien_backend_options options = {.threads = 1};
    if (mien_backend_open("cpu", &options, &backend) != MIEN_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(nets_of_other_programs),
                                       cmocka_unit_test(nothing_is_guessed)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mien_backend_close(backend);
    return failed;
}
