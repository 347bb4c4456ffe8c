/* The public API's model and predictor. */
#include "include/mien/predictor.h"

#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/formats/model.h"
#include "host/infer/ensemble.h"
#include "host/infer/score.h"

enum { SIZES = 8 }; /* batch sizes whose recorded work is kept for replay */

struct mien_predictor {
    const mien_model *model;
    mien_backend *backend;
    mien_plan *plan;
    mien_feed feed;          /* holds the images of one batch */
    mien_replay work[SIZES]; /* from pixels to logits, one per batch size */
};

mien_status mien_model_load(const char *path, mien_model **out) {
    char found[MIEN_PATH];
    *out = NULL;
    mien_model *model;
    if (!path) {
        MIEN_TRY(mien_model_default(found));
        path = found;
    }
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

static mien_status build(mien_predictor *p, int max_batch) {
    const mien_model *model = p->model;
    const mien_plan_options options = {
        .max_batch = max_batch, .quant = &model->quant, .sliced = true};
    MIEN_TRY(mien_plan_create(&model->graph, p->backend, &options, &p->plan));
    MIEN_TRY(mien_plan_load(p->plan, &model->weights));
    MIEN_TRY(mien_feed_create(p->backend, model->meta.input, &model->meta.normalise,
                              (size_t)max_batch, &p->feed));
    return mien_feed_make_order(&p->feed);
}

mien_status mien_predictor_create(const mien_model *model, mien_backend *backend, int max_batch,
                                  mien_predictor **out) {
    mien_predictor *p;
    *out = NULL;
    MIEN_TRY(mien_model_complete(model, model->graph.name));
    MIEN_TRY(mien_new(&p, 1, sizeof *p));
    p->model = model;
    p->backend = backend;
    const mien_thread_mode mode = mien_threads_enter(backend->team);
    const mien_status status = build(p, max_batch);
    mien_threads_leave(mode);
    if (status != MIEN_OK) {
        mien_predictor_free(p);
        return status;
    }
    *out = p;
    return MIEN_OK;
}

void mien_predictor_free(mien_predictor *predictor) {
    if (!predictor) return;
    for (int i = 0; i < SIZES; i++)
        mien_replay_release(&predictor->work[i], predictor->backend);
    mien_feed_release(&predictor->feed);
    mien_plan_free(predictor->plan);
    mien_free(predictor);
}

typedef struct inference {
    mien_predictor *predictor;
    int rows;
} inference;

static mien_status infer(void *context) {
    const inference *i = context;
    mien_plan *plan = i->predictor->plan;
    const mien_tensor x = mien_plan_input(plan, i->rows);
    MIEN_TRY(mien_feed_images(&i->predictor->feed, &x));
    return mien_plan_forward(plan, i->rows, false, 0);
}

static mien_status fill(void *context, int first, const mien_tensor *x) {
    const mien_predictor *p = context;
    return mien_feed_slice(&p->feed, first, x);
}

/* Writes the logits of the n images in the feed, on a device that replays what it has recorded. */
static mien_status run_recorded(mien_predictor *p, int n, float *out) {
    inference work = {p, mien_plan_rows(p->plan, n)};
    const mien_tensor logits = mien_plan_logits(p->plan, n);
    MIEN_TRY(mien_plan_prepare(p->plan, work.rows));
    mien_replay *replay = p->work; /* sizes that find no free entry share the last one */
    while (replay < p->work + SIZES - 1 && replay->rows && replay->rows != work.rows)
        replay++;
    if (replay->rows != work.rows) mien_replay_release(replay, p->backend);
    replay->rows = work.rows;
    MIEN_TRY(mien_replay_run(replay, p->backend, p->plan->version, infer, &work));
    return p->plan->ops->download(p->backend, out, &logits);
}

static mien_status run_batch(mien_predictor *p, const uint8_t *images, int n, float *out,
                             float *values) {
    MIEN_TRY(mien_feed_upload(&p->feed, images, (size_t)n));
    MIEN_TRY(p->plan->ops->capture ? run_recorded(p, n, out)
                                   : mien_plan_run(p->plan, n, fill, p, out));
    const int classes = p->plan->graph->classes;
    if (values) memcpy(values, out, sizeof *out * (size_t)n * (size_t)classes);
    if (!p->plan->graph->raw) mien_score_softmax(out, n, classes, p->model->meta.temperature);
    return MIEN_OK;
}

mien_status mien_predictor_run(mien_predictor *p, const uint8_t *images, int n,
                               float *probabilities) {
    return mien_predictor_outputs(p, images, n, probabilities, NULL);
}

mien_status mien_predictor_outputs(mien_predictor *p, const uint8_t *images, int n,
                                   float *probabilities, float *values) {
    const size_t image = mien_image_bytes(p->model->meta.input);
    const int most = p->plan->most, classes = p->plan->graph->classes;
    mien_status status = MIEN_OK;
    if (n < 1) return MIEN_FAIL(INVALID, "a prediction needs at least one image");
    const mien_thread_mode mode = mien_threads_enter(p->backend->team);
    for (int at = 0; at < n && status == MIEN_OK; at += most)
        status = run_batch(p, images + (size_t)at * image, n - at < most ? n - at : most,
                           probabilities + (size_t)at * (size_t)classes,
                           values ? values + (size_t)at * (size_t)classes : NULL);
    mien_threads_leave(mode);
    return status;
}
