/* Evaluating models on a data set.
 *
 *     char *json;
 *     const char *models[] = {"best.h5"};
 *     mien_evaluation_json(models, 1, backend, NULL, &json);
 *     mien_string_free(json);
 *
 * Several threads may evaluate at once, on backends of their own. */
#ifndef MIEN_EVALUATION_H
#define MIEN_EVALUATION_H

#include "backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The flags of `mien evaluate` of the same names; NULL or 0: the default. */
typedef struct mien_evaluation_settings {
    const char *data;         /* NULL: the first model's training data */
    const char *split;        /* "train", "val", "test", "all"; NULL: test, else val, else all */
    const char *tta;          /* "none", "flip", "tencrop" */
    const char *groups;       /* a CSV file of subgroups */
    const char *drop_classes; /* "A,B" */
    const char *soft_labels;  /* a file of votes, or "none" */
    int batch;
} mien_evaluation_settings;

/* What `mien evaluate --json` prints. Several models: the mean of their probabilities. `settings`
 * may be NULL. Free *json with mien_string_free. */
mien_status mien_evaluation_json(const char *const *models, int model_count, mien_backend *backend,
                                 const mien_evaluation_settings *settings, char **json);

/* Frees a string that the library returned in an `out` parameter; NULL is allowed. */
void mien_string_free(char *string);

#ifdef __cplusplus
}
#endif
#endif
