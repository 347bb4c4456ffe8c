#include "host/eval/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/eval/ranking.h"
#include "host/formats/model.h"

static bool within_top2(const float *p, int classes, int label) {
    int above = 0;
    for (int k = 0; k < classes; k++)
        above += p[k] > p[label] || (p[k] == p[label] && k < label);
    return above < 2;
}

int mien_confidence_bin(float confidence, int bins) {
    const int bin = (int)(confidence * (float)bins);
    return bin < 0 ? 0 : (bin >= bins ? bins - 1 : bin);
}

double mien_row_loss(float probability) {
    return -log(probability > 1e-30f ? probability : 1e-30);
}

/* One pass over the rows: confusion, loss, top-2, calibration. */
static void count_rows(mien_metrics *m, const float *p, const uint16_t *labels) {
    double bin_confidence[MIEN_BINS] = {0}, bin_correct[MIEN_BINS] = {0};
    size_t top2 = 0;
    double loss = 0;
    for (size_t i = 0; i < m->n; i++) {
        const float *row = p + i * (size_t)m->classes;
        const int guess = mien_best_class(row, m->classes), label = labels[i];
        m->confusion[label * m->classes + guess]++;
        m->correct += guess == label;
        top2 += within_top2(row, m->classes, label);
        loss += mien_row_loss(row[label]);
        const int bin = mien_confidence_bin(row[guess], MIEN_BINS);
        bin_confidence[bin] += row[guess];
        bin_correct[bin] += guess == label;
    }
    m->loss = loss / (double)m->n;
    m->accuracy = (double)m->correct / (double)m->n;
    m->top2 = (double)top2 / (double)m->n;
    for (int b = 0; b < MIEN_BINS; b++)
        m->ece += fabs(bin_confidence[b] - bin_correct[b]) / (double)m->n;
}

/* ROC AUC and average precision of one class against the rest. */
static void rank_class(mien_class_metrics *c, const mien_scored *rows, size_t n) {
    const double positives = (double)c->support, negatives = (double)n - positives;
    double tp = 0, fp = 0, area = 0, average = 0;
    for (size_t i = 0; i < n;) {
        double step_tp = 0, step_fp = 0;
        i = mien_rank_step(rows, n, i, &step_tp, &step_fp);
        area += step_fp * (tp + step_tp / 2);
        tp += step_tp;
        fp += step_fp;
        if (positives > 0) average += step_tp / positives * (tp / (tp + fp));
    }
    c->roc_auc = positives > 0 && negatives > 0 ? area / (positives * negatives) : NAN;
    c->average_precision = positives > 0 ? average : NAN;
}

static void class_rates(mien_class_metrics *c, size_t hits, size_t predicted) {
    c->precision = predicted ? (double)hits / (double)predicted : NAN;
    c->recall = c->support ? (double)hits / (double)c->support : NAN;
    c->f1 = predicted + c->support ? 2.0 * (double)hits / (double)(predicted + c->support) : NAN;
}

static void add_means(mien_metrics *m) {
    int present = 0, known = 0;
    for (int k = 0; k < m->classes; k++) {
        const mien_class_metrics *c = &m->by_class[k];
        const double precision = isnan(c->precision) ? 0 : c->precision;
        const double recall = isnan(c->recall) ? 0 : c->recall, f1 = isnan(c->f1) ? 0 : c->f1;
        const double share = (double)c->support / (double)m->n;
        if (!isnan(c->f1)) { /* skip a class neither present nor predicted */
            known++;
            m->macro_precision += precision;
            m->macro_recall += recall;
            m->macro_f1 += f1;
        }
        if (c->support) {
            present++;
            m->balanced_accuracy += recall;
        }
        m->weighted_precision += share * precision;
        m->weighted_recall += share * recall;
        m->weighted_f1 += share * f1;
    }
    m->macro_precision /= known;
    m->macro_recall /= known;
    m->macro_f1 /= known;
    m->balanced_accuracy /= present;
}

void mien_metrics_rates(mien_metrics *m, const size_t *hits, const size_t *predicted) {
    m->balanced_accuracy = 0;
    m->macro_precision = m->macro_recall = m->macro_f1 = 0;
    m->weighted_precision = m->weighted_recall = m->weighted_f1 = 0;
    for (int k = 0; k < m->classes; k++)
        class_rates(&m->by_class[k], hits[k], predicted[k]);
    add_means(m);
}

/* Sums of the confusion matrix: supports, and the rates that follow from them. */
static mien_status rate_classes(mien_metrics *m) {
    const size_t classes = (size_t)m->classes;
    size_t *hits, *predicted;
    MIEN_TRY(mien_new(&hits, 2 * classes, sizeof *hits));
    predicted = hits + classes;
    for (size_t k = 0; k < classes; k++) {
        hits[k] = m->confusion[k * classes + k];
        for (size_t j = 0; j < classes; j++) {
            m->by_class[k].support += m->confusion[k * classes + j];
            predicted[j] += m->confusion[k * classes + j];
        }
    }
    mien_metrics_rates(m, hits, predicted);
    mien_free(hits);
    return MIEN_OK;
}

mien_status mien_metrics_compute(const float *probabilities, const uint16_t *labels, size_t n,
                                 int classes, mien_metrics *out) {
    *out = (mien_metrics){.classes = classes, .n = n};
    if (n == 0) return MIEN_FAIL(INVALID, "there is nothing to evaluate: the split is empty");
    for (size_t i = 0; i < n * (size_t)classes; i++)
        if (!isfinite(probabilities[i]))
            return MIEN_FAIL(DIVERGED,
                             "the network's output for sample %zu of the split is not finite: "
                             "its weights are damaged or training diverged",
                             i / (size_t)classes);
    MIEN_TRY(mien_new(&out->by_class, (size_t)classes, sizeof *out->by_class));
    MIEN_TRY(mien_new(&out->confusion, (size_t)classes * (size_t)classes, sizeof *out->confusion));
    count_rows(out, probabilities, labels);
    MIEN_TRY(rate_classes(out));
    mien_scored *rows;
    MIEN_TRY(mien_new(&rows, n, sizeof *rows));
    for (int k = 0; k < classes; k++) {
        mien_rank(probabilities, labels, n, classes, k, rows);
        rank_class(&out->by_class[k], rows, n);
    }
    mien_free(rows);
    return MIEN_OK;
}

int mien_metrics_collapsed(const mien_metrics *m) {
    const size_t classes = (size_t)m->classes;
    for (size_t k = 0; m->n >= 20 && k < classes; k++) {
        size_t answered = 0;
        for (size_t row = 0; row < classes; row++)
            answered += m->confusion[row * classes + k];
        if (20 * answered >= 19 * m->n && 5 * m->by_class[k].support < 4 * m->n) return (int)k;
    }
    return -1;
}

int mien_metrics_largest(const mien_metrics *m, int most, int *out) {
    int count = 0;
    for (int k = 0; k < m->classes; k++) {
        int larger = 0;
        for (int j = 0; j < m->classes; j++)
            larger += m->by_class[j].support > m->by_class[k].support ||
                      (m->by_class[j].support == m->by_class[k].support && j < k);
        if (larger < most) out[count++] = k;
    }
    return count;
}

void mien_metrics_release(mien_metrics *metrics) {
    mien_free(metrics->by_class);
    mien_free(metrics->confusion);
    *metrics = (mien_metrics){0};
}

static void triple(mien_json *json, const char *key, double precision, double recall, double f1) {
    mien_json_open(json, key, '{');
    mien_json_number(json, "precision", precision);
    mien_json_number(json, "recall", recall);
    mien_json_number(json, "f1", f1);
    mien_json_close(json, '}');
}

void mien_metrics_json(const mien_metrics *m, const char (*names)[64], mien_json *json) {
    mien_json_integer(json, "n", (long long)m->n);
    mien_json_number(json, "loss", m->loss);
    mien_json_number(json, "accuracy", m->accuracy);
    mien_json_number(json, "top2", m->top2);
    mien_json_number(json, "balanced_accuracy", m->balanced_accuracy);
    mien_json_number(json, "ece", m->ece);
    triple(json, "macro", m->macro_precision, m->macro_recall, m->macro_f1);
    triple(json, "weighted", m->weighted_precision, m->weighted_recall, m->weighted_f1);
    mien_json_open(json, "classes", '[');
    for (int k = 0; k < m->classes; k++) {
        const mien_class_metrics *c = &m->by_class[k];
        mien_json_open(json, NULL, '{');
        mien_json_string(json, "name", names[k]);
        mien_json_integer(json, "support", (long long)c->support);
        mien_json_number(json, "precision", c->precision);
        mien_json_number(json, "recall", c->recall);
        mien_json_number(json, "f1", c->f1);
        mien_json_number(json, "roc_auc", c->roc_auc);
        mien_json_number(json, "average_precision", c->average_precision);
        mien_json_close(json, '}');
    }
    mien_json_close(json, ']');
    mien_json_open(json, "confusion", '[');
    for (int k = 0; k < m->classes; k++) {
        mien_json_open(json, NULL, '[');
        for (int j = 0; j < m->classes; j++)
            mien_json_integer(json, NULL, (long long)m->confusion[k * m->classes + j]);
        mien_json_close(json, ']');
    }
    mien_json_close(json, ']');
}

static void cell(mien_text *out, double value) {
    if (isnan(value))
        mien_text_printf(out, " %9s", "-");
    else
        mien_text_printf(out, " %9.3f", value);
}

static void confusion_table(const mien_metrics *m, const char (*names)[64], mien_text *out) {
    mien_text_puts(out, "\nconfusion matrix (rows: true, columns: predicted)\n");
    mien_text_printf(out, "%-12s", "");
    for (int j = 0; j < m->classes; j++) {
        mien_text_puts(out, " ");
        mien_text_column(out, names[j], 9);
    }
    mien_text_puts(out, "     total\n");
    for (int k = 0; k < m->classes; k++) {
        mien_text_column(out, names[k], -12);
        for (int j = 0; j < m->classes; j++)
            mien_text_printf(out, " %9zu", m->confusion[k * m->classes + j]);
        mien_text_printf(out, " %9zu\n", m->by_class[k].support);
    }
}

void mien_metrics_table(const mien_metrics *m, const char (*names)[64], mien_text *out) {
    mien_text_printf(out,
                     "accuracy %.4f   top-2 %.4f   balanced %.4f   macro F1 %.4f   loss %.4f   "
                     "ECE %.4f   n %zu\n\n",
                     m->accuracy, m->top2, m->balanced_accuracy, m->macro_f1, m->loss, m->ece,
                     m->n);
    mien_text_printf(out, "%-12s %9s %9s %9s %9s %9s %9s\n", "class", "precision", "recall", "F1",
                     "ROC AUC", "avg prec", "support");
    for (int k = 0; k < m->classes; k++) {
        const mien_class_metrics *c = &m->by_class[k];
        mien_text_column(out, names[k], -12);
        cell(out, c->precision);
        cell(out, c->recall);
        cell(out, c->f1);
        cell(out, c->roc_auc);
        cell(out, c->average_precision);
        mien_text_printf(out, " %9zu\n", c->support);
    }
    mien_text_printf(out, "%-12s", "macro");
    cell(out, m->macro_precision);
    cell(out, m->macro_recall);
    cell(out, m->macro_f1);
    mien_text_printf(out, "\n%-12s", "weighted");
    cell(out, m->weighted_precision);
    cell(out, m->weighted_recall);
    cell(out, m->weighted_f1);
    mien_text_puts(out, "\n");
    if (m->classes <= 20) confusion_table(m, names, out);
}
