/* The report of an evaluation in a folder: report.html, one self-contained page for people, and the
 * same numbers for programs and slides: metrics.json, per_class.csv, confusion.csv, figures/. */
#ifndef HOST_REPORT_REPORT_H
#define HOST_REPORT_REPORT_H

#include "host/eval/analysis.h"
#include "host/eval/document.h"
#include "host/report/log.h"
#include "host/report/svg.h"

/* What the page shows. Names come from files of strangers: all of them are escaped. */
typedef struct mien_report {
    const mien_metrics *metrics;
    const mien_analysis *analysis; /* NULL: there are only predicted classes, no probabilities */
    const char (*names)[64];       /* [metrics->classes] */
    const mien_report_head *head;
    const mien_learning *curves; /* of the training; NULL: unknown */
    const char *no_curves;       /* why there are none; NULL: nothing to say */
    const mien_text *gallery;    /* gallery.h; NULL: none */
    const mien_text *card;       /* card.h; NULL: none */
} mien_report;

/* Creates `folder` if it is missing and writes all files. Where librsvg is not installed, the PNG
 * figures are left out and a warning says so. */
mien_status mien_report_write(const mien_report *report, const char *folder);

/* sections.c: the page. */
void mien_report_page(const mien_report *report, mien_text *out);

#endif
