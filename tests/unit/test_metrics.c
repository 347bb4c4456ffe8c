/* Metrics against scikit-learn 1.9 and hand-computed values; learning-rate schedules; the choice of
 * the best epoch. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/eval/metrics.h"
#include "host/eval/subgroups.h"
#include "host/train/schedule.h"
#include "tests/support/test.h"

static void expect_near(double value, double expected, int line) {
    if (!(fabs(value - expected) <= 1e-7))
        fail_msg("line %d: %.12g, not %.12g", line, value, expected);
}
#define NEAR(value, expected) expect_near(value, expected, __LINE__)

/* Eight rows, four classes of which the last never occurs; several ties. */
enum { ROWS = 8, CLASSES = 4 };
static const float scores[ROWS * CLASSES] = {.7f,  .2f, .1f,  0, .5f, .3f, .2f, 0, .2f, .6f, .2f, 0,
                                             .4f,  .4f, .2f,  0, .1f, .1f, .8f, 0, .3f, .3f, .4f, 0,
                                             .25f, .5f, .25f, 0, .6f, .2f, .2f, 0};
static const uint16_t labels[ROWS] = {0, 0, 1, 1, 2, 1, 0, 2};
static const char names[CLASSES][64] = {"a", "b", "c", "d"};

static mien_metrics compute(const float *p, const uint16_t *y, size_t n, int classes) {
    mien_metrics m;
    if (mien_metrics_compute(p, y, n, classes, &m) != MIEN_OK) fail_msg("%s", mien_error_message());
    return m;
}

/* accuracy_score, balanced_accuracy_score, log_loss, confusion_matrix,
 * precision_recall_fscore_support(average=None, "macro", "weighted", zero_division=0),
 * roc_auc_score(y == k, p[:, k]), average_precision_score(y == k, p[:, k]) */
static void as_scikit_learn(void **state) {
    (void)state;
    mien_metrics m = compute(scores, labels, ROWS, CLASSES);
    static const size_t confusion[] = {2, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0};
    assert_memory_equal(m.confusion, confusion, sizeof confusion);
    assert_int_equal(m.correct, 4);
    NEAR(m.accuracy, 0.5);
    NEAR(m.balanced_accuracy, 0.5);
    NEAR(m.loss, 0.86247338866662);
    NEAR(m.macro_precision, 0.5);
    NEAR(m.macro_recall, 0.5);
    NEAR(m.macro_f1, 0.4904761904761905);
    NEAR(m.weighted_precision, 0.5);
    NEAR(m.weighted_recall, 0.5);
    NEAR(m.weighted_f1, 0.4892857142857143);
    static const double expected[3][5] = {
        {0.5, 0.6666666666666666, 0.5714285714285714, 0.7333333333333333, 0.7222222222222223},
        {0.5, 0.3333333333333333, 0.4, 0.8333333333333333, 0.7555555555555555},
        {0.5, 0.5, 0.5, 0.7083333333333333, 0.6428571428571428}};
    for (int k = 0; k < 3; k++) {
        const mien_class_metrics *c = &m.by_class[k];
        NEAR(c->precision, expected[k][0]);
        NEAR(c->recall, expected[k][1]);
        NEAR(c->f1, expected[k][2]);
        NEAR(c->roc_auc, expected[k][3]);
        NEAR(c->average_precision, expected[k][4]);
    }
    mien_metrics_release(&m);
}

/* Class 3 is predicted once but never true, class 2 neither: macro means count the former as zero
 * and leave out the latter. precision_recall_fscore_support(…, zero_division=0). */
static void macro_conventions(void **state) {
    (void)state;
    static const float p[] = {.6f, .2f, .1f, .1f, .1f, .2f, .1f, .6f,
                              .2f, .5f, .2f, .1f, .5f, .3f, .1f, .1f};
    static const uint16_t y[] = {0, 0, 1, 1};
    mien_metrics m = compute(p, y, 4, CLASSES);
    NEAR(m.balanced_accuracy, 0.5);
    NEAR(m.macro_precision, 0.5);
    NEAR(m.macro_recall, 0.3333333333333333);
    NEAR(m.macro_f1, 0.38888888888888884);
    NEAR(m.weighted_precision, 0.75);
    NEAR(m.weighted_recall, 0.5);
    NEAR(m.weighted_f1, 0.5833333333333333);
    assert_true(isnan(m.by_class[3].recall) && m.by_class[3].precision == 0);
    assert_true(isnan(m.by_class[2].precision) && isnan(m.by_class[2].f1));
    assert_true(isnan(m.by_class[2].roc_auc) && isnan(m.by_class[2].average_precision));
    mien_metrics_release(&m);
}

/* By hand: the confidences .7 .5 .6 .4 .8 .4 .5 .6 of eight rows fall into the bins 10, 7, 9, 6,
 * 12, 6, 7, 9; |sum of confidence - hits| is .3, 0, .2, .8, .2. */
static void calibration(void **state) {
    (void)state;
    mien_metrics m = compute(scores, labels, ROWS, CLASSES);
    NEAR(m.ece, (0.3 + 0 + 0.2 + 0.8 + 0.2) / 8);
    mien_metrics_release(&m);
    static const float sure[] = {1, 0, 1, 0, 0, 1, 1, 0};
    static const uint16_t y[] = {0, 0, 1, 1};
    m = compute(sure, y, 4, 2); /* certain, and wrong once in four */
    NEAR(m.ece, 0.25);
    NEAR(m.loss, -log(1e-30) / 4); /* a certain miss has a large but finite loss */
    mien_metrics_release(&m);
}

static void top2(void **state) {
    (void)state;
    static const float p[] = {.5f, .3f, .2f, .5f, .3f, .2f, .5f, .3f, .2f, .4f, .3f, .3f};
    static const uint16_t y[] = {0, 1, 2, 2}; /* the last one ties for second: the index decides */
    mien_metrics m = compute(p, y, 4, 3);
    NEAR(m.top2, 0.5);
    mien_metrics_release(&m);
}

/* The order of rows does not matter, even with ties. */
static void order_of_rows(void **state) {
    (void)state;
    float p[ROWS * CLASSES];
    uint16_t y[ROWS];
    for (int i = 0; i < ROWS; i++) {
        memcpy(p + i * CLASSES, scores + (ROWS - 1 - i) * CLASSES, CLASSES * sizeof *p);
        y[i] = labels[ROWS - 1 - i];
    }
    mien_metrics a = compute(scores, labels, ROWS, CLASSES), b = compute(p, y, ROWS, CLASSES);
    for (int k = 0; k < 3; k++) {
        assert_true(a.by_class[k].roc_auc == b.by_class[k].roc_auc);
        assert_true(a.by_class[k].average_precision == b.by_class[k].average_precision);
    }
    NEAR(a.loss, b.loss);
    mien_metrics_release(&a);
    mien_metrics_release(&b);
    static const float same[] = {.5f, .5f, .5f, .5f, .5f, .5f};
    static const uint16_t three[] = {0, 1, 0};
    a = compute(same, three, 3, 2); /* no discrimination */
    NEAR(a.by_class[0].roc_auc, 0.5);
    NEAR(a.by_class[0].average_precision, 2 / 3.0);
    mien_metrics_release(&a);
}

static void undefined_is_null(void **state) {
    (void)state;
    mien_metrics m = compute(scores, labels, ROWS, CLASSES);
    mien_text text = {0};
    mien_json json = {.text = &text};
    mien_json_open(&json, NULL, '{');
    mien_metrics_json(&m, names, &json);
    mien_json_close(&json, '}');
    assert_non_null(strstr(text.data, "\"name\": \"d\", \"support\": 0, \"precision\": null, "
                                      "\"recall\": null, \"f1\": null, \"roc_auc\": null, "
                                      "\"average_precision\": null"));
    assert_null(strstr(text.data, "nan"));
    mien_tree tree;
    assert_int_equal(mien_json_parse(text.data, text.size, "metrics", &tree), MIEN_OK);
    assert_true(mien_value_number(tree.root, "accuracy", 0) == 0.5);
    assert_int_equal(mien_value_get(tree.root, "confusion")->count, CLASSES);
    mien_tree_release(&tree);
    mien_text_release(&text);
    mien_metrics_table(&m, names, &text);
    assert_non_null(strstr(text.data, "d                    -         -         -         -"));
    mien_text_release(&text);
    mien_metrics_release(&m);
}

/* Columns are aligned by characters, not UTF-8 bytes; long names keep both ends. */
static void tables_of_utf8_names(void **state) {
    (void)state;
    static const char wide[CLASSES][64] = {"fröhlich", "überraschtüberrascht A",
                                           "überraschtüberrascht B", "喜"};
    mien_metrics m = compute(scores, labels, ROWS, CLASSES);
    mien_text text = {0};
    mien_metrics_table(&m, wide, &text);
    assert_non_null(strstr(text.data, "\nfröhlich         0.500 "));
    assert_non_null(strstr(text.data, "\nüberra…cht A     0.500 "));
    assert_non_null(strstr(text.data, "  fröhlich über…ht A über…ht B         喜     total\n"));
    mien_text_release(&text);
    mien_metrics_release(&m);
    mien_subgroup rows[] = {{"jünger", 5, 0.4, 0.3, 0.12, 0.77, 0.051},
                            {"a", 5, 1, 1, 0.6, 1, 1e-9},
                            {"b", 5, 1, 1, 0.6, 1, NAN}};
    mien_subgroup_table table = {"größe", rows, 3};
    mien_subgroups_table(&(mien_subgroups){&table, 1}, &text);
    assert_string_equal(
        text.data,
        "\ngröße                            n  accuracy  macro F1   95 % interval         p\n"
        "jünger                           5     0.400     0.300   0.120 … 0.770     0.051\n"
        "a                                5     1.000     1.000   0.600 … 1.000   < 0.001\n"
        "b                                5     1.000     1.000   0.600 … 1.000         -\n");
    mien_text_release(&text);
}

static void refusals(void **state) {
    (void)state;
    static float bad[] = {.5f, .5f, 0, 1};
    static const uint16_t y[] = {0, 1};
    mien_metrics m;
    assert_int_equal(mien_metrics_compute(bad, y, 0, 2, &m), MIEN_INVALID);
    mien_metrics_release(&m);
    bad[2] = NAN;
    assert_int_equal(mien_metrics_compute(bad, y, 2, 2, &m), MIEN_DIVERGED);
    assert_non_null(strstr(mien_error_message(), "sample 1"));
    mien_metrics_release(&m);
}

/* A base rate of 0.1 over 10 epochs of 10 steps. */
static double rate(const mien_config *c, long long step) {
    mien_plateau none;
    mien_plateau_start(&none, c);
    return mien_schedule_rate(c, &none, step, 100, 10);
}

static mien_config make_config(int schedule) {
    mien_config c;
    assert_int_equal(mien_config_start(&c), MIEN_OK);
    c.optimizer.learning_rate = 0.1;
    c.schedule.name = schedule;
    return c;
}

static void schedule_cosine(void **state) {
    (void)state;
    mien_config c = make_config(MIEN_SCHEDULE_COSINE);
    NEAR(rate(&c, 0), 0.1);
    NEAR(rate(&c, 25), 0.1 * 0.5 * (1 + cos(3.14159265358979323846 * 0.25)));
    NEAR(rate(&c, 50), 0.05);
    NEAR(rate(&c, 100), 0);
    c.schedule.min_lr = 0.01;
    NEAR(rate(&c, 50), 0.055);
    NEAR(rate(&c, 100), 0.01);
    c.schedule.warmup_epochs = 2; /* linear over 20 steps, then the cosine over the other 80 */
    NEAR(rate(&c, 0), 0.1 / 20);
    NEAR(rate(&c, 9), 0.05);
    NEAR(rate(&c, 19), 0.1);
    NEAR(rate(&c, 20), 0.1);
    NEAR(rate(&c, 60), 0.055);
    NEAR(rate(&c, 100), 0.01);
    c.schedule.warmup_epochs = 10; /* nothing left for the cosine */
    NEAR(rate(&c, 99), 0.1);
    mien_config_release(&c);
}

static void schedule_step(void **state) {
    (void)state;
    mien_config c = make_config(MIEN_SCHEDULE_STEP);
    assert_int_equal(mien_keys_set(mien_config_keys(), &c, "schedule.steps=[3, 5.5]"), MIEN_OK);
    NEAR(rate(&c, 29), 0.1);
    NEAR(rate(&c, 30), 0.01);
    NEAR(rate(&c, 54), 0.01);
    NEAR(rate(&c, 55), 0.001);
    c.schedule.min_lr = 0.005;
    NEAR(rate(&c, 99), 0.005);
    c.schedule.name = MIEN_SCHEDULE_CONSTANT;
    NEAR(rate(&c, 99), 0.1);
    mien_config_release(&c);
}

/* The results of an epoch's validation. */
#define VAL(loss, accuracy, f1) (&(const mien_results){{loss, accuracy, f1, 0, 0}})

/* As Keras's ReduceLROnPlateau. */
static void schedule_plateau(void **state) {
    (void)state;
    mien_config c = make_config(MIEN_SCHEDULE_PLATEAU);
    mien_plateau p;
    c.schedule.patience = 2;
    c.schedule.factor = 0.5;
    c.schedule.min_lr = 0.03;
    mien_plateau_start(&p, &c);
    assert_false(mien_plateau_update(&p, &c, VAL(1.0, 0, 0)));
    assert_false(mien_plateau_update(&p, &c, VAL(1.0, 0, 0)));
    assert_true(mien_plateau_update(&p, &c, VAL(NAN, 0, 0))); /* a NaN is not an improvement */
    NEAR(mien_schedule_rate(&c, &p, 50, 100, 10), 0.05);
    assert_false(mien_plateau_update(&p, &c, VAL(1.1, 0, 0)));
    assert_false(mien_plateau_update(&p, &c, VAL(0.9, 0, 0))); /* better: patience restarts */
    assert_false(mien_plateau_update(&p, &c, VAL(1.0, 0, 0)));
    assert_true(mien_plateau_update(&p, &c, VAL(1.0, 0, 0)));
    NEAR(mien_schedule_rate(&c, &p, 50, 100, 10), 0.03); /* never below min_lr */
    mien_config_release(&c);
}

static void monitors(void **state) {
    (void)state;
    mien_monitor m;
    mien_monitor_start(&m, MIEN_MONITOR_VAL_LOSS, MIEN_MODE_AUTO, 0.1);
    assert_false(mien_monitor_update(&m, 1, VAL(NAN, 0.9, 0.9)));
    assert_int_equal(m.epoch, 0);
    assert_true(mien_monitor_update(&m, 2, VAL(2.0, 0, 0)));
    assert_false(
        mien_monitor_update(&m, 3, VAL(1.95, 0, 0))); /* a change below min_delta does not count */
    assert_int_equal(m.waited, 1);
    assert_true(mien_monitor_update(&m, 4, VAL(1.8, 0, 0)));
    assert_false(mien_monitor_update(&m, 5, VAL(NAN, 1, 1)));
    assert_true(m.epoch == 4 && m.best == 1.8 && m.waited == 1);
    mien_monitor_start(&m, MIEN_MONITOR_VAL_ACCURACY, MIEN_MODE_AUTO, 0);
    assert_true(mien_monitor_update(&m, 1, VAL(9, 0, 0)));  /* an accuracy of 0 counts */
    assert_false(mien_monitor_update(&m, 2, VAL(9, 0, 1))); /* equal is not better */
    assert_true(mien_monitor_update(&m, 3, VAL(1, 0, 1))); /* but a lower val_loss breaks the tie */
    assert_true(mien_monitor_update(&m, 4, VAL(9, 0.1, 0)));
    mien_monitor_start(&m, MIEN_MONITOR_VAL_MACRO_F1, MIEN_MODE_AUTO, 0);
    assert_true(mien_monitor_update(&m, 1, VAL(9, 0, 0.5)));
    assert_false(mien_monitor_update(&m, 2, VAL(1, 1, 0.4)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_scikit_learn),      cmocka_unit_test(macro_conventions),
        cmocka_unit_test(calibration),          cmocka_unit_test(top2),
        cmocka_unit_test(order_of_rows),        cmocka_unit_test(undefined_is_null),
        cmocka_unit_test(tables_of_utf8_names), cmocka_unit_test(refusals),
        cmocka_unit_test(schedule_cosine),      cmocka_unit_test(schedule_step),
        cmocka_unit_test(schedule_plateau),     cmocka_unit_test(monitors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
