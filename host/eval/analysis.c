#include "host/eval/analysis.h"

#include <math.h>

#include "host/base/memory.h"
#include "host/eval/bootstrap.h"
#include "host/eval/curves.h"
#include "host/eval/significance.h"
#include "host/eval/temperature.h"
#include "host/formats/model.h"

/* Counts of one bin while rows are added. */
typedef struct bin_sums {
    size_t n, right;
    double confidence;
} bin_sums;

static void add_row(bin_sums *bins, float confidence, bool right) {
    bin_sums *bin = &bins[mien_confidence_bin(confidence, MIEN_BINS)];
    bin->n++;
    bin->right += right;
    bin->confidence += (double)confidence;
}

static void count_confidence(const float *p, const uint16_t *labels, size_t n, mien_analysis *a) {
    bin_sums bins[MIEN_BINS] = {0};
    for (size_t i = 0; i < n; i++) {
        const float *row = p + i * (size_t)a->classes;
        const int guess = mien_best_class(row, a->classes);
        const bool right = guess == labels[i];
        add_row(bins, row[guess], right);
        (right ? a->right_histogram
               : a->wrong_histogram)[mien_confidence_bin(row[guess], MIEN_HISTOGRAM)]++;
    }
    for (int b = 0; b < MIEN_BINS; b++) {
        const double count = bins[b].n ? (double)bins[b].n : NAN;
        a->bins[b] =
            (mien_bin){bins[b].n, bins[b].confidence / count, (double)bins[b].right / count};
    }
}

/* What the loss and the calibration error would be at the temperature that suits these rows. */
static mien_status recalibrate(const float *p, const uint16_t *labels, size_t n, mien_analysis *a) {
    bin_sums bins[MIEN_BINS] = {0};
    const size_t classes = (size_t)a->classes;
    float *row;
    double loss = 0, apart = 0;
    MIEN_TRY(mien_new(&row, classes, sizeof *row));
    a->temperature = mien_temperature_fit(p, labels, n, a->classes);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < classes; k++)
            row[k] = p[i * classes + k];
        const int guess = mien_best_class(row, a->classes);
        mien_temperature_apply(row, 1, a->classes, a->temperature);
        add_row(bins, row[guess], guess == labels[i]);
        loss += mien_row_loss(row[labels[i]]);
    }
    for (int b = 0; b < MIEN_BINS; b++)
        apart += fabs(bins[b].confidence - (double)bins[b].right);
    a->ece_after = apart / (double)n;
    a->loss_after = loss / (double)n;
    mien_free(row);
    return MIEN_OK;
}

mien_status mien_analysis_compute(const float *probabilities, const uint16_t *labels, size_t n,
                                  int classes, const mien_metrics *metrics, mien_analysis *out) {
    const size_t count = (size_t)classes;
    *out = (mien_analysis){.classes = classes};
    MIEN_TRY(mien_new(&out->precision, count, sizeof *out->precision));
    MIEN_TRY(mien_new(&out->recall, count, sizeof *out->recall));
    MIEN_TRY(mien_new(&out->f1, count, sizeof *out->f1));
    MIEN_TRY(mien_new(&out->curves, count, sizeof *out->curves));
    MIEN_TRY(mien_bootstrap(probabilities, labels, metrics, out));
    if (n < MIEN_BOOTSTRAP_LEAST) out->accuracy = mien_wilson(metrics->correct, n);
    for (int k = 0; k < classes; k++)
        MIEN_TRY(mien_class_curves_compute(probabilities, labels, n, classes, k, &out->curves[k]));
    count_confidence(probabilities, labels, n, out);
    return recalibrate(probabilities, labels, n, out);
}

void mien_analysis_release(mien_analysis *a) {
    for (int k = 0; a->curves && k < a->classes; k++)
        mien_class_curves_release(&a->curves[k]);
    mien_free(a->curves);
    mien_free(a->precision);
    mien_free(a->recall);
    mien_free(a->f1);
    *a = (mien_analysis){0};
}

static void put_interval(mien_json *json, const char *key, mien_interval interval) {
    mien_json_open(json, key, '[');
    mien_json_number(json, NULL, interval.low);
    mien_json_number(json, NULL, interval.high);
    mien_json_close(json, ']');
}

void mien_analysis_json(const mien_analysis *a, const char (*names)[64], mien_json *json) {
    mien_json_open(json, "intervals", '{');
    put_interval(json, "accuracy", a->accuracy);
    put_interval(json, "balanced_accuracy", a->balanced_accuracy);
    put_interval(json, "macro_f1", a->macro_f1);
    put_interval(json, "loss", a->loss);
    mien_json_open(json, "classes", '[');
    for (int k = 0; k < a->classes; k++) {
        mien_json_open(json, NULL, '{');
        mien_json_string(json, "name", names[k]);
        put_interval(json, "precision", a->precision[k]);
        put_interval(json, "recall", a->recall[k]);
        put_interval(json, "f1", a->f1[k]);
        mien_json_close(json, '}');
    }
    mien_json_close(json, ']');
    mien_json_close(json, '}');
    mien_json_number(json, "temperature", a->temperature);
    mien_json_number(json, "ece_after", a->ece_after);
    mien_json_number(json, "loss_after", a->loss_after);
}
