/* Evaluating models over a part of a data set: probabilities averaged over the models, metrics of
 * all and of subgroups. The commands, and whatever else evaluates, stand on mien_evaluate. */
#ifndef HOST_EVAL_EVALUATE_H
#define HOST_EVAL_EVALUATE_H

#include "host/data/groups.h"
#include "host/eval/document.h"
#include "host/formats/model.h"
#include "host/infer/score.h"

enum { MIEN_EVALUATE_BATCH = 128, MIEN_EVALUATION_WARNINGS = 4 };

/* All pointers are borrowed and must outlive the evaluation. */
typedef struct mien_evaluate_request {
    const char *const *models; /* [model_count] files or run directories, at least one */
    int model_count;
    const char *data;      /* as mien_dataset_load_all takes it; NULL: what the first model was
                              trained on */
    const mien_part *part; /* MIEN_NO_PART: all; NULL: test if the data have one, else val, else
                              all */
    mien_tta tta;
    int batch; /* images at a time; 0: MIEN_EVALUATE_BATCH */
    mien_on_bad on_bad;
    mien_memory memory;
    const char *soft_labels; /* a file of votes, or "none"; NULL: the file that the first model was
                                trained with, beside the data */
    const char *groups;      /* a CSV file of groups (host/data/groups.h), or NULL */
    const volatile int
        *stop; /* looked at between batches: set, it ends with INTERRUPTED. Or NULL */
} mien_evaluate_request;

/* What came out; owned, mien_evaluation_release. The samples are those of the part, in the data's
 * order. */
typedef struct mien_evaluation {
    mien_evaluate_request request;
    mien_model model;                 /* the one at work; empty after mien_evaluation_run */
    mien_dataset data;                /* with the classes of the first model */
    mien_part part;                   /* MIEN_NO_PART: all */
    char votes[MIEN_PATH];            /* the file that the labels are from, empty: the data's own */
    char labels_from[MIEN_PATH + 64]; /* the same for people, empty as well */
    char sha256[65];                  /* of the part */
    size_t n;
    uint16_t *labels;     /* [n] */
    uint32_t *samples;    /* [n] indices into the data */
    float *probabilities; /* [n][data.classes], mean over the models */
    mien_groups groups;
    mien_metrics metrics;
    mien_subgroups subgroups;                       /* without groups: no table */
    mien_text models;                               /* their names, joined by " + " */
    const char *warnings[MIEN_EVALUATION_WARNINGS]; /* were logged as well */
    size_t warning_count;
    double seconds; /* of the networks at work, without reading the data */
} mien_evaluation;

/* Both steps below, one after the other. Release `out` also after a failure. INVALID: models and
 * data do not fit together, no labels, an empty part; NOT_FOUND: a file is not there; DIVERGED: a
 * probability is not finite; INTERRUPTED; else what reading and the backend fail with. */
mien_status mien_evaluate(const mien_evaluate_request *request, mien_backend *backend,
                          mien_evaluation *out);
/* Reads the first model, data, votes and groups and chooses the part. What will be read is then
 * known (out->data.source, out->votes), so that a caller can look at where results go before the
 * work. */
mien_status mien_evaluation_open(const mien_evaluate_request *request, mien_evaluation *out);
/* Scores the part with each model and computes the metrics; once for an open evaluation. */
mien_status mien_evaluation_run(mien_evaluation *evaluation, mien_backend *backend);
void mien_evaluation_release(mien_evaluation *evaluation);

/* Of an evaluation that ran. What they append may have failed: ask out->status. */
/* What a document or a report says beside the metrics; it points into the evaluation. */
mien_report_head mien_evaluation_head(const mien_evaluation *evaluation);
/* JSON, as metrics.json. */
void mien_evaluation_document(const mien_evaluation *evaluation, bool pretty, mien_text *out);
/* For people. */
void mien_evaluation_table(const mien_evaluation *evaluation, mien_text *out);
/* CSV, one row a sample: its row or file, the true and the predicted class, all probabilities. */
void mien_evaluation_predictions(const mien_evaluation *evaluation, mien_text *out);

#endif
