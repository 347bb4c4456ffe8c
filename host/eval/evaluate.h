/* Evaluates one or more models on a part of a data set: averages their probabilities and computes
 * metrics, overall and by subgroup. */
#ifndef HOST_EVAL_EVALUATE_H
#define HOST_EVAL_EVALUATE_H

#include "host/data/groups.h"
#include "host/eval/document.h"
#include "host/data/classes.h"
#include "host/formats/model.h"
#include "host/infer/score.h"

enum { MIEN_EVALUATE_BATCH = 128, MIEN_EVALUATION_WARNINGS = 4 };

/* All pointers are borrowed and must outlive the evaluation. */
typedef struct mien_evaluate_request {
    const char *const *models; /* [model_count] files or run directories, at least one */
    int model_count;
    const char *data;      /* for mien_dataset_load_all; NULL: the first model's training data */
    const mien_part *part; /* MIEN_NO_PART: all; NULL: the first of test, val and all in the data */
    mien_tta tta;
    int batch;                 /* batch size; 0: MIEN_EVALUATE_BATCH */
    const mien_on_bad *on_bad; /* NULL: for the training data as in training, else fail */
    mien_memory memory;
    const char *soft_labels;  /* a file of votes, or "none"; NULL: the file that the first model was
                                 trained with, searched next to the data */
    const char *votes_of_run; /* where the file was in training, if it is not there; or NULL */
    const char *drop_classes; /* classes to leave out, separated by commas; or NULL */
    mien_model_options options; /* for files of other programs */
    const char *groups;         /* a CSV file of groups (host/data/groups.h), or NULL */
    const volatile int *stop;   /* checked between batches: if set, returns INTERRUPTED; or NULL */
} mien_evaluate_request;

/* The results; release with mien_evaluation_release. Samples are those of the part, in the data's
 * order. */
typedef struct mien_evaluation {
    mien_evaluate_request request;
    mien_model model;      /* the model being evaluated; empty after mien_evaluation_run */
    mien_dataset data;     /* with the classes of the first model */
    mien_part part;        /* MIEN_NO_PART: all */
    char votes[MIEN_PATH]; /* file of votes that gave the labels; empty: the data */
    char labels_from[MIEN_PATH + 64]; /* the same as text for reports, or empty */
    char sha256[65];                  /* of the part */
    size_t n;
    bool *dropped; /* [classes] never answered; NULL: none */
    int *index;    /* [classes] of the model's classes among those of the data */
    char collapsed[MIEN_CLASS_NAME + 192];
    char left_out[MIEN_CLASS_LIST + 64];
    uint16_t *labels;     /* [n] */
    uint32_t *samples;    /* [n] indices into the data */
    float *probabilities; /* [n][data.classes], mean over the models */
    mien_groups groups;
    mien_metrics metrics;
    mien_subgroups subgroups;                       /* empty without groups */
    mien_text models;                               /* model names, joined by " + " */
    const char *warnings[MIEN_EVALUATION_WARNINGS]; /* also logged */
    size_t warning_count;
    double seconds; /* inference time, without reading the data */
} mien_evaluation;

/* mien_evaluation_open, then mien_evaluation_run. Release `out` also after a failure. INVALID:
 * models and data do not match, the data have no labels, or the part is empty; NOT_FOUND: a file is
 * missing; DIVERGED: a probability is not finite; INTERRUPTED; otherwise the error of a reader or
 * the backend. */
mien_status mien_evaluate(const mien_evaluate_request *request, mien_backend *backend,
                          mien_evaluation *out);
/* Reads the first model, data, votes and groups and chooses the part. Afterwards out->data.source
 * and out->votes name the input files, so that a caller can check that results will not overwrite
 * them. */
mien_status mien_evaluation_open(const mien_evaluate_request *request, mien_evaluation *out);
/* Runs each model on the part and computes the metrics. Call it once after mien_evaluation_open. */
mien_status mien_evaluation_run(mien_evaluation *evaluation, mien_backend *backend);
void mien_evaluation_release(mien_evaluation *evaluation);

/* The functions below need an evaluation that ran. Those that append text report failures in
 * out->status. */

/* What the models answer for sample `at` of the part. */
typedef struct mien_answer {
    int class;
    float confidence;
} mien_answer;
mien_answer mien_evaluation_answer(const mien_evaluation *evaluation, size_t at);
/* The fields of a document or report other than the metrics; points into the evaluation. */
mien_report_head mien_evaluation_head(const mien_evaluation *evaluation);
/* The results as JSON, like metrics.json. */
void mien_evaluation_document(const mien_evaluation *evaluation, bool pretty, mien_text *out);
/* The results as a table for a terminal. */
void mien_evaluation_table(const mien_evaluation *evaluation, mien_text *out);
/* CSV with one row per sample: its row (and file), label, prediction and all probabilities; as
 * mien_scores_read reads it. */
void mien_evaluation_predictions(const mien_evaluation *evaluation, mien_text *out);

#endif
