/* Which epochs' weights a run copies from the device, and what it saves when the device fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/train/trainer.h"
#include "tests/support/device.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

enum { EPOCHS = 12, LAYERS = 2, FAULT_AFTER = 9 };

static mien_backend *backend;
static const mien_ops *genuine;
static double clock_now;
static int downloads, fetched[EPOCHS + 1];       /* copies of kernels during each epoch */
static bool is_best[EPOCHS + 1], faulty, broken; /* broken: the device has failed */

static double told_time(void) {
    return clock_now;
}

static mien_status count_download(mien_linear *op, float *hwio, const void *src) {
    downloads++;
    return genuine->weights_download(op, hwio, src);
}

/* Two seconds an epoch. */
static void after_epoch(void *context, const mien_epoch *e) {
    (void)context;
    fetched[e->number] = downloads;
    is_best[e->number] = e->best;
    downloads = 0;
    clock_now += 2;
    broken = faulty && e->number == FAULT_AFTER;
}

static mien_status gather(mien_backend *b, const mien_tensor *x, const mien_tensor *targets,
                          const mien_gather *what) {
    if (broken) return MIEN_FAIL(DEVICE, "GPU: a fault");
    return genuine->gather(b, x, targets, what);
}

static void write_files(void) {
    static const char model[] = "layers:\n"
                                "  - conv2d: {filters: 4, kernel_size: 5, strides: 4}\n"
                                "  - max_pooling2d: {pool_size: 4}\n"
                                "  - flatten\n"
                                "  - dense: {units: classes, activation: softmax}\n";
    mien_text csv = {0};
    scratch_put("net.yaml", model, sizeof model - 1);
    mien_text_puts(&csv, "emotion,pixels,Usage\n");
    for (int i = 0; i < 24; i++) {
        mien_text_printf(&csv, "%d,", i % 2);
        for (int p = 0; p < 48 * 48; p++)
            mien_text_printf(&csv, "%d ", whole_below(1, (size_t)(i * 2304 + p), 256));
        mien_text_printf(&csv, ",%s\n", i < 16 ? "Training" : "PublicTest");
    }
    scratch_put_text("faces.csv", &csv);
    /* nothing is learned: the first epoch stays the best */
    static const char recipe[] = "model: {file: net.yaml}\n"
                                 "data: {sources: [faces.csv], split: {by: usage}}\n"
                                 "augment: {flip: false, rotate: 0, shift: 0, zoom: 0}\n"
                                 "optimizer: {name: sgd, learning_rate: 1.0e-30}\n"
                                 "train: {epochs: 12, batch_size: 8}\n";
    scratch_put("run.yaml", recipe, sizeof recipe - 1);
}

static int start(void **state) {
    if (scratch_make(state)) return 1;
    write_files();
    backend = device_open(MIEN_COMPUTE_F32, true);
    genuine = backend->ops;
    /* the module is loaded; mien-h5 is next to the program */
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 1);
    return 0;
}

static int end(void **state) {
    backend->ops = genuine;
    mien_backend_close(backend);
    return scratch_drop(state);
}

static mien_status run(bool with_fault, mien_train_result *result) {
    mien_config config;
    static mien_ops ops;
    ops = *genuine;
    ops.weights_download = count_download;
    ops.gather = gather;
    if (with_fault) ops.capture = NULL; /* recorded work would not reach the fault */
    backend->ops = &ops;
    faulty = with_fault;
    broken = false;
    clock_now = 100;
    downloads = 0;
    memset(fetched, 0, sizeof fetched);
    expect_ok(mien_config_start(&config));
    expect_ok(mien_config_read(&config, scratch_path("run.yaml")));
    const mien_train_request request = {.config = &config,
                                        .backend = backend,
                                        .folder = scratch,
                                        .command = "test",
                                        .commit = "none",
                                        .observer = {.epoch = after_epoch},
                                        .seconds = told_time};
    const mien_status status = mien_train(&request, result);
    mien_config_release(&config);
    return status;
}

/* The best epoch's weights are fetched, and weights and momentum for a checkpoint every five
 * seconds. */
static void test_fetches(void **state) {
    (void)state;
    if (mien_h5_available() != MIEN_OK) skip();
    mien_train_result result;
    expect_ok(run(false, &result));
    mien_metrics_release(&result.metrics);
    for (int e = 1; e <= EPOCHS; e++) {
        assert_int_equal(is_best[e], e == 1);
        assert_int_equal(fetched[e], e == 1 ? LAYERS : e % 3 == 1 ? 2 * LAYERS : 0);
    }
}

/* After a fault the newest checkpoint is left, of the step that the message names. */
static void test_fault(void **state) {
    (void)state;
    if (mien_h5_available() != MIEN_OK) skip();
    mien_train_result result;
    mien_model model;
    assert_int_equal(run(true, &result), MIEN_DEVICE);
    mien_metrics_release(&result.metrics);
    assert_non_null(strstr(mien_error_message(), "step 18 is saved in last.safetensors"));
    expect_ok(mien_model_open(scratch_path("last.safetensors"), &model));
    assert_int_equal(model.meta.epoch, 9);
    assert_int_equal(model.meta.step, 18);
    mien_model_release(&model);
}

/* Weights of several staging buffers, whose rows do not end where a buffer does. */
static void test_large_weights(void **state) {
    (void)state;
    enum { IN = 403, OUT = 517 };
    const mien_linear_desc d = {.name = "large",
                                .in = {1, 4, 4, IN},
                                .out = {1, 4, 4, OUT},
                                .kernel_h = 3,
                                .kernel_w = 3,
                                .stride_h = 1,
                                .stride_w = 1,
                                .pad_top = 1,
                                .pad_left = 1,
                                .pad_bottom = 1,
                                .pad_right = 1};
    const size_t count = mien_linear_weights(&d);
    mien_linear *op;
    void *device;
    backend->ops = genuine;
    expect_ok(genuine->linear_create(backend, &d, &op));
    expect_ok(genuine->alloc(backend, genuine->linear_weight_bytes(op), &device));
    float *in = device_numbers(count, 1, 5, MIEN_F32), *out = calloc(count, sizeof *out);
    float *raw = calloc(count, sizeof *raw);
    assert_true(out && raw);
    expect_ok(genuine->weights_upload(op, device, in));
    expect_ok(genuine->weights_download(op, out, device));
    assert_memory_equal(out, in, count * sizeof *in);
    expect_ok(genuine->copy_out(backend, raw, device, count * sizeof *raw));
    for (size_t i = 0; i < count; i++) {
        const size_t o = i / (9 * IN), row = i % (9 * IN);
        assert_true(raw[i] == in[row * OUT + o]);
    }
    genuine->free(backend, device);
    genuine->linear_free(op);
    free(in);
    free(out);
    free(raw);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetches),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_large_weights),
    };
    return cmocka_run_group_tests_name("trainer", tests, start, end);
}
