/* Judging a classifier over a whole split, never batch by batch. */
#ifndef HOST_EVAL_METRICS_H
#define HOST_EVAL_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/json.h"

typedef struct mien_class_metrics {
    size_t support;
    double precision, recall, f1, roc_auc, average_precision; /* NaN where undefined */
} mien_class_metrics;

typedef struct mien_metrics {
    int classes;
    size_t n, correct;
    double loss, accuracy, top2, balanced_accuracy, ece;
    double macro_precision, macro_recall, macro_f1;
    double weighted_precision, weighted_recall, weighted_f1;
    mien_class_metrics *by_class;
    size_t *confusion; /* [true][predicted] */
} mien_metrics;

/* From probabilities [n][classes] and labels [n]. Precision of a class that was never predicted and
 * recall of one that has no sample are undefined (NaN). Macro means go over the classes that are
 * present or predicted and count what is undefined as 0, as scikit-learn does. DIVERGED when a
 * probability is not finite. Release it also after a failure. */
mien_status mien_metrics_compute(const float *probabilities, const uint16_t *labels, size_t n,
                                 int classes, mien_metrics *out);
void mien_metrics_release(mien_metrics *metrics);
/* The members from "n" to "confusion" of metrics.json. */
void mien_metrics_json(const mien_metrics *metrics, const char (*names)[64], mien_json *json);
/* A table for people, with the confusion matrix. */
void mien_metrics_table(const mien_metrics *metrics, const char (*names)[64], mien_text *out);

#endif
