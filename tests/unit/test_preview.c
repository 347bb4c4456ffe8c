/* `mien preview` shows what the network reads in a training step: compared with the input of the
 * first layer while the trainer runs the same step. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/infer/score.h"
#include "host/train/preview.h"
#include "host/train/step.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

/* five steps an epoch, the last of 10 images */
enum { COUNT = 190, TRAIN = 138, BATCH = 32, STEPS = 5, LAST = 10, SIDE = 12, EPOCHS = 3 };
enum { CLASSES_MAX = 8, NUMBERS = SIDE * SIDE };
static char csv[64], votes[64], net[64];

static const char network[] =
    "name: tiny\n"
    "layers:\n"
    "  - conv2d: {filters: 4, kernel_size: 3, strides: 2, activation: relu}\n"
    "  - flatten\n"
    "  - dropout: {rate: 0.2}\n"
    "  - dense: {units: classes, activation: softmax}\n";

static void put_file(const char *path, const char *text, size_t size) {
    if (mien_file_write(path, text, size) != MIEN_OK) fail_msg("%s", mien_error_message());
}

static int start(void **state) {
    mien_text faces = {0}, soft = {0};
    if (scratch_make(state)) return 1;
    snprintf(csv, sizeof csv, "%s/faces.csv", scratch);
    snprintf(votes, sizeof votes, "%s/votes.csv", scratch);
    snprintf(net, sizeof net, "%s/tiny.yaml", scratch);
    mien_text_puts(&faces, "emotion,pixels,Usage\n");
    mien_text_puts(&soft, "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,"
                          "contempt,unknown,NF\n");
    for (int i = 0; i < COUNT; i++) {
        const char *usage = i < TRAIN ? "Training" : "PublicTest";
        mien_text_printf(&faces, "%d,", i % 7);
        for (int p = 0; p < NUMBERS; p++)
            mien_text_printf(&faces, "%d ", (i * 37 + p * (3 + i % 11) + p * p % 7) % 256);
        mien_text_printf(&faces, ",%s\n", usage);
        mien_text_printf(&soft, "%s,x.png", usage);
        for (int k = 0; k < 10; k++)
            mien_text_printf(&soft, ",%d", k == i % 8 ? 5 : k == (i + 1) % 8 ? 5 : 0);
        mien_text_puts(&soft, "\n");
    }
    put_file(csv, faces.data, faces.size);
    put_file(votes, soft.data, soft.size);
    put_file(net, network, sizeof network - 1);
    mien_text_release(&faces);
    mien_text_release(&soft);
    return 0;
}

static mien_backend *open_cpu(void) {
    mien_backend *backend; /* the network is too small for more threads */
    assert_int_equal(mien_backend_open("cpu", &(mien_backend_options){.threads = 1}, &backend),
                     MIEN_OK);
    return backend;
}

static void set_key(mien_config *c, const char *key, const char *value) {
    char text[256];
    snprintf(text, sizeof text, "%s=%s", key, value);
    if (mien_keys_set(mien_config_keys(), c, text) != MIEN_OK) fail_msg("%s", mien_error_message());
}

/* A config for the small set; `keys`: further assignments, ending with NULL. */
static mien_config configure(const char *const *keys) {
    mien_config c;
    char size[16];
    assert_int_equal(mien_config_start(&c), MIEN_OK);
    snprintf(size, sizeof size, "%d", SIDE);
    set_key(&c, "model.file", net);
    set_key(&c, "data.sources", csv);
    set_key(&c, "input.height", size);
    set_key(&c, "input.width", size);
    set_key(&c, "train.batch_size", "32");
    set_key(&c, "train.epochs", "3");
    for (; *keys; keys += 2)
        set_key(&c, keys[0], keys[1]);
    if (mien_config_check(&c) != MIEN_OK) fail_msg("%s", mien_error_message());
    return c;
}

/* ---- what the trainer sees ---- */

typedef struct seen {
    const mien_plan *plan;
    long long step, wanted; /* the current step, and the one to record */
    int rows;
    float x[BATCH * NUMBERS], targets[BATCH * CLASSES_MAX];
    mien_normalise normalise;
} seen;

/* Hook before the first layer, when the batch is complete. */
static void look(void *context, const mien_pass *pass, const mien_node *node) {
    seen *s = context;
    const mien_plan *plan = s->plan;
    (void)pass;
    if (s->step != s->wanted || node != &plan->graph->nodes[1]) return;
    const mien_tensor x = mien_plan_input(plan, s->rows),
                      targets = mien_plan_targets(plan, s->rows);
    assert_int_equal(plan->ops->download(plan->backend, s->x, &x), MIEN_OK);
    assert_int_equal(plan->ops->download(plan->backend, s->targets, &targets), MIEN_OK);
    s->wanted = 0; /* convolutions call it once per micro-batch */
}

/* Runs epochs like the trainer, up to step s->wanted. */
static void run_epochs(const mien_config *c, mien_plan *plan, mien_loader *loader, seen *s) {
    const double rates[STEPS] = {1e-3, 1e-3, 1e-3, 1e-3, 1e-3};
    mien_step work = {
        .plan = plan, .loader = loader, .label_smoothing = (float)c->loss.label_smoothing};
    assert_int_equal(loader->count[MIEN_TRAIN], TRAIN);
    for (int epoch = 1; s->wanted; epoch++) {
        assert_int_equal(mien_plan_epoch(plan, rates, STEPS), MIEN_OK);
        work.ranges = mien_step_ranges(c, epoch);
        assert_int_equal(
            mien_loader_order(loader, MIEN_TRAIN, true, (uint32_t)c->train.seed, (uint64_t)epoch),
            MIEN_OK);
        for (size_t first = 0; first < TRAIN && s->wanted; first += BATCH) {
            s->step++;
            s->rows = (int)(TRAIN - first < BATCH ? TRAIN - first : BATCH);
            if (mien_step_run(&work, first, s->rows) != MIEN_OK)
                fail_msg("%s", mien_error_message());
        }
    }
    mien_step_release(&work);
}

static void train(const mien_config *c, long long step, seen *s) {
    mien_backend *backend = open_cpu();
    mien_setup setup;
    mien_loader loader;
    mien_plan *plan;
    const body_rule rule = mien_step_rule(c, true);
    *s = (seen){.wanted = step};
    if (mien_setup_create(c, "test", &setup) != MIEN_OK) fail_msg("%s", mien_error_message());
    s->normalise = setup.model.meta.normalise;
    assert_int_equal(mien_loader_create(&setup.data, &s->normalise, backend, BATCH, 0, &loader),
                     MIEN_OK);
    mien_dataset_drop_pixels(&setup.data);
    const mien_plan_options options = mien_step_options(c, &rule, BATCH);
    assert_int_equal(mien_plan_create(&setup.model.graph, backend, &options, &plan), MIEN_OK);
    assert_int_equal(mien_plan_load(plan, &setup.model.weights), MIEN_OK);
    assert_int_equal(mien_score_prepare(plan, TRAIN), MIEN_OK);
    plan->observe = look;
    plan->observer = s;
    s->plan = plan;
    run_epochs(c, plan, &loader, s);
    mien_plan_free(plan);
    mien_loader_release(&loader);
    mien_setup_release(&setup);
    mien_backend_close(backend);
}

/* ---- what the preview shows ---- */

static mien_preview show(const mien_config *c, long long step) {
    mien_backend *backend = open_cpu();
    mien_setup setup;
    mien_preview p;
    if (mien_setup_create(c, "test", &setup) != MIEN_OK) fail_msg("%s", mien_error_message());
    if (mien_preview_gather(c, &setup, backend, step, &p) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    mien_setup_release(&setup);
    mien_backend_close(backend);
    return p;
}

static bool same(const mien_preview *a, const mien_preview *b) {
    return a->rows == b->rows &&
           memcmp(a->x, b->x, (size_t)a->rows * NUMBERS * sizeof(float)) == 0 &&
           memcmp(a->targets, b->targets, (size_t)a->rows * (size_t)a->classes * sizeof(float)) ==
               0;
}

/* Step `step` of the preview has the inputs, targets and pixels that training reads. */
static void compare(const char *const *keys, long long step) {
    mien_config c = configure(keys);
    static seen s;
    train(&c, step, &s);
    mien_preview p = show(&c, step);
    assert_int_equal(s.step, step);
    assert_int_equal(p.step, step);
    assert_int_equal(p.epoch, (step - 1) / STEPS + 1);
    assert_int_equal(p.steps, STEPS * EPOCHS);
    assert_int_equal(p.rows, s.rows);
    assert_int_equal(s.rows, step % STEPS ? BATCH : LAST);
    assert_memory_equal(p.x, s.x, (size_t)s.rows * NUMBERS * sizeof(float));
    assert_memory_equal(p.targets, s.targets, (size_t)s.rows * (size_t)p.classes * sizeof(float));
    for (int row = 0; row < p.rows; row++) {
        mien_image image;
        assert_int_equal(mien_preview_image(&p, &s.normalise, row, &image), MIEN_OK);
        for (int i = 0; i < NUMBERS; i++) {
            const double value =
                (s.x[row * NUMBERS + i] * s.normalise.std[0] + s.normalise.mean[0]) /
                s.normalise.scale;
            assert_int_equal(image.pixels[i], lrint(value < 0 ? 0 : value > 255 ? 255 : value));
        }
        mien_image_release(&image);
    }
    mien_preview_release(&p);
    mien_config_release(&c);
}

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define WARPED    "augment.rotate", "10", "augment.shift", "0.1", "augment.erase", "0.5"
#define MIXED     "augment.mixup", "0.4", "augment.mixup_p", "1", "loss.label_smoothing", "0.1"

static void shows_what_a_step_reads(void **state) {
    (void)state;
    compare(KEYS("augment.flip", "false"), 1);
    compare(KEYS(WARPED), 3);
    compare(KEYS(WARPED, MIXED), STEPS + 2);
    compare(KEYS(WARPED, "train.micro_batch", "8"), 2);
}

static void shows_the_last_shorter_batch(void **state) {
    (void)state;
    compare(KEYS(WARPED), STEPS);
    compare(KEYS(WARPED, MIXED, "augment.off_last", "0.34"), STEPS * EPOCHS);
}

static void shows_streamed_balanced_and_drawn(void **state) {
    (void)state;
    compare(KEYS(WARPED, MIXED, "data.memory", "stream"), STEPS + 3);
    compare(KEYS(WARPED, "data.memory", "stream"), 2 * STEPS);
    compare(KEYS(WARPED, "data.sampling", "balanced"), STEPS + 1);
    compare(KEYS("data.soft_labels", votes, "data.soft_mode", "probability"), STEPS + 4);
    compare(
        KEYS("data.soft_labels", votes, "data.soft_mode", "probability", "data.memory", "stream"),
        STEPS + 4);
}

static void other_steps_and_seeds_differ(void **state) {
    (void)state;
    mien_config c = configure(KEYS(WARPED)), other = configure(KEYS(WARPED, "train.seed", "2"));
    mien_preview a = show(&c, 2), again = show(&c, 2), step = show(&c, 3),
                 epoch = show(&c, STEPS + 2), seed = show(&other, 2);
    assert_true(same(&a, &again));
    assert_false(same(&a, &step));
    assert_false(same(&a, &epoch));
    assert_false(same(&a, &seed));
    mien_preview *const all[] = {&a, &again, &step, &epoch, &seed};
    for (int i = 0; i < 5; i++)
        mien_preview_release(all[i]);
    mien_config_release(&c);
    mien_config_release(&other);
}

static void steps_beyond_the_training(void **state) {
    (void)state;
    mien_config c = configure(KEYS("augment.flip", "false"));
    mien_backend *backend = open_cpu();
    mien_setup setup;
    assert_int_equal(mien_setup_create(&c, "test", &setup), MIEN_OK);
    static const long long none[] = {0, -1, STEPS * EPOCHS + 1, 1LL << 60};
    for (int i = 0; i < 4; i++) {
        mien_preview p;
        assert_int_equal(mien_preview_gather(&c, &setup, backend, none[i], &p), MIEN_INVALID);
        assert_non_null(strstr(mien_error_message(), "this training has 15 steps (5 per epoch)"));
        mien_preview_release(&p);
    }
    mien_setup_release(&setup);
    mien_backend_close(backend);
    mien_config_release(&c);
}

static void expect_label(const float *targets, int classes, float smoothing, const char *first,
                         const char *second) {
    static const char names[4][64] = {"angry", "happy", "sad", "fear"};
    float smooth[4];
    char label[2][96];
    for (int k = 0; k < classes; k++)
        smooth[k] = targets[k] * (1 - smoothing) + smoothing / (float)classes;
    const mien_preview p = {
        .rows = 1, .classes = classes, .targets = smooth, .label_smoothing = smoothing};
    mien_preview_label(&p, names, 0, label);
    assert_string_equal(label[0], first);
    assert_string_equal(label[1], second);
}

/* The caption of an image shows its class shares before label smoothing. */
static void labels_of_targets(void **state) {
    (void)state;
    static const float smoothing[] = {0, 0.15f, 0.9f};
    for (int i = 0; i < 3; i++) {
        const float s = smoothing[i];
        expect_label((const float[]){0, 0.7f, 0.3f}, 3, s, "happy 70", "sad 30");
        expect_label((const float[]){0, 1, 0}, 3, s, "happy", "");
        expect_label((const float[]){1, 0}, 2, s, "angry", "");
        expect_label((const float[]){0.6f, 0.4f}, 2, s, "angry 60", "happy 40");
        expect_label((const float[]){0.25f, 0, 0.5f, 0.25f}, 4, s, "sad 50", "angry 25");
        expect_label((const float[]){0.982f, 0.0045f, 0.0045f, 0.009f}, 4, s, "angry 98", "fear 1");
        expect_label((const float[]){0.988f, 0.004f, 0.004f, 0.004f}, 4, s, "angry 99", "");
        expect_label((const float[]){0.25f, 0.25f, 0.25f, 0.25f}, 4, s, "angry 25", "happy 25");
        expect_label((const float[]){1}, 1, s, "angry", "");
    }
}

static void labels_know_the_smoothing(void **state) {
    (void)state;
    mien_config c = configure(KEYS(MIXED));
    mien_preview p = show(&c, 1);
    assert_true(p.label_smoothing == 0.1f);
    mien_preview_release(&p);
    mien_config_release(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shows_what_a_step_reads),
                                       cmocka_unit_test(shows_the_last_shorter_batch),
                                       cmocka_unit_test(shows_streamed_balanced_and_drawn),
                                       cmocka_unit_test(other_steps_and_seeds_differ),
                                       cmocka_unit_test(steps_beyond_the_training),
                                       cmocka_unit_test(labels_of_targets),
                                       cmocka_unit_test(labels_know_the_smoothing)};
    return cmocka_run_group_tests(tests, start, scratch_drop);
}
