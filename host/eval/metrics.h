/* Classification metrics, computed over a whole split rather than averaged over batches. */
#ifndef HOST_EVAL_METRICS_H
#define HOST_EVAL_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/json.h"

enum { MIEN_BINS = 15 }; /* of the expected calibration error */

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

/* Computes all metrics from probabilities [n][classes] and labels [n]. The precision of a class
 * that was never predicted and the recall of one without samples are undefined (NaN). Macro means
 * cover the classes that are present or predicted and count undefined values as 0, as scikit-learn
 * does. DIVERGED if a probability is not finite; INVALID if n is 0. Release the metrics also after
 * a failure. */
mien_status mien_metrics_compute(const float *probabilities, const uint16_t *labels, size_t n,
                                 int classes, mien_metrics *out);
/* The bin of a confidence, of `bins` equal ones. */
int mien_confidence_bin(float confidence, int bins);
/* The cross-entropy of a row whose label has this probability. */
double mien_row_loss(float probability);
/* Sets every rate by class and the means over classes from counts by class: by_class[k].support,
 * hits[k], predicted[k]. */
void mien_metrics_rates(mien_metrics *metrics, const size_t *hits, const size_t *predicted);
/* The class of nearly all answers (19 of 20) where fewer than 4 of 5 samples have it: the model has
 * collapsed; -1 if it has not, or if n is below 20. */
int mien_metrics_collapsed(const mien_metrics *metrics);
#define MIEN_COLLAPSED_CURE                                                                        \
    "try a smaller optimizer.learning_rate, more epochs, or data.sampling=balanced"
/* The classes with the most samples, at most `most`, in their own order; returns how many. */
int mien_metrics_largest(const mien_metrics *metrics, int most, int *out);
void mien_metrics_release(mien_metrics *metrics);
/* The members from "n" to "confusion" of metrics.json. */
void mien_metrics_json(const mien_metrics *metrics, const char (*names)[64], mien_json *json);
/* A table for a terminal, with the confusion matrix. */
void mien_metrics_table(const mien_metrics *metrics, const char (*names)[64], mien_text *out);

#endif
