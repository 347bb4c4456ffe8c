/* The page that `mien evaluate --report` writes: one HTML file with everything in it, for people
 * who know nothing of machine learning, and the same numbers as JSON. */
#ifndef HOST_REPORT_REPORT_H
#define HOST_REPORT_REPORT_H

#include "host/eval/document.h"

typedef struct mien_report {
    const mien_metrics *metrics;
    const char (*names)[64]; /* [metrics->classes], of strangers: they are escaped */
    const mien_report_head *head;
} mien_report;

/* Creates `folder` where it is missing and writes report.html and report.json. The learning curves
 * come from log.csv beside the model; without one that can be read, a sentence stands there. */
mien_status mien_report_write(const mien_report *report, const char *folder);

#endif
