/* What a report shows beyond the metrics: confidence intervals, curves, calibration, and a test
 * that compares two models. */
#ifndef HOST_EVAL_ANALYSIS_H
#define HOST_EVAL_ANALYSIS_H

#include "host/eval/metrics.h"

typedef struct mien_interval {
    double low, high; /* 95 %, NaN where undefined */
} mien_interval;

typedef struct mien_points {
    double *x, *y;
    size_t count;
} mien_points;

typedef struct mien_class_curves {
    mien_points roc; /* x: false positive rate, y: true positive rate */
    mien_points pr;  /* x: recall, y: precision */
    /* areas are mien_class_metrics.roc_auc and .average_precision */
} mien_class_curves;

/* The bootstrap's interval of the accuracy of fewer rows would be too narrow, at 0 or 100 % even
 * empty: it is Wilson's. */
enum { MIEN_BOOTSTRAP_LEAST = 100 };
enum { MIEN_HISTOGRAM = 20, MIEN_RESAMPLES = 1000, MIEN_CURVE_POINTS = 400 };

typedef struct mien_bin {
    size_t n;
    double confidence, accuracy; /* means; NaN if empty */
} mien_bin;

typedef struct mien_analysis {
    int classes;
    mien_interval accuracy, balanced_accuracy, macro_f1, loss; /* percentile bootstrap */
    mien_interval *precision, *recall, *f1;                    /* [classes] */
    mien_class_curves *curves; /* [classes]; at most MIEN_CURVE_POINTS points; none: undefined */
    mien_bin bins[MIEN_BINS];  /* by top confidence, as ECE uses */
    double temperature, ece_after, loss_after; /* temperature fitted on these rows: what
                                                  recalibration would give */
    /* rows by top confidence, in equal bins */
    size_t right_histogram[MIEN_HISTOGRAM], wrong_histogram[MIEN_HISTOGRAM];
} mien_analysis;

/* `metrics` are those of the same rows. The intervals come from MIEN_RESAMPLES resamplings with a
 * fixed seed: the same rows give the same numbers. Release `out` also after a failure. */
mien_status mien_analysis_compute(const float *probabilities, const uint16_t *labels, size_t n,
                                  int classes, const mien_metrics *metrics, mien_analysis *out);
void mien_analysis_release(mien_analysis *analysis);
/* The members "intervals", "temperature", "ece_after" and "loss_after" of metrics.json. */
void mien_analysis_json(const mien_analysis *analysis, const char (*names)[64], mien_json *json);

typedef struct mien_mcnemar {
    size_t only_a, only_b; /* rows that only one of them has right */
    double p;              /* two-sided */
} mien_mcnemar;

/* Do two models that answered the same n rows differ in accuracy? Exact (binomial) below 25 rows
 * that only one has right, else chi-squared with continuity correction. */
mien_mcnemar mien_mcnemar_test(const uint8_t *a_right, const uint8_t *b_right, size_t n);

#endif
