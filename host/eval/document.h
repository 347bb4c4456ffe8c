/* The results of an evaluation as JSON (metrics.json). */
#ifndef HOST_EVAL_DOCUMENT_H
#define HOST_EVAL_DOCUMENT_H

#include "host/eval/analysis.h"
#include "host/eval/subgroups.h"

/* The fields of the document other than the metrics. */
typedef struct mien_report_head {
    const char *model; /* names of several models are joined by " + " */
    int models;        /* how many; 0 means 1 */
    const char *data, *split;
    const char *views;  /* TTA mode: "none", "flip" …; NULL means "none" */
    const char *labels; /* where the labels come from; NULL: the data */
    const char *sha256; /* of the split */
    const char *const *warnings;
    size_t warning_count;
    double seconds;
    const mien_subgroups *groups;  /* NULL: none */
    const mien_analysis *analysis; /* of the same rows; NULL: none */
} mien_report_head;

/* Appends the JSON that `mien evaluate` prints and training writes as metrics.json. `names` has
 * metrics->classes entries. */
void mien_metrics_document(const mien_metrics *metrics, const char (*names)[64],
                           const mien_report_head *head, bool pretty, mien_text *out);

#endif
