/* Several models on the same samples: their evaluations, and whether the difference is chance. */
#ifndef HOST_EVAL_COMPARE_H
#define HOST_EVAL_COMPARE_H

#include "host/eval/analysis.h"
#include "host/eval/evaluate.h"

enum { MIEN_CONTESTANTS_MAX = 16 };

typedef struct mien_comparison {
    int count; /* of contestants: the models, then their average if it was asked for */
    bool average;
    mien_evaluation *evaluations; /* [count] of the same samples in the same order */
    mien_analysis *analyses;      /* [count] */
    uint8_t *right;               /* [count][n] 1 where the answer is the label */
    /* for the samples of evaluations[0]: its class k is class_of[i][k] of contestant i */
    int *class_of; /* [count][classes] */
    size_t n;
    int classes;
} mien_comparison;

/* Evaluates each of the request's models alone, and with `average` all of them together. INVALID
 * if they do not answer the same classes on the same samples. Release `out` also after a failure.
 */
mien_status mien_compare(const mien_evaluate_request *request, bool average, mien_backend *backend,
                         mien_comparison *out);
void mien_comparison_release(mien_comparison *comparison);

/* McNemar's test of contestants a and b. */
mien_mcnemar mien_comparison_test(const mien_comparison *comparison, int a, int b);
void mien_comparison_table(const mien_comparison *comparison, mien_text *out);
void mien_comparison_document(const mien_comparison *comparison, mien_text *out);

#endif
