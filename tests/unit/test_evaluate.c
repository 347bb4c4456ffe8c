/* Evaluation as a library call, on models with known probabilities: the logit of class k is a
 * weight times pixel k, and exactly one of an image's first pixels is white. */
#include "tests/support/net.h"
#include "tests/support/scratch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/eval/evaluate.h"
#include "host/eval/scores_file.h"
#include "tests/support/test.h"

enum {
    SIDE = 8,
    CLASSES = 8,
    LABELS = 7,
    PIXELS = SIDE * SIDE,
    VAL = 5,
    TEST = 10,
    COUNT = 8 + VAL + TEST
};
/* the classes of FER+ votes; the data's own labels are the first seven */
static const char names[CLASSES][MIEN_CLASS_NAME] = {"angry", "disgust",  "fear",    "happy",
                                                     "sad",   "surprise", "neutral", "contempt"};
static const char network[] = "name: tiny\nlayers:\n  - flatten\n"
                              "  - dense: {units: classes, activation: softmax}\n";
static mien_backend *backend;
static char strong[64], weak[64], csv[64], groups[64], votes[64];

static int label_of(int row) {
    return row % LABELS;
}

/* The class an image shows; every fifth differs from its label. */
static int seen_in(int row) {
    return row % 5 == 0 ? (label_of(row) + 1) % LABELS : label_of(row);
}

/* `weight`: of the pixel of a class. */
static void save_model(const char *path, float weight, int classes, const char *trained_on) {
    const mien_graph_io io = {SIDE, SIDE, 1, classes};
    mien_model model = {0};
    mien_tree tree;
    expect_ok(mien_yaml_parse(network, strlen(network), "network", &tree));
    expect_ok(mien_graph_parse(tree.root, "network", io, &model.graph));
    mien_tree_release(&tree);
    expect_ok(mien_weights_zeros(&model.graph, &model.weights));
    float *kernel = mien_weights_get(&model.weights, mien_graph_find(&model.graph, "dense"), 0);
    for (int k = 0; k < classes; k++)
        kernel[k * classes + k] = weight;
    model.meta = (mien_meta){.classes = classes,
                             .input = {SIDE, SIDE, 1},
                             .normalise = {1 / 255.0, {0}, {1}},
                             .resize = "area",
                             .crop = MIEN_CROP_DEFAULT,
                             .temperature = 1,
                             .uncertain_below = MIEN_UNCERTAIN_BELOW,
                             .split = {.val = 0.1, .test = 0.1, .by = MIEN_BY_USAGE, .seed = 1}};
    snprintf(model.meta.data, sizeof model.meta.data, "%s", csv);
    snprintf(model.meta.train_sha256, sizeof model.meta.train_sha256, "%s", trained_on);
    expect_ok(mien_new(&model.meta.class_names, (size_t)classes, MIEN_CLASS_NAME));
    memcpy(model.meta.class_names, names, (size_t)classes * MIEN_CLASS_NAME);
    expect_ok(mien_quant_create(&model.graph, &model.quant)); /* no int8 layers */
    expect_ok(mien_model_save(&model, path));
    mien_model_release(&model);
}

static void put_faces(void) {
    mien_text faces = {0}, ages = {0}, soft = {0};
    mien_text_puts(&faces, "emotion,pixels,Usage\n");
    mien_text_puts(&ages, "row,age\n");
    mien_text_puts(&soft, "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,"
                          "contempt,unknown,NF\n");
    for (int row = 0; row < COUNT; row++) {
        const char *usage = row < TEST         ? "PrivateTest"
                            : row < TEST + VAL ? "PublicTest"
                                               : "Training";
        mien_text_printf(&faces, "%d,", label_of(row));
        for (int p = 0; p < PIXELS; p++)
            mien_text_printf(&faces, "%d ", p < CLASSES ? 255 * (p == seen_in(row)) : row);
        mien_text_printf(&faces, ",%s\n", usage);
        if (row != 3) mien_text_printf(&ages, "%d,%s\n", row, row % 2 ? "old" : "young");
        mien_text_printf(&soft, "%s,x.png,0,10,0,0,0,0,0,0,0,0\n",
                         usage); /* all votes are for happy */
    }
    scratch_put_text("faces.csv", &faces);
    scratch_put_text("ages.csv", &ages);
    scratch_put_text("votes.csv", &soft);
}

static int start(void **state) {
    if (scratch_make(state)) return 1;
    snprintf(csv, sizeof csv, "%s", scratch_path("faces.csv"));
    snprintf(groups, sizeof groups, "%s", scratch_path("ages.csv"));
    snprintf(votes, sizeof votes, "%s", scratch_path("votes.csv"));
    snprintf(strong, sizeof strong, "%s", scratch_path("strong.safetensors"));
    snprintf(weak, sizeof weak, "%s", scratch_path("weak.safetensors"));
    put_faces();
    save_model(strong, 3, CLASSES, "");
    save_model(weak, 1, CLASSES, "");
    return mien_backend_open("cpu", &(mien_backend_options){.threads = 1}, &backend) != MIEN_OK;
}

static int stop(void **state) {
    mien_backend_close(backend);
    return scratch_drop(state);
}

/* Probability of the class shown, for a model with this weight; the others share the rest. */
static double sure(double weight) {
    return exp(weight) / (exp(weight) + CLASSES - 1);
}

static mien_evaluation evaluate(const mien_evaluate_request *request) {
    mien_evaluation e;
    expect_ok(mien_evaluate(request, backend, &e));
    return e;
}

static void expect_rows(const mien_evaluation *e, int first, int n, double p) {
    assert_int_equal(e->n, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(e->samples[i], first + i);
        assert_int_equal(e->labels[i], label_of(first + i));
        for (int k = 0; k < CLASSES; k++) {
            const double want = k == seen_in(first + i) ? p : (1 - p) / (CLASSES - 1);
            assert_true(fabs(e->probabilities[i * CLASSES + k] - want) < 1e-6);
        }
    }
}

/* By default a model is evaluated on the test part of its own data. Batches of 4, 4 and 2. */
static void one_model(void **state) {
    (void)state;
    const char *const models[] = {strong};
    mien_evaluation e =
        evaluate(&(mien_evaluate_request){.models = models, .model_count = 1, .batch = 4});
    assert_int_equal(e.part, MIEN_TEST);
    assert_string_equal(e.data.source, csv);
    expect_rows(&e, 0, TEST, sure(3));
    assert_int_equal(e.metrics.correct, TEST - 2); /* all but rows 0 and 5 */
    assert_true(fabs(e.metrics.accuracy - 0.8) < 1e-12);
    const double loss = -(8 * log(sure(3)) + 2 * log((1 - sure(3)) / (CLASSES - 1))) / TEST;
    assert_true(fabs(e.metrics.loss - loss) < 1e-6);
    assert_int_equal(e.warning_count, 0);
    assert_int_equal(e.subgroups.count, 0);
    mien_evaluation_release(&e);
}

static void named_parts(void **state) {
    (void)state;
    const char *const models[] = {strong};
    mien_part part = MIEN_VAL;
    mien_evaluate_request request = {.models = models, .model_count = 1, .part = &part};
    mien_evaluation e = evaluate(&request);
    expect_rows(&e, TEST, VAL, sure(3));
    mien_evaluation_release(&e);
    part = MIEN_NO_PART;
    e = evaluate(&request);
    expect_rows(&e, 0, COUNT, sure(3));
    assert_int_equal(e.warning_count, 1);
    expect_in(e.warnings[0], "'all' may include data that the model was trained on");
    mien_evaluation_release(&e);
}

static void ensemble(void **state) {
    (void)state;
    const char *const models[] = {strong, weak};
    mien_evaluation e = evaluate(&(mien_evaluate_request){.models = models, .model_count = 2});
    mien_text text = {0};
    char line[256];
    expect_rows(&e, 0, TEST, (sure(3) + sure(1)) / 2);
    mien_evaluation_table(&e, &text);
    snprintf(line, sizeof line, "%s + %s on %s, split test\n", strong, weak, csv);
    expect_in(text.data, line);
    mien_text_release(&text);
    mien_evaluation_release(&e);
}

/* A model whose metadata say that it was trained on these images. */
static void training_data(void **state) {
    (void)state;
    const char *const models[] = {strong};
    char path[64];
    mien_evaluation e = evaluate(&(mien_evaluate_request){.models = models, .model_count = 1});
    snprintf(path, sizeof path, "%s", scratch_path("trained.safetensors"));
    save_model(path, 3, CLASSES, e.sha256);
    mien_evaluation_release(&e);
    const char *const trained[] = {path};
    mien_text text = {0};
    e = evaluate(&(mien_evaluate_request){.models = trained, .model_count = 1});
    assert_int_equal(e.warning_count, 1);
    assert_string_equal(e.warnings[0], "these are the data that the model was trained on");
    mien_evaluation_document(&e, false, &text);
    expect_in(text.data, "these are the data that the model was trained on");
    mien_text_release(&text);
    mien_evaluation_release(&e);
}

/* Ages of the ten rows: young 0 2 4 6 8 (row 0 is wrong), old 1 5 7 9 (row 5 is wrong), 3 none. */
static void subgroups(void **state) {
    (void)state;
    const char *const models[] = {strong};
    mien_text text = {0};
    mien_evaluation e =
        evaluate(&(mien_evaluate_request){.models = models, .model_count = 1, .groups = groups});
    assert_int_equal(e.subgroups.count, 1);
    const mien_subgroup_table *ages = &e.subgroups.tables[0];
    assert_string_equal(ages->column, "age");
    assert_int_equal(ages->count, 3);
    static const struct {
        const char *name;
        size_t n;
        double accuracy;
    } want[] = {{"young", 5, 0.8}, {"old", 4, 0.75}, {"(none)", 1, 1}};
    for (int i = 0; i < 3; i++) {
        assert_string_equal(ages->rows[i].name, want[i].name);
        assert_int_equal(ages->rows[i].n, want[i].n);
        assert_true(fabs(ages->rows[i].accuracy - want[i].accuracy) < 1e-12);
    }
    /* SciPy: binomtest(3, 4).proportion_ci(0.95, "wilson"), chi2_contingency([[3, 1], [5, 1]]) */
    assert_true(fabs(ages->rows[1].low - 0.30064184258) < 1e-9);
    assert_true(fabs(ages->rows[1].high - 0.95441273919) < 1e-9);
    assert_true(fabs(ages->rows[1].p - 0.74688563339) < 1e-9);
    mien_evaluation_document(&e, false, &text);
    expect_in(text.data, "\"groups\": [{\"column\": \"age\"");
    expect_in(text.data, "\"interval\": [0.3006");
    expect_in(text.data, "\"p\": 0.74688");
    mien_text_release(&text);
    mien_evaluation_release(&e);
}

static void soft_labels(void **state) {
    (void)state;
    const char *const models[] = {strong};
    mien_evaluation e = evaluate(
        &(mien_evaluate_request){.models = models, .model_count = 1, .soft_labels = votes});
    assert_string_equal(e.votes, votes);
    expect_in(e.labels_from, "votes in ");
    for (size_t i = 0; i < e.n; i++)
        assert_string_equal(e.data.class_names[e.labels[i]], "happy");
    mien_evaluation_release(&e);
}

static void predictions(void **state) {
    (void)state;
    const char *const models[] = {strong};
    mien_text text = {0};
    mien_evaluation e = evaluate(&(mien_evaluate_request){.models = models, .model_count = 1});
    mien_evaluation_predictions(&e, &text);
    assert_int_equal(text.status, MIEN_OK);
    expect_in(text.data,
              "row,label,prediction,angry,disgust,fear,happy,sad,surprise,neutral,contempt\n"
              "0,angry,disgust,0.0");
    expect_in(text.data, "\n6,neutral,neutral,0.0");
    int lines = 0;
    for (const char *c = text.data; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 1 + TEST);
    mien_text_release(&text);
    mien_evaluation_release(&e);
}

/* What is written can be read back: the same numbers. */
static void predictions_again(void **state) {
    (void)state;
    const char *const models[] = {strong};
    mien_text text = {0};
    mien_scores scores;
    mien_metrics m;
    mien_evaluation e = evaluate(&(mien_evaluate_request){.models = models, .model_count = 1});
    mien_evaluation_predictions(&e, &text);
    scratch_put_text("again.csv", &text);
    expect_ok(mien_scores_read(scratch_path("again.csv"), &scores));
    assert_int_equal(scores.n, e.n);
    assert_int_equal(scores.classes, CLASSES);
    assert_true(scores.has_scores);
    assert_memory_equal(scores.names, names, sizeof names);
    assert_memory_equal(scores.labels, e.labels, e.n * sizeof *e.labels);
    assert_memory_equal(scores.probabilities, e.probabilities,
                        e.n * CLASSES * sizeof *e.probabilities);
    assert_string_equal(scores.ids[6], "6");
    expect_ok(mien_metrics_compute(scores.probabilities, scores.labels, scores.n, CLASSES, &m));
    assert_true(m.loss == e.metrics.loss && m.ece == e.metrics.ece);
    assert_memory_equal(m.confusion, e.metrics.confusion, CLASSES * CLASSES * sizeof *m.confusion);
    mien_metrics_release(&m);
    mien_scores_release(&scores);
    mien_evaluation_release(&e);
}

static void expect_failure(mien_evaluate_request request, mien_status status, const char *message) {
    mien_evaluation e;
    assert_int_equal(mien_evaluate(&request, backend, &e), status);
    expect_in_message(message);
    mien_evaluation_release(&e);
}

static void errors(void **state) {
    (void)state;
    static const volatile int stopped = 1;
    mien_text train_only = {0};
    char few[64], other[64];
    snprintf(few, sizeof few, "%s", scratch_path("few.safetensors"));
    snprintf(other, sizeof other, "%s", scratch_path("other.csv"));
    save_model(few, 3, CLASSES - 1, "");
    mien_text_puts(&train_only, "emotion,pixels,Usage\n0,");
    for (int p = 0; p < PIXELS; p++)
        mien_text_puts(&train_only, "7 ");
    mien_text_puts(&train_only, ",Training\n");
    scratch_put_text("other.csv", &train_only);
    const char *const models[] = {strong, few}, *const lost[] = {"no.h5"};
    const mien_part test = MIEN_TEST;
    expect_failure((mien_evaluate_request){0}, MIEN_INVALID, "needs a model");
    expect_failure((mien_evaluate_request){.models = lost, .model_count = 1}, MIEN_NOT_FOUND,
                   "no.h5");
    expect_failure((mien_evaluate_request){.models = models, .model_count = 2}, MIEN_INVALID,
                   "has 7 (angry");
    expect_failure(
        (mien_evaluate_request){.models = models, .model_count = 1, .data = other, .part = &test},
        MIEN_INVALID, "has no test part");
    expect_failure((mien_evaluate_request){.models = models, .model_count = 1, .stop = &stopped},
                   MIEN_INTERRUPTED, "interrupted");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_model),   cmocka_unit_test(named_parts),
        cmocka_unit_test(ensemble),    cmocka_unit_test(training_data),
        cmocka_unit_test(subgroups),   cmocka_unit_test(soft_labels),
        cmocka_unit_test(predictions), cmocka_unit_test(predictions_again),
        cmocka_unit_test(errors)};
    return cmocka_run_group_tests(tests, start, stop);
}
