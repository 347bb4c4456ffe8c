/* Metrics and what a report adds to them, against scikit-learn, SciPy and a plain bootstrap
 * (tests/golden/make_metrics.py). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/eval/bootstrap.h"
#include "host/eval/curves.h"
#include "host/eval/document.h"
#include "host/eval/significance.h"
#include "kernels/body/rng.h"
#include "tests/support/golden.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static golden_file golden;

typedef struct rows {
    float *p;
    uint16_t *labels;
    size_t n;
    int classes;
    mien_metrics metrics;
    mien_analysis analysis;
} rows;

static void near(const char *what, size_t i, double got, double want, double most) {
    if (!(fabs(got - want) <= most) && !(isnan(got) && isnan(want)))
        fail_msg("%s[%zu]: %.12g, not %.12g", what, i, got, want);
}

static void compute(rows *r) {
    expect_ok(mien_metrics_compute(r->p, r->labels, r->n, r->classes, &r->metrics));
    expect_ok(mien_analysis_compute(r->p, r->labels, r->n, r->classes, &r->metrics, &r->analysis));
}

static rows load(const char *name) {
    const mien_st_tensor *p = golden_find(&golden, "%s/p", name);
    const mien_st_tensor *y = golden_find(&golden, "%s/labels", name);
    assert_non_null(p);
    rows r = {.n = (size_t)p->shape[0], .classes = (int)p->shape[1]};
    double *labels = golden_numbers(y);
    r.p = malloc(p->count * sizeof *r.p);
    r.labels = malloc(r.n * sizeof *r.labels);
    assert_non_null(r.p);
    assert_non_null(r.labels);
    expect_ok(mien_st_floats(p, r.p, p->count));
    for (size_t i = 0; i < r.n; i++)
        r.labels[i] = (uint16_t)labels[i];
    free(labels);
    compute(&r);
    return r;
}

static void drop(rows *r) {
    mien_metrics_release(&r->metrics);
    mien_analysis_release(&r->analysis);
    free(r->p);
    free(r->labels);
}

/* The numbers of a tensor, or NULL; *count of them. */
static double *find(const char *name, const char *part, size_t *count) {
    const mien_st_tensor *t = golden_find(&golden, "%s/%s", name, part);
    *count = t ? t->count : 0;
    return t ? golden_numbers(t) : NULL;
}

static void check_rates(const char *name, const rows *r) {
    const mien_metrics *m = &r->metrics;
    const double got[] = {m->accuracy,
                          m->balanced_accuracy,
                          m->loss,
                          m->top2,
                          m->ece,
                          m->macro_precision,
                          m->macro_recall,
                          m->macro_f1,
                          m->weighted_precision,
                          m->weighted_recall,
                          m->weighted_f1};
    size_t count;
    double *want = find(name, "scalars", &count);
    assert_int_equal(count, sizeof got / sizeof got[0]);
    for (size_t i = 0; i < count; i++)
        near(name, i, got[i], want[i], 1e-9);
    free(want);
    want = find(name, "classes", &count);
    for (int k = 0; k < r->classes; k++) {
        const mien_class_metrics *c = &m->by_class[k];
        const double own[] = {c->precision, c->recall, c->f1, c->roc_auc, c->average_precision};
        for (int i = 0; i < 5; i++)
            near("rate of a class", (size_t)(5 * k + i), own[i], want[5 * k + i], 1e-9);
    }
    free(want);
}

static void check_points(const char *name, const char *part, const mien_points *got) {
    size_t count;
    double *want = find(name, part, &count);
    assert_int_equal(got->count, count / 2);
    for (size_t i = 0; i < got->count; i++) {
        near(part, i, got->x[i], want[2 * i], 1e-9);
        near(part, i, got->y[i], want[2 * i + 1], 1e-9);
    }
    free(want);
}

static void check_bins(const char *name, const rows *r) {
    size_t count, right = 0, wrong = 0, all = 0;
    double *want = find(name, "bins", &count);
    assert_int_equal(count, 3 * MIEN_BINS);
    for (size_t b = 0; b < MIEN_BINS; b++) {
        assert_int_equal(r->analysis.bins[b].n, (size_t)want[3 * b]);
        near("confidence", b, r->analysis.bins[b].confidence, want[3 * b + 1], 1e-9);
        near("accuracy", b, r->analysis.bins[b].accuracy, want[3 * b + 2], 1e-9);
        all += r->analysis.bins[b].n;
    }
    for (int b = 0; b < MIEN_HISTOGRAM; b++) {
        right += r->analysis.right_histogram[b];
        wrong += r->analysis.wrong_histogram[b];
    }
    assert_int_equal(all, r->n);
    assert_int_equal(right, r->metrics.correct);
    assert_int_equal(right + wrong, r->n);
    free(want);
}

static void as_scikit_learn(void **state) {
    (void)state;
    static const char *const names[] = {"random", "ties",   "absent", "wrong",
                                        "one",    "single", "two",    "hundred"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rows r = load(names[i]);
        check_rates(names[i], &r);
        check_bins(names[i], &r);
        for (int k = 0; k < r.classes && k < 3; k++) {
            char part[16];
            snprintf(part, sizeof part, "roc%d", k);
            check_points(names[i], part, &r.analysis.curves[k].roc);
            snprintf(part, sizeof part, "pr%d", k);
            check_points(names[i], part, &r.analysis.curves[k].pr);
        }
        drop(&r);
    }
}

static void recalibration(void **state) {
    (void)state;
    static const char *const names[] = {"random", "ties", "two"};
    for (size_t i = 0; i < 3; i++) {
        size_t count;
        rows r = load(names[i]);
        double *want = find(names[i], "recalibration", &count);
        near("temperature", i, r.analysis.temperature / want[0], 1, 1e-5);
        near("ECE after", i, r.analysis.ece_after, want[1], 1e-5);
        near("loss after", i, r.analysis.loss_after, want[2], 1e-6);
        assert_true(r.analysis.loss_after <= r.metrics.loss + 1e-6);
        free(want);
        drop(&r);
    }
}

/* The ends are random: those of the reference, of 20,000 draws, have an error of about 0.0005. */
static void intervals(void **state) {
    (void)state;
    static const char *const names[] = {"random", "ties", "two"};
    for (size_t i = 0; i < 3; i++) {
        size_t count;
        rows r = load(names[i]);
        const mien_analysis *a = &r.analysis;
        double *want = find(names[i], "bootstrap", &count);
        const mien_interval got[] = {a->accuracy, a->balanced_accuracy, a->macro_f1, a->loss,
                                     a->recall[0]};
        assert_int_equal(count, 10);
        for (size_t k = 0; k < 5; k++) {
            const double width = want[2 * k + 1] - want[2 * k];
            near("low", k, got[k].low, want[2 * k], 0.08 * width);
            near("high", k, got[k].high, want[2 * k + 1], 0.08 * width);
        }
        free(want);
        drop(&r);
    }
}

/* What no row defines has no interval; that of one row's accuracy is wide, as Wilson says. */
static void degenerate_intervals(void **state) {
    (void)state;
    rows r = load("absent");
    assert_true(isnan(r.analysis.recall[5].low) && isnan(r.analysis.precision[6].high));
    assert_int_equal(r.analysis.curves[5].roc.count, 0);
    assert_int_equal(r.analysis.curves[5].pr.count, 0);
    drop(&r);
    r = load("wrong");
    assert_true(r.analysis.accuracy.low == 0 && r.analysis.accuracy.high == 0);
    drop(&r);
    r = load("one");
    assert_true(fabs(r.analysis.accuracy.low - 0.2065) < 1e-3 && r.analysis.accuracy.high == 1);
    near("loss", 0, r.analysis.loss.high, r.metrics.loss, 0);
    assert_true(r.analysis.temperature == 1);
    drop(&r);
    r = load("single"); /* every label is class 2: recall and precision, but no ROC */
    assert_int_equal(r.analysis.curves[2].roc.count, 0);
    assert_true(r.analysis.curves[2].pr.count > 2 && !isnan(r.analysis.recall[2].low));
    drop(&r);
}

static void same_numbers_again(void **state) {
    (void)state;
    rows a = load("random"), b = load("random");
    assert_memory_equal(&a.analysis.accuracy, &b.analysis.accuracy, 4 * sizeof(mien_interval));
    assert_memory_equal(a.analysis.f1, b.analysis.f1, 7 * sizeof(mien_interval));
    drop(&a);
    drop(&b);
}

/* ---- draws ---- */

typedef struct counter {
    uint64_t at;
} counter;

static double next(void *context) {
    counter *c = context;
    return (rng_word(7, 1, 0, c->at++) + 0.5) * 0x1p-32;
}

/* Mean and variance of both methods, and the chance of every count of a small case. */
static void binomial(void **state) {
    (void)state;
    enum { DRAWS = 200000 };
    static const struct {
        size_t n;
        double p;
    } cases[] = {{5, 0.3}, {30, 0.2}, {1000, 0.004}, {50, 0.5}, {400, 0.8}, {1000000, 0.2}};
    counter c = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double n = (double)cases[i].n, p = cases[i].p, variance = n * p * (1 - p);
        double sum = 0, squares = 0;
        for (int d = 0; d < DRAWS; d++) {
            const double x = (double)mien_draw_binomial(cases[i].n, p, next, &c) - n * p;
            sum += x;
            squares += x * x;
        }
        near("mean", i, sum / DRAWS / sqrt(variance), 0, 4 / sqrt(DRAWS));
        near("variance", i, squares / DRAWS / variance, 1, 6 / sqrt(DRAWS));
    }
    for (int large = 0; large < 2; large++) { /* by inversion, by rejection */
        enum { N = 40 };
        const double p = large ? 0.4 : 0.1;
        double counts[N + 1] = {0}, chance = pow(1 - p, N), apart = 0;
        for (int d = 0; d < DRAWS; d++)
            counts[mien_draw_binomial(N, p, next, &c)]++;
        for (int k = 0; k <= N; k++) {
            if (chance * DRAWS > 5) {
                const double off = counts[k] - chance * DRAWS;
                apart += off * off / (chance * DRAWS);
            }
            chance *= p / (1 - p) * (N - k) / (k + 1);
        }
        if (apart > 60) fail_msg("chi-squared is %g for p %g", apart, p);
    }
    assert_int_equal(mien_draw_binomial(0, 0.5, next, &c), 0);
    assert_int_equal(mien_draw_binomial(9, 0, next, &c), 0);
    assert_int_equal(mien_draw_binomial(9, 1, next, &c), 9);
}

/* ---- thinning ---- */

/* The largest distance in y of a thinned curve from the points of the full one, except where the
 * curve is steep. */
static double away(const mien_points *thin, double x, double y) {
    double least = INFINITY;
    for (size_t i = 1; i < thin->count; i++) {
        const double dx = thin->x[i] - thin->x[i - 1], dy = thin->y[i] - thin->y[i - 1];
        const double length = dx * dx + dy * dy;
        double t =
            length > 0 ? ((x - thin->x[i - 1]) * dx + (y - thin->y[i - 1]) * dy) / length : 0;
        t = fmin(1, fmax(0, t));
        least = fmin(least, hypot(thin->x[i - 1] + t * dx - x, thin->y[i - 1] + t * dy - y));
    }
    return least;
}

/* A smooth curve, and one with a jagged start, as precision has it. */
static void thinning(void **state) {
    (void)state;
    enum { N = 20000 };
    for (int jagged = 0; jagged < 2; jagged++) {
        mien_points p = {malloc(N * sizeof(double)), malloc(N * sizeof(double)), N};
        double *x = malloc(N * sizeof(double)), *y = malloc(N * sizeof(double)), worst = 0;
        assert_non_null(p.x);
        assert_non_null(p.y);
        assert_non_null(x);
        assert_non_null(y);
        for (size_t i = 0; i < N; i++) {
            const double share = (double)i / (N - 1);
            p.x[i] = x[i] = share;
            p.y[i] = y[i] =
                sqrt(share) + (jagged ? 0.3 * (noise(1, i) - 0.5) / (1 + (double)i) : 0);
        }
        expect_ok(mien_points_thin(&p, MIEN_CURVE_POINTS));
        assert_true(p.count <= MIEN_CURVE_POINTS && p.count > 20);
        assert_true(p.x[0] == x[0] && p.x[p.count - 1] == x[N - 1] && p.y[p.count - 1] == y[N - 1]);
        for (size_t i = 0; i < N; i++)
            worst = fmax(worst, away(&p, x[i], y[i]));
        if (worst > 0.0015) fail_msg("a thinned curve is off by %g", worst);
        free(p.x);
        free(p.y);
        free(x);
        free(y);
    }
}

/* ---- tests of significance ---- */

static void significance(void **state) {
    (void)state;
    size_t count;
    double *want = golden_numbers(golden_find(&golden, "mcnemar"));
    count = golden_find(&golden, "mcnemar")->count / 3;
    for (size_t i = 0; i < count; i++) {
        enum { N = 2000 };
        uint8_t a[N] = {0}, b[N] = {0};
        const size_t only_a = (size_t)want[3 * i], only_b = (size_t)want[3 * i + 1];
        memset(a, 1, only_a);
        memset(b + only_a, 1, only_b);
        memset(a + N - 300, 1, 300);
        memset(b + N - 300, 1, 300);
        const mien_mcnemar m = mien_mcnemar_test(a, b, N);
        assert_int_equal(m.only_a, only_a);
        assert_int_equal(m.only_b, only_b);
        near("McNemar", i, m.p, want[3 * i + 2], 1e-9);
    }
    free(want);
    want = golden_numbers(golden_find(&golden, "two"));
    count = golden_find(&golden, "two")->count / 5;
    for (size_t i = 0; i < count; i++) {
        const double *w = want + 5 * i;
        near("two proportions", i,
             mien_two_proportions((size_t)w[0], (size_t)w[1], (size_t)w[2], (size_t)w[3]), w[4],
             1e-9);
    }
    free(want);
    assert_true(isnan(mien_two_proportions(1, 2, 0, 0)));
    want = golden_numbers(golden_find(&golden, "wilson"));
    count = golden_find(&golden, "wilson")->count / 4;
    for (size_t i = 0; i < count; i++) {
        const mien_interval w = mien_wilson((size_t)want[4 * i], (size_t)want[4 * i + 1]);
        near("Wilson", i, w.low, want[4 * i + 2], 1e-9);
        near("Wilson", i, w.high, want[4 * i + 3], 1e-9);
    }
    free(want);
}

/* ---- many rows, and the document ---- */

static rows draw(size_t n, int classes) {
    rows r = {malloc(n * (size_t)classes * sizeof(float)),
              malloc(n * sizeof(uint16_t)),
              n,
              classes,
              {0},
              {0}};
    assert_non_null(r.p);
    assert_non_null(r.labels);
    for (size_t i = 0; i < n; i++) {
        float sum = 0, *p = r.p + i * (size_t)classes;
        r.labels[i] = (uint16_t)(rng_word(3, 1, 0, i) % (unsigned)classes);
        for (int k = 0; k < classes; k++)
            sum += p[k] = expf(2 * (float)noise((uint32_t)k + 10, i) + (k == r.labels[i]));
        for (int k = 0; k < classes; k++)
            p[k] /= sum;
    }
    return r;
}

static double area(const mien_points *p) {
    double sum = 0;
    for (size_t i = 1; i < p->count; i++)
        sum += (p->x[i] - p->x[i - 1]) * (p->y[i] + p->y[i - 1]) / 2;
    return sum;
}

/* The areas below thinned curves are the exact ones, rare classes with jagged curves included. */
static void areas_of_thinned_curves(void **state) {
    (void)state;
    static const int classes[] = {7, 100};
    for (int i = 0; i < 2; i++) {
        rows r = draw(4000, classes[i]);
        compute(&r);
        for (int k = 0; k < r.classes; k++) {
            const mien_class_curves *c = &r.analysis.curves[k];
            const mien_class_metrics *m = &r.metrics.by_class[k];
            assert_true(c->roc.count <= MIEN_CURVE_POINTS && c->pr.count <= MIEN_CURVE_POINTS);
            near("area of ROC", (size_t)k, area(&c->roc), m->roc_auc, 0.0005);
            /* average precision sums steps, not trapezoids */
            near("area of PR", (size_t)k, area(&c->pr), m->average_precision,
                 0.001 + 0.6 / (double)m->support);
        }
        drop(&r);
    }
}

/* Beyond the rows whose loss is resampled: the interval continues smoothly, curves are thinned. */
static void many_rows(void **state) {
    (void)state;
    rows few = draw(20000, 7), many = draw(20001, 7);
    double start = mien_seconds();
    compute(&few);
    print_message("# 20,000 rows in %.2f s\n", mien_seconds() - start);
    compute(&many);
    const mien_interval a = few.analysis.loss, b = many.analysis.loss;
    near("loss", 0, a.low, b.low, 0.1 * (a.high - a.low));
    near("loss", 1, a.high, b.high, 0.1 * (a.high - a.low));
    for (int k = 0; k < 7; k++) {
        assert_true(few.analysis.curves[k].roc.count <= MIEN_CURVE_POINTS);
        assert_true(few.analysis.curves[k].pr.count <= MIEN_CURVE_POINTS);
        assert_true(few.analysis.curves[k].roc.count > 50);
    }
    drop(&few);
    drop(&many);
}

static void in_the_document(void **state) {
    (void)state;
    static const char names[4][64] = {"a", "b", "c", "d"};
    rows r = load("ties");
    mien_text text = {0};
    mien_tree tree;
    mien_report_head head = {.model = "m", .data = "d", .split = "val", .sha256 = ""};
    mien_metrics_document(&r.metrics, names, &head, false, &text);
    assert_null(strstr(text.data, "intervals"));
    mien_text_release(&text);
    head.analysis = &r.analysis;
    mien_metrics_document(&r.metrics, names, &head, true, &text);
    expect_ok(mien_json_parse(text.data, text.size, "metrics.json", &tree));
    const mien_value *all = mien_value_get(tree.root, "intervals");
    assert_non_null(all);
    assert_int_equal(mien_value_get(all, "classes")->count, 4);
    const mien_value *range = mien_value_get(all, "accuracy");
    near("interval", 0, range->first->number, r.analysis.accuracy.low, 1e-6);
    near("interval", 1, range->last->number, r.analysis.accuracy.high, 1e-6);
    near("temperature", 0, mien_value_number(tree.root, "temperature", 0), r.analysis.temperature,
         1e-5);
    assert_true(mien_value_number(tree.root, "ece_after", -1) >= 0);
    mien_tree_release(&tree);
    mien_text_release(&text);
    drop(&r);
}

static int start(void **state) {
    (void)state;
    golden_open(&golden, "metrics");
    return 0;
}

static int stop(void **state) {
    (void)state;
    golden_close(&golden);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_scikit_learn),
                                       cmocka_unit_test(recalibration),
                                       cmocka_unit_test(intervals),
                                       cmocka_unit_test(degenerate_intervals),
                                       cmocka_unit_test(same_numbers_again),
                                       cmocka_unit_test(binomial),
                                       cmocka_unit_test(thinning),
                                       cmocka_unit_test(significance),
                                       cmocka_unit_test(areas_of_thinned_curves),
                                       cmocka_unit_test(many_rows),
                                       cmocka_unit_test(in_the_document)};
    return cmocka_run_group_tests(tests, start, stop);
}
