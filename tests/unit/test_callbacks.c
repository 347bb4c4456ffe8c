/* Early stopping, plateaus and file names decide as Keras does (tests/golden/callbacks.h); event
 * files are those that TensorBoard reads, and a continued training holds every epoch once. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/formats/event_file.h"
#include "host/train/file_template.h"
#include "tests/golden/callbacks.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/support/training.h"

static mien_results val_loss(double value) {
    return (mien_results){{value, 0, 0, 0, 0}};
}

static void test_early_stopping(void **state) {
    (void)state;
    int stopped = 0;
    for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) {
        mien_config c;
        mien_monitor m;
        expect_ok(mien_config_start(&c));
        c.early_stopping.patience = early[i].patience;
        c.early_stopping.start_from_epoch = early[i].start;
        if (early[i].baseline < 9)
            c.early_stopping.baseline = (mien_number_or){-1, early[i].baseline};
        mien_monitor_start(&m, MIEN_MONITOR_VAL_LOSS, early[i].max ? MIEN_MODE_MAX : MIEN_MODE_MIN,
                           early[i].delta);
        int stop = 0;
        for (int epoch = 1; epoch <= EPOCHS && !stop; epoch++) {
            const mien_results r = val_loss(series[early[i].series][epoch - 1]);
            if (mien_early_stop(&m, &c, epoch, &r)) stop = epoch;
        }
        if (stop != early[i].stop) print_error("row %zu\n", i);
        assert_int_equal(stop, early[i].stop);
        stopped += stop > 0;
        mien_config_release(&c);
    }
    assert_true(stopped > 50);
}

static void test_plateau(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof drops / sizeof drops[0]; i++) {
        mien_config c;
        mien_plateau p;
        unsigned fell = 0;
        expect_ok(mien_config_start(&c));
        c.optimizer.learning_rate = 0.1;
        c.schedule.name = MIEN_SCHEDULE_PLATEAU;
        c.schedule.patience = drops[i].patience;
        c.schedule.cooldown = drops[i].cooldown;
        c.schedule.mode = drops[i].max ? MIEN_MODE_MAX : MIEN_MODE_MIN;
        c.schedule.factor = drops[i].factor;
        c.schedule.min_lr = drops[i].min_lr;
        c.schedule.min_delta = drops[i].delta;
        mien_plateau_start(&p, &c);
        for (int epoch = 0; epoch < EPOCHS; epoch++) {
            const mien_results r = val_loss(series[drops[i].series][epoch]);
            fell |= (unsigned)mien_plateau_update(&p, &c, &r) << epoch;
        }
        if (fell != drops[i].drops) print_error("row %zu\n", i);
        assert_int_equal(fell, drops[i].drops);
        mien_config_release(&c);
    }
}

static const mien_template_value values[] = {{"epoch", 7, true},
                                             {"loss", 1, false},
                                             {"accuracy", 0.5, false},
                                             {"val_loss", 1.23456789, false},
                                             {"val_accuracy", 0.98765, false},
                                             {"val_macro_f1", 1e-05, false},
                                             {"learning_rate", 0.001, false},
                                             {NULL, 0, false}};

static void test_names(void **state) {
    (void)state;
    char out[MIEN_PATH];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        expect_ok(mien_template_expand(names[i][0], values, out));
        assert_string_equal(out, names[i][1]);
    }
    const char *const bad[] = {"{epoch",       "a}b",         "{nothing}",  "{epoch:x}",
                               "{loss:d}",     "{epoch:.2d}", "{loss:>5f}", "{loss:.4}",
                               "{loss:9999f}", "{loss:.99f}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mien_template_expand(bad[i], values, out), MIEN_INVALID);
    assert_true(mien_template_has("{{epoch}}-{val_loss:.2f}", "val_loss"));
    assert_false(mien_template_has("{{val_loss}}-{epoch}", "val_loss"));
}

/* The file that TensorBoard 2.20 read as these values (tests/golden/check_events.py). */
static void test_golden_events(void **state) {
    (void)state;
    const float weights[] = {-1, -0.5f, 0, 0.25f, 2}, same[] = {3, 3};
    static const char png[] = "not a png";
    mien_text file = {0}, one = {0}, two = {0}, picture = {0};
    assert_int_equal(mien_crc32c("123456789", 9), 0xe3069283u);
    mien_event_start(&file, 1700000000.5);
    mien_event_scalar(&one, "epoch_loss", 1.5f);
    mien_event_scalar(&one, "epoch_accuracy", 0.25f);
    mien_event_write(&file, 1700000001.25, 0, &one);
    mien_text_append(&picture, png, sizeof png);
    mien_event_image(&two, "confusion_matrix", 12, 8, 3, &picture);
    mien_event_histogram(&two, "dense/kernel/histogram", weights, 5);
    mien_event_histogram(&two, "dense/bias/histogram", same, 2);
    mien_event_write(&file, 1700000002, 300, &two);
    expect_ok(file.status);
    if (getenv("MIEN_UPDATE"))
        expect_ok(mien_file_write("tests/golden/events.tfevents", file.data, file.size));
    size_t size;
    char *golden = training_bytes("tests/golden/events.tfevents", &size);
    assert_int_equal(size, file.size);
    assert_memory_equal(golden, file.data, size);
    mien_free(golden);
    mien_text_release(&file);
    mien_text_release(&picture);
}

static uint64_t number_at(const char *bytes, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value |= (uint64_t)(uint8_t)bytes[i] << 8 * i;
    return value;
}

/* Appends the records without their times, and counts them. */
static int records_of(const char *path, mien_text *out) {
    size_t size, at = 0;
    int count = 0;
    char *bytes = training_bytes(path, &size);
    for (; at + 12 <= size; count++) {
        const uint64_t length = number_at(bytes + at, 8);
        assert_true(at + 16 + length <= size && bytes[at + 12] == 9);
        const uint32_t crc = mien_crc32c(bytes + at + 12, length);
        assert_int_equal((uint32_t)((crc >> 15 | crc << 17) + 0xa282ead8u),
                         number_at(bytes + at + 12 + length, 4));
        mien_text_append(out, bytes + at + 21, length - 9);
        at += 16 + length;
    }
    assert_int_equal(at, size);
    mien_free(bytes);
    return count;
}

static void expect_same_events(const char *a, const char *b) {
    const char *const parts[] = {"events.out.tfevents.mien", "validation/events.out.tfevents.mien"};
    for (int i = 0; i < 2; i++) {
        char path[2][MIEN_PATH];
        mien_text first = {0}, second = {0};
        snprintf(path[0], MIEN_PATH, "%s/%s", scratch_path(a), parts[i]);
        snprintf(path[1], MIEN_PATH, "%s/%s", scratch_path(b), parts[i]);
        assert_int_equal(records_of(path[0], &first), 4); /* three epochs and the version */
        assert_int_equal(records_of(path[1], &second), 4);
        assert_int_equal(first.size, second.size);
        assert_memory_equal(first.data, second.data, first.size);
        mien_text_release(&first);
        mien_text_release(&second);
    }
}

static int count_models(const char *folder) {
    char path[MIEN_PATH];
    int count = 0;
    snprintf(path, sizeof path, "%s/models", scratch_path(folder));
    DIR *dir = opendir(path);
    for (const struct dirent *e; dir && (e = readdir(dir));)
        count += strncmp(e->d_name, "m-0", 3) == 0;
    if (dir) closedir(dir);
    return count;
}

static void test_resumed(void **state) {
    (void)state;
    char folder[32], path[MIEN_PATH];
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(training_run("run.yaml", "whole", 0, false, false));
    assert_int_equal(count_models("whole"), 3);
    for (int k = 1; k <= 14; k += 3) {
        snprintf(folder, sizeof folder, "stopped-%d", k);
        assert_int_equal(training_run("run.yaml", folder, k, false, false), MIEN_INTERRUPTED);
        expect_ok(training_run("run.yaml", folder, 0, true, false));
        training_same_end("whole", folder);
        expect_same_events("whole", folder);
        assert_int_equal(count_models(folder), 3);
    }
    /* killed: the newest checkpoint is older than the last events */
    training_clock = 6;
    assert_int_equal(training_run("run.yaml", "killed", 13, false, false), MIEN_INTERRUPTED);
    training_clock = 0;
    for (int i = 0; i < 2; i++) {
        mien_resume newest;
        expect_ok(mien_checkpoints_newest(scratch_path("killed"), &newest));
        assert_int_equal(newest.progress.epochs, 2);
        if (i == 0) assert_int_equal(unlink(newest.path), 0);
        mien_resume_release(&newest);
    }
    snprintf(path, sizeof path, "%s/events.out.tfevents.mien", scratch_path("killed"));
    mien_text junk = {0};
    size_t size;
    char *bytes = training_bytes(path, &size);
    mien_text_append(&junk, bytes, size);
    mien_text_puts(&junk, "half of a record that was being written");
    expect_ok(mien_file_write(path, junk.data, junk.size));
    mien_text_release(&junk);
    mien_free(bytes);
    expect_ok(training_run("run.yaml", "killed", 0, true, false));
    training_same_end("whole", "killed");
    expect_same_events("whole", "killed");
}

/* Stopped early: also by a run that is continued, and after the same epoch. */
static void test_stops_early(void **state) {
    (void)state;
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(training_run("early.yaml", "early", 0, false, false));
    mien_resume from;
    expect_ok(mien_checkpoints_newest(scratch_path("early"), &from));
    const int epochs = from.progress.epochs;
    assert_true(from.progress.stops && epochs < 30);
    mien_resume_release(&from);
    for (int k = 2; k <= 5 * epochs - 1; k += 4) {
        char folder[32];
        snprintf(folder, sizeof folder, "early-%d", k);
        assert_int_equal(training_run("early.yaml", folder, k, false, false), MIEN_INTERRUPTED);
        expect_ok(training_run("early.yaml", folder, 0, true, false));
        training_same_end("early", folder);
    }
}

static int start(void **state) {
    static const char net[] = "layers:\n  - conv2d: {filters: 4, kernel_size: 5, strides: 4}\n"
                              "  - batch_normalization\n  - relu\n  - flatten\n"
                              "  - dense: {units: classes, activation: softmax}\n";
    static const char run[] = "model: {file: net.yaml}\n"
                              "data: {sources: [faces.csv], split: {by: usage}}\n"
                              "train: {epochs: 3, batch_size: 8}\n"
                              "tensorboard: {enabled: true, histogram_freq: 1}\n"
                              "csv_logger: {separator: ';'}\n"
                              "checkpoint: {file: 'models/m-{epoch:02d}-{val_loss:.3f}.keras'}\n";
    static const char early_yaml[] =
        "model: {file: net.yaml}\n"
        "data: {sources: [faces.csv], split: {by: usage}}\n"
        "train: {epochs: 30, batch_size: 8}\n"
        "optimizer: {learning_rate: 0.02}\n"
        "schedule: {name: plateau, patience: 1, cooldown: 1, monitor: loss}\n"
        "early_stopping: {enabled: true, patience: 2, baseline: 3, start_from_epoch: 1}\n";
    if (scratch_make(state)) return 1;
    scratch_put("net.yaml", net, sizeof net - 1);
    scratch_put("run.yaml", run, sizeof run - 1);
    scratch_put("early.yaml", early_yaml, sizeof early_yaml - 1);
    training_faces("faces.csv", 1);
    training_open();
    return 0;
}

static int end(void **state) {
    training_close();
    return scratch_drop(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_early_stopping), cmocka_unit_test(test_plateau),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_golden_events),
        cmocka_unit_test(test_resumed),        cmocka_unit_test(test_stops_early),
    };
    return cmocka_run_group_tests(tests, start, end);
}
