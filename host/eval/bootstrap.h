/* Confidence intervals by resampling (percentile bootstrap, Efron and Tibshirani 1993). */
#ifndef HOST_EVAL_BOOTSTRAP_H
#define HOST_EVAL_BOOTSTRAP_H

#include "host/eval/analysis.h"

/* Sets every interval of `out`; precision, recall and f1 must be allocated. The rates follow from
 * resampled counts of the confusion matrix, which have the same distribution as those of resampled
 * rows. The loss is resampled by row; of more than 20,000 rows its mean is so nearly normal that
 * mean ± 1.96 standard errors stands for it. */
mien_status mien_bootstrap(const float *probabilities, const uint16_t *labels,
                           const mien_metrics *metrics, mien_analysis *out);
/* A draw from the binomial distribution, exact; `next` returns uniform numbers in (0, 1). */
size_t mien_draw_binomial(size_t n, double p, double (*next)(void *), void *context);

#endif
