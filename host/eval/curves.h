/* The ROC and precision-recall curves of one class against the rest. */
#ifndef HOST_EVAL_CURVES_H
#define HOST_EVAL_CURVES_H

#include "host/eval/analysis.h"

/* One point for each distinct score of class `k`, from the highest on, after (0, 0) for ROC and
 * (0, 1) for precision over recall; as scikit-learn's roc_curve (drop_intermediate=False) and
 * precision_recall_curve. More than MIEN_CURVE_POINTS are thinned. A curve is empty where its area
 * is undefined. Release `out` with mien_class_curves_release also after a failure. */
mien_status mien_class_curves_compute(const float *probabilities, const uint16_t *labels, size_t n,
                                      int classes, int k, mien_class_curves *out);
void mien_class_curves_release(mien_class_curves *curves);
/* Keeps at most `most` points (at least 2), among them both ends, so that the line through them
 * stays as close as possible to the old one. */
mien_status mien_points_thin(mien_points *points, size_t most);

#endif
