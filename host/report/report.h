/* The report of `mien evaluate --report`: one self-contained HTML file for readers without a
 * background in machine learning, and the same numbers as JSON. */
#ifndef HOST_REPORT_REPORT_H
#define HOST_REPORT_REPORT_H

#include "host/eval/document.h"

typedef struct mien_report {
    const mien_metrics *metrics;
    const char (*names)[64]; /* [metrics->classes], untrusted: they are escaped */
    const mien_report_head *head;
} mien_report;

/* Creates `folder` if it is missing and writes report.html and report.json. The learning curves
 * come from log.csv next to the model; if it cannot be read, the page says so instead. */
mien_status mien_report_write(const mien_report *report, const char *folder);

#endif
