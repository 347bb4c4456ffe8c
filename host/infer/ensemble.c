#include "host/infer/ensemble.h"

#include <string.h>

#include "host/base/memory.h"

/* All models see the same crop, and one list of classes is printed. */
static mien_status check_fits(const mien_model *a, const char *name, const mien_model *b,
                              const char *other) {
    const mien_meta *p = &a->meta, *q = &b->meta;
    if (p->classes != q->classes)
        return MIEN_FAIL(
            INVALID, "'%s' has %d classes, but '%s' has %d: their probabilities cannot be averaged",
            name, p->classes, other, q->classes);
    for (int k = 0; k < p->classes; k++)
        if (strcmp(p->class_names[k], q->class_names[k]) != 0)
            return MIEN_FAIL(INVALID,
                             "class %d is '%s' in '%s' but '%s' in '%s': models of an ensemble "
                             "need the same classes",
                             k, p->class_names[k], name, q->class_names[k], other);
    if (memcmp(&p->input, &q->input, sizeof p->input) != 0 || p->crop.square != q->crop.square ||
        p->crop.margin != q->crop.margin)
        return MIEN_FAIL(INVALID,
                         "'%s' and '%s' differ in input size or face crop: they cannot be averaged",
                         name, other);
    return MIEN_OK;
}

mien_status mien_ensemble_open(const char *const *paths, int count, mien_backend *backend,
                               int batch, mien_ensemble *out) {
    *out = (mien_ensemble){0};
    MIEN_TRY(mien_new(&out->models, (size_t)count, sizeof *out->models));
    MIEN_TRY(mien_new(&out->predictors, (size_t)count, sizeof(mien_predictor *)));
    for (int i = 0; i < count; i++) {
        out->count = i + 1;
        MIEN_TRY(mien_model_open(paths[i], &out->models[i]));
        MIEN_TRY(check_fits(&out->models[0], paths[0], &out->models[i], paths[i]));
        MIEN_TRY(mien_predictor_create(&out->models[i], backend, batch, &out->predictors[i]));
    }
    return MIEN_OK;
}

void mien_ensemble_release(mien_ensemble *ensemble) {
    for (int i = 0; i < ensemble->count; i++) {
        mien_predictor_free(ensemble->predictors[i]);
        mien_model_release(&ensemble->models[i]);
    }
    mien_free(ensemble->models);
    mien_free(ensemble->predictors);
    *ensemble = (mien_ensemble){0};
}

mien_status mien_ensemble_run(mien_ensemble *ensemble, const uint8_t *images, int n,
                              float *probabilities) {
    const size_t numbers = (size_t)n * (size_t)ensemble->models[0].meta.classes;
    float *own;
    MIEN_TRY(mien_predictor_run(ensemble->predictors[0], images, n, probabilities));
    if (ensemble->count == 1) return MIEN_OK;
    MIEN_TRY(mien_new(&own, numbers, sizeof *own));
    mien_status status = MIEN_OK;
    for (int i = 1; i < ensemble->count && status == MIEN_OK; i++) {
        status = mien_predictor_run(ensemble->predictors[i], images, n, own);
        for (size_t k = 0; k < numbers; k++)
            probabilities[k] += own[k];
    }
    for (size_t k = 0; k < numbers; k++)
        probabilities[k] /= (float)ensemble->count;
    mien_free(own);
    return status;
}
