/* Reads predictions that this or another program wrote as CSV. */
#ifndef HOST_EVAL_SCORES_FILE_H
#define HOST_EVAL_SCORES_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/data/dataset.h"

typedef struct mien_scores {
    int classes;
    char (*names)[MIEN_CLASS_NAME]; /* [classes] */
    size_t n;
    uint16_t *labels;     /* [n] */
    float *probabilities; /* [n][classes] */
    bool has_scores;      /* false: only `prediction`, whose class has probability 1 */
    char **ids;           /* [n] texts of the column `file`, else `row`; NULL: neither */
    char *id_text;        /* what the ids point into */
} mien_scores;

/* Columns, in any order: `label` (a class's name or index), one column per class with its
 * probability, optionally `prediction`, and `file` or `row`. Without columns of classes
 * `prediction` alone counts. FORMAT, with the row: a damaged file, an unknown label, a score that
 * is not finite, rows that do not sum to 1. Release `out` also after a failure. */
mien_status mien_scores_read(const char *path, mien_scores *out);
void mien_scores_release(mien_scores *scores);

#endif
