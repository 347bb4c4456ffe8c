/* bench infer: inference through the public predictor, from pixels to probabilities. */
#include <string.h>

#include "host/base/memory.h"
#include "host/bench/modes.h"
#include "host/infer/score.h"
#include "include/mien/predictor.h"

typedef struct inference {
    mien_model model;
    mien_dataset set;
    mien_predictor *predictor;
    mien_loader loader; /* for the times by layer */
    mien_plan *plan;
    float *probabilities;
    size_t start, image;
    int batch;
} inference;

/* Predicts the next batch of the set. */
static mien_status predict(void *context) {
    inference *f = context;
    const uint8_t *images = f->set.pixels + f->start * f->image;
    f->start += (size_t)f->batch;
    if (f->start >= f->set.count) f->start = 0;
    return mien_predictor_run(f->predictor, images, f->batch, f->probabilities);
}

static mien_status score(void *context) {
    inference *f = context;
    return mien_score_part(f->plan, &f->loader, MIEN_TRAIN, MIEN_VIEW_ONE,
                           f->model.meta.temperature, NULL, f->probabilities);
}

static mien_status open(const mien_bench_request *request, inference *f) {
    const int n = request->batch;
    *f = (inference){.batch = n};
    MIEN_TRY(bench_model(request, &f->model));
    const mien_meta *meta = &f->model.meta;
    const mien_image_spec s = meta->input;
    f->image = (size_t)s.height * (size_t)s.width * (size_t)s.channels;
    MIEN_TRY(bench_images(s, meta->classes, n, &f->set));
    MIEN_TRY(mien_new(&f->probabilities, (size_t)n * (size_t)meta->classes, sizeof(float)));
    return mien_predictor_create(&f->model, request->backend, n, &f->predictor);
}

/* The predictor's plan is private, so the layers are timed in a plan with the same options. */
static mien_status open_layers(const mien_bench_request *request, inference *f) {
    const mien_plan_options options = {.max_batch = f->batch, .quant = &f->model.quant};
    f->set.count = (size_t)f->batch;
    MIEN_TRY(mien_loader_create(&f->set, &f->model.meta.normalise, request->backend, request->batch,
                                0, &f->loader));
    MIEN_TRY(mien_plan_create(&f->model.graph, request->backend, &options, &f->plan));
    MIEN_TRY(mien_plan_load(f->plan, &f->model.weights));
    return mien_score_prepare(f->plan, f->set.count);
}

/* Model and machine determine the number type; fails if --dtype requires another one. */
static mien_status check_dtype(const mien_bench_request *request, const inference *f,
                               mien_bench_result *result) {
    const mien_int8_ops *ops = request->backend->ops->int8;
    const bool int8 = f->model.quant.nodes && ops && ops->available(request->backend);
    const char *wanted = request->dtype;
    if (int8) result->dtype = "int8";
    if (!wanted || strcmp(wanted, "auto") == 0 || strcmp(wanted, result->dtype) == 0)
        return MIEN_OK;
    return MIEN_FAIL(UNSUPPORTED, "--dtype %s is not supported on %s; this model computes in %s",
                     wanted, mien_backend_description(request->backend), result->dtype);
}

static void close(inference *f) {
    mien_plan_free(f->plan);
    mien_loader_release(&f->loader);
    mien_predictor_free(f->predictor);
    mien_free(f->probabilities);
    mien_dataset_release(&f->set);
    mien_model_release(&f->model);
}

mien_status bench_infer(const mien_bench_request *request, mien_bench_result *result) {
    inference f;
    mien_status status;
    MIEN_GO(open(request, &f));
    MIEN_GO(check_dtype(request, &f, result));
    result->images = request->batch;
    result->flops = mien_graph_sum(&f.model.graph).flops;
    MIEN_GO(bench_measure(request, predict, NULL, &f, result));
    if (!request->layers) goto out;
    MIEN_GO(open_layers(request, &f));
    status = bench_layers(request, f.plan, request->seconds / 4, score, &f, result);
out:
    close(&f);
    return status;
}
