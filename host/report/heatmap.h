/* The confusion matrix as a heat map. */
#ifndef HOST_REPORT_HEATMAP_H
#define HOST_REPORT_HEATMAP_H

#include "host/eval/metrics.h"
#include "host/report/svg.h"

enum { MIEN_MATRIX_MAX = 60 /* classes; a larger matrix is unreadable */ };

/* Each cell is coloured by its share of the row and shows count and percent, where they fit.
 * `names`: [metrics->classes], untrusted. At most MIEN_MATRIX_MAX classes. */
void mien_heatmap_svg(const mien_metrics *metrics, const char (*names)[64], mien_svg_kind kind,
                      mien_text *out);

#endif
