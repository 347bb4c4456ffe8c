/* The charts of a report, as inline SVG. Colours are CSS variables of the page, so that they follow
 * its light or dark mode. */
#ifndef HOST_REPORT_SVG_H
#define HOST_REPORT_SVG_H

#include "host/base/text.h"
#include "host/eval/metrics.h"

enum { MIEN_EPOCHS_MAX = 100000 };

/* One metric over the epochs; NaN where it was not measured. */
typedef struct mien_curve {
    double *train, *val; /* [count] */
    size_t count;
} mien_curve;

/* Appends text with the HTML characters & < > " ' escaped and control characters replaced by '?'.
 */
void mien_html_escape(mien_text *out, const char *text);
/* A line chart of training and validation, with axes and legend. */
void mien_svg_curve(mien_text *out, const char *title, const mien_curve *curve);
/* The confusion matrix, coloured by share of the row; at most 60 classes. */
void mien_svg_confusion(mien_text *out, const mien_metrics *metrics, const char (*names)[64]);

#endif
