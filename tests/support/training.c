#include "tests/support/training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

mien_backend *training_backend;
const mien_ops *training_genuine;
mien_ops training_ops;
int training_loaders;
double training_clock;
static int stop, stop_after, steps; /* `stop_after`: batches of this run; 0: never */
static double clock_now;

static double told_time(void) {
    return clock_now += training_clock;
}

mien_status training_gather(mien_backend *b, const mien_tensor *x, const mien_tensor *targets,
                            const mien_gather *batch) {
    if (++steps == stop_after) stop = 1;
    return training_genuine->gather(b, x, targets, batch);
}

void training_open(void) {
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 1);
    expect_ok(mien_backend_open("cpu", NULL, &training_backend));
    training_genuine = training_backend->ops;
    training_ops = *training_genuine;
    training_ops.gather = training_gather;
    training_backend->ops = &training_ops;
}

void training_close(void) {
    training_backend->ops = training_genuine;
    mien_backend_close(training_backend);
}

void training_net(const char *name) {
    static const char net[] = "layers:\n"
                              "  - conv2d: {filters: 4, kernel_size: 5, strides: 4}\n"
                              "  - batch_normalization\n"
                              "  - relu\n"
                              "  - dropout: {rate: 0.2}\n"
                              "  - flatten\n"
                              "  - dense: {units: classes, activation: softmax}\n";
    scratch_put(name, net, sizeof net - 1);
}

void training_faces(const char *name, int seed) {
    mien_text csv = {0};
    mien_text_puts(&csv, "emotion,pixels,Usage\n");
    for (int i = 0; i < 36; i++) {
        mien_text_printf(&csv, "%d,", i % 2);
        for (int p = 0; p < 48 * 48; p++)
            mien_text_printf(&csv, "%d ", whole_below((uint32_t)seed, (size_t)(i * 2304 + p), 256));
        mien_text_printf(&csv, ",%s\n", i < 28 ? "Training" : "PublicTest");
    }
    scratch_put_text(name, &csv);
}

mien_status training_run(const char *recipe, const char *folder, int after, bool resumes,
                         bool anyway) {
    char where[MIEN_PATH];
    mien_config config;
    mien_resume from = {0};
    mien_train_result result = {0};
    snprintf(where, sizeof where, "%s", scratch_path(folder));
    expect_ok(mien_make_folders(where));
    expect_ok(mien_config_start(&config));
    expect_ok(mien_config_read(&config, scratch_path(recipe)));
    stop = steps = 0;
    stop_after = after;
    mien_status status = resumes ? mien_checkpoints_newest(where, &from) : MIEN_OK;
    const mien_train_request request = {.config = &config,
                                        .backend = training_backend,
                                        .folder = where,
                                        .command = "test",
                                        .commit = "none",
                                        .resume = resumes ? &from : NULL,
                                        .resume_anyway = anyway,
                                        .stop = &stop,
                                        .loader_threads = training_loaders,
                                        .seconds = told_time};
    if (status == MIEN_OK) status = mien_train(&request, &result);
    mien_metrics_release(&result.metrics);
    mien_resume_release(&from);
    mien_config_release(&config);
    return status;
}

char *training_bytes(const char *path, size_t *size) {
    char *bytes;
    expect_ok(mien_file_read(path, 1 << 24, &bytes, size));
    return bytes;
}

void training_same_end(const char *a, const char *b) {
    char path[MIEN_PATH];
    mien_resume one, other;
    size_t sizes[2];
    expect_ok(mien_checkpoints_newest(scratch_path(a), &one));
    expect_ok(mien_checkpoints_newest(scratch_path(b), &other));
    assert_int_equal(one.file.count, other.file.count);
    assert_true(one.progress.finished && other.progress.finished);
    assert_int_equal(one.progress.device.step, other.progress.device.step);
    assert_int_equal(one.progress.nan_count, other.progress.nan_count);
    for (size_t i = 0; i < one.file.count; i++) {
        assert_string_equal(one.file.tensors[i].name, other.file.tensors[i].name);
        assert_memory_equal(one.file.tensors[i].data, other.file.tensors[i].data,
                            one.file.tensors[i].count * sizeof(float));
    }
    assert_string_equal(one.texts.log, other.texts.log);
    mien_resume_release(&one);
    mien_resume_release(&other);
    snprintf(path, sizeof path, "%s/log.csv", scratch_path(a));
    char *first = training_bytes(path, &sizes[0]);
    snprintf(path, sizeof path, "%s/log.csv", scratch_path(b));
    char *second = training_bytes(path, &sizes[1]);
    assert_string_equal(first, second);
    mien_free(first);
    mien_free(second);
}
