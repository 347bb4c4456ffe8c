#include "host/infer/ensemble.h"

#include <string.h>

#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/infer/score.h"

#define CLASSES(meta) (const char(*)[MIEN_CLASS_NAME])(meta)->class_names

/* All models see the same crop, and one list of classes is printed. */
static mien_status check_fits(const mien_model *a, const char *name, const mien_model *b,
                              const char *other, int *index) {
    const mien_meta *p = &a->meta, *q = &b->meta;
    const mien_class_owner first = {name, CLASSES(p), p->classes};
    const mien_class_owner own = {other, CLASSES(q), q->classes};
    MIEN_TRY(mien_class_average(own, first, index));
    if (memcmp(&p->input, &q->input, sizeof p->input) != 0 || p->crop.square != q->crop.square ||
        p->crop.margin != q->crop.margin)
        return MIEN_FAIL(INVALID,
                         "'%s' and '%s' differ in input size or face crop: they cannot be averaged",
                         name, other);
    return MIEN_OK;
}

/* Numbers that are no probabilities have no common scale. */
static mien_status check_head(const mien_model *model, const char *name, int count) {
    MIEN_TRY(mien_model_complete(model, name));
    if (count == 1 || model->meta.head != MIEN_HEAD_VALUES) return MIEN_OK;
    return MIEN_FAIL(INVALID, "the outputs of '%s' are no probabilities: they cannot be averaged",
                     name);
}

mien_status mien_ensemble_open(const char *const *paths, int count, mien_backend *backend,
                               int batch, mien_ensemble *out) {
    return mien_ensemble_open_with(paths, count, NULL, backend, batch, out);
}

mien_status mien_ensemble_open_with(const char *const *paths, int count,
                                    const mien_model_options *options, mien_backend *backend,
                                    int batch, mien_ensemble *out) {
    *out = (mien_ensemble){0};
    MIEN_TRY(mien_new(&out->models, (size_t)count, sizeof *out->models));
    MIEN_TRY(mien_new(&out->predictors, (size_t)count, sizeof(mien_predictor *)));
    MIEN_TRY(mien_new(&out->checks, (size_t)count, sizeof(mien_input_check *)));
    for (int i = 0; i < count; i++) {
        out->count = i + 1;
        MIEN_TRY(mien_model_open_with(paths[i], options, &out->models[i]));
        MIEN_TRY(check_head(&out->models[i], paths[i], count));
        const size_t classes = (size_t)out->models[0].meta.classes;
        if (!out->answers) MIEN_TRY(mien_new(&out->answers, classes, sizeof *out->answers));
        if (!out->index) MIEN_TRY(mien_new(&out->index, (size_t)count * classes, sizeof(int)));
        for (size_t k = 0; k < classes; k++)
            out->index[(size_t)i * classes + k] = (int)k;
        if (count > 1)
            MIEN_TRY(check_fits(&out->models[0], paths[0], &out->models[i], paths[i],
                                out->index + (size_t)i * classes));
        MIEN_TRY(mien_input_check_create(&out->models[i], &out->checks[i]));
        MIEN_TRY(mien_predictor_create(&out->models[i], backend, batch, &out->predictors[i]));
    }
    return MIEN_OK;
}

mien_status mien_ensemble_drop(mien_ensemble *ensemble, const char *names) {
    const mien_meta *meta = &ensemble->models[0].meta;
    if (!mien_ensemble_classifies(ensemble))
        return MIEN_FAIL(INVALID, "--drop-classes needs a model of classes, but this one's outputs "
                                  "are numbers");
    MIEN_TRY(mien_new(&ensemble->dropped, (size_t)meta->classes, sizeof(bool)));
    return mien_score_choose_dropped(names, CLASSES(meta), meta->classes, true, ensemble->dropped);
}

void mien_ensemble_release(mien_ensemble *ensemble) {
    for (int i = 0; i < ensemble->count; i++) {
        mien_predictor_free(ensemble->predictors[i]);
        if (ensemble->checks) mien_input_check_free(ensemble->checks[i]);
        mien_model_release(&ensemble->models[i]);
    }
    mien_free(ensemble->models);
    mien_free(ensemble->predictors);
    mien_free(ensemble->checks);
    mien_free(ensemble->index);
    mien_free(ensemble->dropped);
    mien_free(ensemble->answers);
    *ensemble = (mien_ensemble){0};
}

/* Adds the other models' probabilities to those of the first, each to its class. */
static mien_status add_others(mien_ensemble *ensemble, const uint8_t *images, int n,
                              float *probabilities) {
    const size_t classes = (size_t)ensemble->models[0].meta.classes;
    float *own;
    mien_status status = MIEN_OK;
    MIEN_TRY(mien_new(&own, (size_t)n * classes, sizeof *own));
    for (int i = 1; i < ensemble->count && status == MIEN_OK; i++) {
        const int *index = ensemble->index + (size_t)i * classes;
        status = mien_predictor_run(ensemble->predictors[i], images, n, own);
        for (size_t row = 0; row < (size_t)n; row++)
            for (size_t k = 0; k < classes; k++)
                probabilities[row * classes + (size_t)index[k]] += own[row * classes + k];
    }
    for (size_t k = 0; k < (size_t)n * classes; k++)
        probabilities[k] /= (float)ensemble->count;
    mien_free(own);
    return status;
}

static void count_answers(mien_ensemble *ensemble, int n, const float *probabilities) {
    const int classes = ensemble->models[0].meta.classes;
    for (int i = 0; i < n; i++, probabilities += classes) {
        int best = 0;
        for (int k = 1; k < classes; k++)
            if (probabilities[k] > probabilities[best]) best = k;
        ensemble->answers[best]++;
    }
}

int mien_ensemble_one_answer(const mien_ensemble *ensemble, size_t *count, size_t *of) {
    const int classes = ensemble->models[0].meta.classes;
    int most = 0;
    *of = 0;
    for (int k = 0; k < classes; k++) {
        *of += ensemble->answers[k];
        if (ensemble->answers[k] > ensemble->answers[most]) most = k;
    }
    *count = ensemble->answers[most];
    if (!mien_ensemble_classifies(ensemble) || classes < 2) return -1;
    return *of >= 40 && 20 * *count >= 19 * *of ? most : -1;
}

int mien_ensemble_misfit(const mien_ensemble *ensemble, double *ratio) {
    for (int i = 0; i < ensemble->count; i++) {
        *ratio = mien_input_check_ratio(ensemble->checks[i]);
        if (*ratio != 1) return i;
    }
    return -1;
}

bool mien_ensemble_classifies(const mien_ensemble *ensemble) {
    return ensemble->models[0].meta.head != MIEN_HEAD_VALUES;
}

mien_status mien_ensemble_run(mien_ensemble *ensemble, const uint8_t *images, int n,
                              float *probabilities) {
    return mien_ensemble_outputs(ensemble, images, n, probabilities, NULL);
}

mien_status mien_ensemble_outputs(mien_ensemble *ensemble, const uint8_t *images, int n,
                                  float *probabilities, float *values) {
    MIEN_TRY(mien_predictor_outputs(ensemble->predictors[0], images, n, probabilities, values));
    if (ensemble->count > 1) MIEN_TRY(add_others(ensemble, images, n, probabilities));
    if (ensemble->dropped)
        mien_score_drop(ensemble->dropped, ensemble->models[0].meta.classes, (size_t)n,
                        probabilities);
    count_answers(ensemble, n, probabilities);
    for (int i = 0; i < ensemble->count; i++)
        mien_input_check_add(ensemble->checks[i], images, n);
    return MIEN_OK;
}
