/* metrics.json: what an evaluation found, as JSON. */
#ifndef HOST_EVAL_DOCUMENT_H
#define HOST_EVAL_DOCUMENT_H

#include "host/eval/metrics.h"
#include "host/eval/subgroups.h"

/* What the document says beside the metrics. */
typedef struct mien_report_head {
    const char *model; /* several: joined by " + ", their probabilities averaged */
    int models;        /* how many they are; 0 as 1 */
    const char *data, *split;
    const char *views;  /* of each image, averaged: "none", "flip" …; NULL as "none" */
    const char *labels; /* where they are from, NULL: the data's own */
    const char *sha256; /* of the split */
    const char *const *warnings;
    size_t warning_count;
    double seconds;
    const mien_subgroups *groups; /* NULL: none */
} mien_report_head;

/* Appends the JSON contract of `mien evaluate`, which metrics.json of a run follows, too. `names`
 * are [metrics->classes]. */
void mien_metrics_document(const mien_metrics *metrics, const char (*names)[64],
                           const mien_report_head *head, bool pretty, mien_text *out);

#endif
