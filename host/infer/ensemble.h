/* Ensembles: the mean of several models' probabilities. */
#ifndef HOST_INFER_ENSEMBLE_H
#define HOST_INFER_ENSEMBLE_H

#include "host/formats/model.h"
#include "include/mien/predictor.h"

typedef struct mien_ensemble {
    mien_model *models; /* [count]; all have the classes and input of the first */
    mien_predictor **predictors;
    int count;
} mien_ensemble;

/* Opens the models of `paths` for at most `batch` images at a time. INVALID if they differ in
 * classes (or their order), input size or face crop. `backend` must outlive the ensemble. Release
 * the ensemble also after a failure. */
mien_status mien_ensemble_open(const char *const *paths, int count, mien_backend *backend,
                               int batch, mien_ensemble *out);
void mien_ensemble_release(mien_ensemble *ensemble);
/* As mien_predictor_run: from pixels [n][h][w][c] to probabilities [n][classes]. */
mien_status mien_ensemble_run(mien_ensemble *ensemble, const uint8_t *images, int n,
                              float *probabilities);

#endif
