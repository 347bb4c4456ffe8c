/* Numbers that are not finite, put into the memory of a training: each is found before it reaches a
 * weight, and train.on_nan decides how the training goes on. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/support/training.h"

enum { STEPS = 12 }; /* three epochs of four */

typedef enum poison { NOTHING, INPUT, LABEL, WEIGHT, GRADIENT, VARIANCE, OUTPUT } poison;
static poison what;
static uint64_t from_step, to_step; /* the steps, from 0, that are poisoned */
static double above_rate;           /* only while the learning rate is at least this */
static float value;
static int spoilt; /* updates that made a weight not finite, or changed one when they must not */

static bool is_due(const body_step *s) {
    return s->step >= from_step && s->step < to_step;
}

static mien_status gather(mien_backend *b, const mien_tensor *x, const mien_tensor *targets,
                          const mien_gather *batch) {
    expect_ok(training_gather(b, x, targets, batch));
    if (!batch->augment || !is_due(batch->state)) return MIEN_OK; /* validation */
    if (what == INPUT) ((float *)x->data)[77] = value;
    if (what == LABEL) ((float *)targets->data)[1] = value;
    return MIEN_OK;
}

static bool output_due; /* of the next validation */

static mien_status optimize(mien_backend *b, const mien_update *u, int rows) {
    static float before[1 << 16];
    float *w = u->w;
    const bool now = is_due(u->state) && u->rates[u->state->tick] >= above_rate;
    assert_true(u->count <= 1 << 16);
    if (now && what == GRADIENT) ((float *)u->g)[5] = value;
    if (now && what == VARIANCE) ((float *)u->v)[5] = value;
    output_due |= now && what == OUTPUT;
    memcpy(before, w, u->count * sizeof *w);
    if (now && what == WEIGHT) w[5] = value;
    expect_ok(training_genuine->optimize(b, u, rows));
    for (size_t i = 0; now && i < u->count; i++) {
        const bool kept = memcmp(&w[i], &before[i], sizeof *w) == 0;
        if (what == WEIGHT && i == 5) {
            w[5] = before[5];
            continue; /* it is the poison itself */
        }
        spoilt += !isfinite(w[i]) || (!kept && what != WEIGHT && what != VARIANCE);
        spoilt += what == VARIANCE && i == 5 && !kept;
    }
    return MIEN_OK;
}

static mien_status download(mien_backend *b, float *out, const mien_tensor *from) {
    expect_ok(training_genuine->download(b, out, from));
    if (!output_due || from->shape.n != 8 || from->shape.c != 7) return MIEN_OK; /* not logits */
    out[0] = value;
    output_due = false;
    return MIEN_OK;
}

static void write_recipe(const char *name, const char *train, const char *more) {
    mien_text text = {0};
    mien_text_printf(&text,
                     "model: {file: net.yaml}\n"
                     "data: {sources: [faces.csv], split: {by: usage}}\n"
                     "optimizer: {learning_rate: 0.01, ema: 0.9}\n"
                     "train: {epochs: 3, batch_size: 8, %s}\n%s",
                     train, more);
    scratch_put_text(name, &text);
}

static int start(void **state) {
    if (scratch_make(state)) return 1;
    training_net("net.yaml");
    training_faces("faces.csv", 1);
    write_recipe("stop.yaml", "on_nan: stop", "");
    write_recipe("skip.yaml", "on_nan: skip, nan_limit: 3", "");
    write_recipe("back.yaml", "on_nan: rollback, nan_limit: 3", "checkpoint: {every_steps: 1}\n");
    write_recipe("seldom.yaml", "on_nan: rollback, nan_limit: 3", "");
    training_open();
    training_ops.gather = gather;
    training_ops.optimize = optimize;
    training_ops.download = download;
    scratch_listen();
    return 0;
}

static int end(void **state) {
    training_close();
    return scratch_drop(state);
}

static void poison_steps(poison kind, float with, uint64_t from, uint64_t to) {
    what = kind;
    value = with;
    from_step = from;
    to_step = to;
    above_rate = 0;
    spoilt = 0;
}

static mien_progress progress_of(const char *folder) {
    mien_resume from;
    expect_ok(mien_checkpoints_newest(scratch_path(folder), &from));
    const mien_progress p = from.progress;
    for (size_t i = 0; i < from.file.count; i++)
        for (size_t k = 0; k < from.file.tensors[i].count; k++)
            assert_true(isfinite(((const float *)from.file.tensors[i].data)[k]));
    mien_resume_release(&from);
    return p;
}

/* Wherever it is: the training stops, and no weight has seen it. */
static void test_stop(void **state) {
    (void)state;
    const float values[] = {NAN, INFINITY, -INFINITY};
    char folder[32];
    if (mien_h5_available() != MIEN_OK) skip();
    for (poison kind = INPUT; kind <= VARIANCE; kind++)
        for (int i = 0; i < 3; i++) {
            if (kind == VARIANCE && values[i] < 0) continue; /* its root: NaN as well */
            snprintf(folder, sizeof folder, "stop-%d-%d", kind, i);
            poison_steps(kind, values[i], 6, 7);
            assert_int_equal(training_run("stop.yaml", folder, 0, false, false), MIEN_DIVERGED);
            expect_in_message("epoch 2, step 8: a loss, gradient or weight is not finite");
            assert_int_equal(spoilt, 0);
        }
    what = NOTHING;
}

/* The running statistics of a skipped batch are left out, too, and the loss of its epoch. */
static void test_skip(void **state) {
    (void)state;
    char folder[32];
    if (mien_h5_available() != MIEN_OK) skip();
    for (poison kind = INPUT; kind <= GRADIENT; kind++) {
        snprintf(folder, sizeof folder, "skip-%d", kind);
        poison_steps(kind, NAN, 5, 7);
        expect_ok(training_run("skip.yaml", folder, 0, false, false));
        assert_int_equal(spoilt, 0);
        const mien_progress p = progress_of(folder);
        assert_int_equal(p.nan_count, 2);
        assert_int_equal(p.device.skipped, kind == WEIGHT ? 0 : 2);
        assert_int_equal(p.device.step, STEPS);
    }
    poison_steps(INPUT, NAN, 5, 7);
    for (int k = 5; k <= 8; k++) {
        snprintf(folder, sizeof folder, "skip-stopped-%d", k);
        assert_int_equal(training_run("skip.yaml", folder, k, false, false), MIEN_INTERRUPTED);
        expect_ok(training_run("skip.yaml", folder, 0, true, false));
        snprintf(folder, sizeof folder, "skip-stopped-%d", k);
        training_same_end("skip-1", folder);
    }
    poison_steps(INPUT, NAN, 5, 9);
    assert_int_equal(training_run("skip.yaml", "skip-limit", 0, false, false), MIEN_DIVERGED);
    expect_in_message("step 9: a loss, gradient or weight is not finite, after 3 updates");
    what = NOTHING;
}

/* Poisoned until the learning rate is halved. */
static void test_rollback(void **state) {
    (void)state;
    char folder[32];
    if (mien_h5_available() != MIEN_OK) skip();
    poison_steps(GRADIENT, NAN, 6, 7);
    above_rate = 0.0099;
    expect_ok(training_run("back.yaml", "back", 0, false, false));
    assert_int_equal(spoilt, 0);
    const mien_progress p = progress_of("back");
    assert_int_equal(p.nan_count, 1);
    assert_true(p.rate_factor == 0.5 && p.device.skipped == 0);
    assert_int_equal(p.device.step, STEPS);
    assert_true(p.device.learning_rate == 0.005);
    expect_in(said.data, "epoch 2, step 7: a loss, gradient or weight is not finite; back to the "
                         "start of the epoch with 0.5 times the learning rate");
    /* 4 steps that count, 4 that do not, 8: stopped after each, with checkpoints often or seldom */
    for (int k = 1; k <= STEPS + 3; k++) {
        const char *const recipe = k % 2 ? "back.yaml" : "seldom.yaml";
        snprintf(folder, sizeof folder, "back-%d", k);
        assert_int_equal(training_run(recipe, folder, k, false, false), MIEN_INTERRUPTED);
        mien_status status = training_run(recipe, folder, 3, true, false);
        if (status == MIEN_INTERRUPTED) status = training_run(recipe, folder, 0, true, false);
        expect_ok(status);
        training_same_end("back", folder);
    }
    /* what is poisoned for good */
    poison_steps(INPUT, INFINITY, 6, 7);
    assert_int_equal(training_run("back.yaml", "back-limit", 0, false, false), MIEN_DIVERGED);
    expect_in_message("after 3 roll backs (train.nan_limit): epoch 2, step 7");
    assert_int_equal(progress_of("back-limit").device.step, 6);
    what = NOTHING;
}

/* Outputs for the validation part that are not finite. */
static void test_outputs(void **state) {
    (void)state;
    if (mien_h5_available() != MIEN_OK) skip();
    poison_steps(OUTPUT, NAN, 7, 8);
    above_rate = 0.0099;
    expect_ok(training_run("back.yaml", "output", 0, false, false));
    assert_int_equal(progress_of("output").nan_count, 1);
    expect_in(said.data, "the output for the validation part is not finite; back to the start");
    assert_int_equal(training_run("stop.yaml", "output-stop", 0, false, false), MIEN_DIVERGED);
    what = NOTHING;
}

static void test_weights_check(void **state) {
    (void)state;
    test_net net;
    mien_weights weights;
    const mien_graph_io io = {8, 8, 1, 2};
    static const char model[] = "layers:\n  - batch_normalization: {name: norm}\n  - flatten\n"
                                "  - dense: {units: classes, activation: softmax}\n";
    net_open(&net, training_backend, model, io, (net_options){.batch = 2});
    expect_ok(mien_weights_create(&net.graph, 1, &weights));
    expect_ok(mien_weights_check(&net.graph, &weights));
    int node, param;
    net_find(&net, "norm/moving_variance", &node, &param);
    mien_weights_get(&weights, node, param)[0] = -INFINITY;
    assert_int_equal(mien_weights_check(&net.graph, &weights), MIEN_DIVERGED);
    expect_in_message("moving_variance of layer 'norm' is not finite");
    mien_weights_release(&weights);
    net_close(&net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop),          cmocka_unit_test(test_skip),
        cmocka_unit_test(test_rollback),      cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_weights_check),
    };
    return cmocka_run_group_tests(tests, start, end);
}
