/* Ensembles: the mean of several models' probabilities. */
#ifndef HOST_INFER_ENSEMBLE_H
#define HOST_INFER_ENSEMBLE_H

#include "host/formats/model.h"
#include "host/infer/input_check.h"
#include "include/mien/predictor.h"

typedef struct mien_ensemble {
    mien_model *models; /* [count]; all have the classes and input of the first */
    mien_predictor **predictors;
    int count;
    int *index;      /* [count][classes] of each model's class among those of the first model */
    size_t *answers; /* [classes] how often each was the answer so far */
    mien_input_check **checks; /* [count]; NULL entries: not checked */
    bool *dropped;             /* [classes] never answered; NULL: none */
} mien_ensemble;

/* Opens the models of `paths` for at most `batch` images at a time. INVALID if they differ in
 * classes (their order may differ), input size or face crop. `backend` must outlive the ensemble.
 * Release the ensemble also after a failure. */
mien_status mien_ensemble_open(const char *const *paths, int count, mien_backend *backend,
                               int batch, mien_ensemble *out);
/* The same with what the caller knows of files of other programs. */
mien_status mien_ensemble_open_with(const char *const *paths, int count,
                                    const mien_model_options *options, mien_backend *backend,
                                    int batch, mien_ensemble *out);
/* Never answers these classes, separated by commas: the probabilities of the others sum to 1.
 * INVALID for a name that the models do not have, and if fewer than two classes are left. */
mien_status mien_ensemble_drop(mien_ensemble *ensemble, const char *names);
/* The class of nearly all answers (19 of 20) to at least 40 images, a sign of a collapsed model;
 * -1: none. Its share of the answers goes to *count of *of. */
int mien_ensemble_one_answer(const mien_ensemble *ensemble, size_t *count, size_t *of);
/* The first model whose pixels so far look nothing like those that it was trained on, -1: none;
 * *ratio is that of mien_input_check_ratio. */
int mien_ensemble_misfit(const mien_ensemble *ensemble, double *ratio);
void mien_ensemble_release(mien_ensemble *ensemble);
/* As mien_predictor_run: from pixels [n][h][w][c] to probabilities [n][classes]. */
mien_status mien_ensemble_run(mien_ensemble *ensemble, const uint8_t *images, int n,
                              float *probabilities);
/* Do the models give probabilities of classes? The others give numbers. */
bool mien_ensemble_classifies(const mien_ensemble *ensemble);
/* The same for a single model, with the network's own outputs before the softmax, [n][classes];
 * `values` may be NULL. */
mien_status mien_ensemble_outputs(mien_ensemble *ensemble, const uint8_t *images, int n,
                                  float *probabilities, float *values);
mien_status mien_predictor_outputs(mien_predictor *predictor, const uint8_t *images, int n,
                                   float *probabilities, float *values);

#endif
