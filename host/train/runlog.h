/* The files of a run directory beside the models. */
#ifndef HOST_TRAIN_RUNLOG_H
#define HOST_TRAIN_RUNLOG_H

#include "host/graph/plan.h"
#include "host/train/subgroups.h"
#include "host/train/trainer.h"

/* config.yaml: every key as resolved. */
mien_status mien_runlog_config(const mien_train_request *request, const mien_plan *plan);
/* log.csv: Keras's CSVLogger columns and val_macro_f1; the header with epoch NULL. */
mien_status mien_runlog_epoch(const char *folder, const mien_epoch *epoch, mien_text *log);
/* run.json: what ran, where, how it went. `state`: running, finished, interrupted, failed. */
mien_status mien_runlog_run(const mien_train_request *request, const char *state,
                            const mien_train_result *result, const char *started);
/* metrics.json: the JSON contract of `evaluate`. */
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
void mien_metrics_document(const mien_metrics *metrics, const char (*names)[64],
                           const mien_report_head *head, bool pretty, mien_text *out);

#endif
