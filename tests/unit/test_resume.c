/* A training that is stopped after any step and continued ends with the bits of one that never
 * stopped; damaged checkpoints are found, and other data, plans and networks refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/train/trainer.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/support/training.h"

enum { EPOCHS = 3, STEPS = 4 * EPOCHS }; /* the last batch of an epoch is smaller */

/* From a trained model with a new head, the rest of it frozen. */
static void write_frozen_recipe(void) {
    static const char recipe[] = "model: {file: start/best.h5, head: fresh, freeze: [base]}\n"
                                 "data: {sources: [faces.csv], split: {by: usage}}\n"
                                 "optimizer: {name: adamw, learning_rate: 0.01, ema: 0.9}\n"
                                 "train: {epochs: 3, batch_size: 8}\n";
    scratch_put("frozen.yaml", recipe, sizeof recipe - 1);
}

static void write_recipe(const char *name, const char *data, const char *optimizer,
                         const char *memory, const char *schedule) {
    mien_text text = {0};
    mien_text_printf(&text,
                     "model: {file: net.yaml}\n"
                     "data: {sources: [%s], split: {by: usage}, memory: %s}\n"
                     "augment: {mixup: 0.2, erase: 0.2}\n"
                     "optimizer: {name: %s, learning_rate: 0.01, ema: 0.9}\n"
                     "schedule: {name: %s, patience: 1}\n"
                     "early_stopping: {enabled: true, patience: 100}\n"
                     "train: {epochs: %d, batch_size: 8}\n"
                     "checkpoint: {every_steps: %d}\n",
                     data, memory, optimizer, schedule, EPOCHS, strcmp(name, "often.yaml") == 0);
    scratch_put_text(name, &text);
}

static int start(void **state) {
    if (scratch_make(state)) return 1;
    training_net("net.yaml");
    training_faces("faces.csv", 1);
    training_faces("others.csv", 2);
    write_recipe("run.yaml", "faces.csv", "adamw", "auto", "plateau");
    write_recipe("stream.yaml", "faces.csv", "adamw", "stream", "cosine");
    write_recipe("others.yaml", "others.csv", "adamw", "auto", "plateau");
    write_recipe("often.yaml", "faces.csv", "adamw", "auto", "cosine");
    write_frozen_recipe();
    write_recipe("sgd.yaml", "faces.csv", "sgd", "auto", "plateau");
    training_open();
    return 0;
}

static int end(void **state) {
    training_close();
    return scratch_drop(state);
}

static void test_every_step(void **state) {
    (void)state;
    char folder[32];
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(training_run("run.yaml", "whole", 0, false, false));
    for (int k = 1; k <= STEPS; k++) {
        snprintf(folder, sizeof folder, "stopped-%d", k);
        assert_int_equal(training_run("run.yaml", folder, k, false, false), MIEN_INTERRUPTED);
        /* some are stopped again, within the next step or in the validation after the last one */
        mien_status status = training_run("run.yaml", folder, k % 3 == 0 ? 2 : 0, true, false);
        if (k % 3 == 0 && status == MIEN_INTERRUPTED)
            status = training_run("run.yaml", folder, 0, true, false);
        expect_ok(status);
        training_same_end("whole", folder);
    }
}

static void test_streamed(void **state) {
    (void)state;
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(training_run("stream.yaml", "streamed", 0, false, false));
    for (int k = 1; k <= STEPS;
         k++) { /* stopped with 1, 2 or 4 loader threads, continued with 2, 4, 1 */
        char folder[32];
        snprintf(folder, sizeof folder, "stream-%d", k);
        training_loaders = 1 << k % 3;
        assert_int_equal(training_run("stream.yaml", folder, k, false, false), MIEN_INTERRUPTED);
        training_loaders = 1 << (k + 1) % 3;
        expect_ok(training_run("stream.yaml", folder, 0, true, false));
        training_loaders = 0;
        training_same_end("streamed", folder);
    }
}

/* A continued training writes checkpoints within its epochs, too. */
static void test_often(void **state) {
    (void)state;
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(training_run("often.yaml", "often", 0, false, false));
    for (int k = 1; k < STEPS; k += 3) {
        char folder[32];
        snprintf(folder, sizeof folder, "often-%d", k);
        assert_int_equal(training_run("often.yaml", folder, k, false, false), MIEN_INTERRUPTED);
        expect_ok(training_run("often.yaml", folder, 0, true, false));
        training_same_end("often", folder);
    }
}

/* Also where layers are frozen: there are no moments of their weights. */
static void test_frozen(void **state) {
    (void)state;
    mien_resume one, other;
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(training_run("run.yaml", "start", 0, false, false));
    expect_ok(training_run("frozen.yaml", "frozen", 0, false, false));
    for (int k = 2; k <= STEPS; k += 5) {
        char folder[32];
        snprintf(folder, sizeof folder, "frozen-%d", k);
        assert_int_equal(training_run("frozen.yaml", folder, k, false, false), MIEN_INTERRUPTED);
        expect_ok(training_run("frozen.yaml", folder, 0, true, false));
        training_same_end("frozen", folder);
    }
    expect_ok(mien_checkpoints_newest(scratch_path("start"), &one));
    expect_ok(mien_checkpoints_newest(scratch_path("frozen"), &other));
    assert_true(other.file.count < one.file.count);
    mien_resume_release(&one);
    mien_resume_release(&other);
}

/* From a checkpoint between two epochs, after the process died without writing another. */
static void test_between_epochs(void **state) {
    (void)state;
    char path[MIEN_PATH];
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(training_run("run.yaml", "calm", 0, false, false));
    training_clock = 6;
    const mien_status status = training_run("run.yaml", "killed", 9, false, false);
    training_clock = 0;
    assert_int_equal(status, MIEN_INTERRUPTED);
    snprintf(path, sizeof path, "%s/last.safetensors", scratch_path("killed"));
    assert_int_equal(unlink(path), 0);
    mien_resume newest;
    expect_ok(mien_checkpoints_newest(scratch_path("killed"), &newest));
    assert_int_equal(unlink(newest.path), 0);
    mien_resume_release(&newest);
    expect_ok(mien_checkpoints_newest(scratch_path("killed"), &newest));
    assert_int_equal(newest.progress.device.tick, 0);
    assert_int_equal(newest.progress.device.step, 4);
    mien_resume_release(&newest);
    expect_ok(training_run("run.yaml", "killed", 0, true, false));
    training_same_end("calm", "killed");
}

static void test_refused(void **state) {
    (void)state;
    if (mien_h5_available() != MIEN_OK) skip();
    assert_int_equal(training_run("run.yaml", "r", 6, false, false), MIEN_INTERRUPTED);
    assert_int_equal(training_run("others.yaml", "r", 0, true, false), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "the data are not those of"));
    assert_int_equal(training_run("sgd.yaml", "r", 0, true, true), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "another optimizer"));
    expect_ok(training_run("others.yaml", "r", 0, true, true));
}

static void test_plan(void **state) {
    (void)state;
    char where[MIEN_PATH];
    mien_config config;
    mien_resume from;
    mien_train_result result;
    if (mien_h5_available() != MIEN_OK) skip();
    assert_int_equal(training_run("run.yaml", "p", 6, false, false), MIEN_INTERRUPTED);
    snprintf(where, sizeof where, "%s", scratch_path("p"));
    expect_ok(mien_config_start(&config));
    expect_ok(mien_config_read(&config, scratch_path("run.yaml")));
    expect_ok(mien_checkpoints_newest(where, &from));
    from.texts.plan = "Device: an abacus; micro-batch 1 of 8 rows.\n";
    const mien_train_request request = {.config = &config,
                                        .backend = training_backend,
                                        .folder = where,
                                        .command = "test",
                                        .commit = "none",
                                        .resume = &from};
    assert_int_equal(mien_train(&request, &result), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "was 'Device: an abacus;"));
    mien_metrics_release(&result.metrics);
    mien_resume_release(&from);
    mien_config_release(&config);
}

/* A checkpoint that a bit was flipped in, or that was cut short, is not used: the one before is. */
static void test_damage(void **state) {
    (void)state;
    char path[MIEN_PATH], older[MIEN_PATH];
    mien_safetensors file;
    mien_resume from;
    size_t size;
    if (mien_h5_available() != MIEN_OK) skip();
    assert_int_equal(training_run("run.yaml", "d", 4, false, false), MIEN_INTERRUPTED);
    expect_ok(mien_checkpoints_newest(scratch_path("d"), &from));
    snprintf(older, sizeof older, "%s", from.path);
    mien_resume_release(&from);
    assert_int_equal(training_run("run.yaml", "d", 4, true, false), MIEN_INTERRUPTED);
    expect_ok(mien_checkpoints_newest(scratch_path("d"), &from));
    snprintf(path, sizeof path, "%s", from.path);
    mien_resume_release(&from);
    assert_string_not_equal(path, older);
    char *bytes = training_bytes(path, &size);
    for (int i = 0; i < 10000; i++) {
        const size_t bit =
            (size_t)(noise(3, (size_t)i) * 0.5 * (double)(8 * size) + 4.0 * (double)size);
        if (bit >= 8 * size) continue;
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        assert_int_not_equal(mien_checkpoint_parse(bytes, size, "x", &file), MIEN_OK);
        mien_safetensors_release(&file);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
    }
    for (size_t cut = 0; cut < size; cut += size / 40) {
        assert_int_not_equal(mien_checkpoint_parse(bytes, cut, "x", &file), MIEN_OK);
        mien_safetensors_release(&file);
    }
    expect_ok(mien_checkpoint_parse(bytes, size, "x", &file));
    mien_safetensors_release(&file);
    bytes[size - 9] ^= 4;
    expect_ok(mien_file_write(path, bytes, size));
    expect_ok(mien_checkpoints_newest(scratch_path("d"), &from));
    assert_string_equal(from.path, older);
    mien_resume_release(&from);
    mien_free(bytes);
    expect_ok(training_run("run.yaml", "d", 0, true, false));
    expect_ok(training_run("run.yaml", "undamaged", 0, false, false));
    training_same_end("undamaged", "d");
}

/* A checkpoint is a model: the averaged weights. */
static void test_as_model(void **state) {
    (void)state;
    mien_model model;
    mien_weights average;
    mien_resume from;
    bool found;
    if (mien_h5_available() != MIEN_OK) skip();
    assert_int_equal(training_run("run.yaml", "m", 2, false, false), MIEN_INTERRUPTED);
    expect_ok(mien_model_open(scratch_path("m"), &model)); /* there is no best.h5 yet */
    assert_int_equal(model.meta.step, 2);
    expect_ok(mien_checkpoints_newest(scratch_path("m"), &from));
    expect_ok(
        mien_checkpoint_array(&from.file, "m", &model.graph, MIEN_ARRAY_AVERAGE, &average, &found));
    assert_true(found);
    assert_memory_equal(mien_weights_get(&model.weights, 1, 0), mien_weights_get(&average, 1, 0),
                        25 * 4 * sizeof(float));
    mien_weights_release(&average);
    mien_resume_release(&from);
    mien_model_release(&model);
}

/* Checkpoints at epochs are five seconds apart, and only the newest are kept. */
static void test_kept(void **state) {
    (void)state;
    char path[MIEN_PATH];
    int left = 0;
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(training_run("run.yaml", "kept", 0, false, false));
    for (int k = 1; k <= STEPS; k++) {
        snprintf(path, sizeof path, "%s/step-%d.safetensors", scratch_path("kept"), k);
        left += access(path, F_OK) == 0;
    }
    assert_int_equal(left, 1); /* the clock stood still: only the last one was written */
    assert_int_equal(training_run("run.yaml", "kept", 0, true, true), MIEN_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_step),     cmocka_unit_test(test_streamed),
        cmocka_unit_test(test_often),          cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_between_epochs), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_plan),           cmocka_unit_test(test_damage),
        cmocka_unit_test(test_as_model),       cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests(tests, start, end);
}
