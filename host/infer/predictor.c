/* The public API's model and predictor. */
#include "include/mien/predictor.h"

#include "host/base/memory.h"
#include "host/formats/model.h"
#include "host/infer/score.h"

struct mien_predictor {
    const mien_model *model;
    mien_backend *backend;
    mien_plan *plan;
};

mien_status mien_model_load(const char *path, mien_model **out) {
    *out = NULL;
    mien_model *model;
    MIEN_TRY(mien_new(&model, 1, sizeof *model));
    const mien_status status = mien_model_open(path, model);
    if (status != MIEN_OK) {
        mien_model_free(model);
        return status;
    }
    *out = model;
    return MIEN_OK;
}

void mien_model_free(mien_model *model) {
    if (!model) return;
    mien_model_release(model);
    mien_free(model);
}

int mien_model_class_count(const mien_model *model) {
    return model->meta.classes;
}

const char *mien_model_class_name(const mien_model *model, int index) {
    return index >= 0 && index < model->meta.classes ? model->meta.class_names[index] : "";
}

mien_shape mien_model_input(const mien_model *model) {
    return model->graph.nodes[0].out;
}

mien_status mien_predictor_create(const mien_model *model, mien_backend *backend, int max_batch,
                                  mien_predictor **out) {
    mien_predictor *p;
    const mien_plan_options options = {.max_batch = max_batch, .quant = &model->quant};
    *out = NULL;
    MIEN_TRY(mien_new(&p, 1, sizeof *p));
    p->model = model;
    p->backend = backend;
    mien_status status = mien_plan_create(&model->graph, backend, &options, &p->plan);
    if (status == MIEN_OK) status = mien_plan_load(p->plan, &model->weights);
    if (status != MIEN_OK) {
        mien_predictor_free(p);
        return status;
    }
    *out = p;
    return MIEN_OK;
}

void mien_predictor_free(mien_predictor *predictor) {
    if (!predictor) return;
    mien_plan_free(predictor->plan);
    mien_free(predictor);
}

/* The images become a data set of one part; the loader scales as it does everywhere. */
mien_status mien_predictor_run(mien_predictor *p, const uint8_t *images, int n,
                               float *probabilities) {
    const mien_meta *meta = &p->model->meta;
    mien_loader loader = {0};
    uint8_t *part = NULL;
    uint16_t *labels = NULL;
    mien_status status;
    if (n < 1) return MIEN_FAIL(INVALID, "a prediction needs at least one image");
    MIEN_GO(mien_new(&part, (size_t)n, 1));
    MIEN_GO(mien_new(&labels, (size_t)n, sizeof *labels));
    const mien_dataset set = {.spec = meta->input,
                              .count = (size_t)n,
                              .pixels = (uint8_t *)images, /* only read */
                              .labels = labels,
                              .part = part,
                              .classes = meta->classes};
    MIEN_GO(mien_loader_create(&set, &meta->normalise, p->backend, n, 0, &loader));
    MIEN_GO(mien_score_prepare(p->plan, (size_t)n));
    MIEN_GO(mien_score_part(p->plan, &loader, MIEN_TRAIN, MIEN_VIEW_ONE, meta->temperature, NULL,
                            probabilities));
out:
    mien_loader_release(&loader);
    mien_free(part);
    mien_free(labels);
    return status;
}
