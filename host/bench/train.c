/* bench train: the training step of `mien train`, on resident images and with the default recipe.
 */
#include "host/base/memory.h"
#include "host/bench/modes.h"

/* Estimates a step's memory: every layer's output, and four values per parameter. If the device has
 * less, fail here with a message rather than be killed by the system. */
static mien_status check_memory(mien_backend *b, const mien_graph *graph, int batch) {
    double numbers = 4.0 * (double)mien_graph_sum(graph).params;
    for (int i = 0; i < graph->count; i++)
        numbers += (double)mien_shape_sample(graph->nodes[i].out) * batch;
    const double need = numbers * (double)mien_dtype_bytes(b->dtype);
    size_t left, all;
    b->ops->memory(b, &left, &all);
    const double have = (double)all;
    if (need <= have) return MIEN_OK;
    return MIEN_FAIL(NO_MEMORY,
                     "a step of %d images needs about %.0f GB, but this device has %.0f GB: use a "
                     "smaller --batch or --size",
                     batch, need / 1e9, have / 1e9);
}

mien_status bench_training_open(const mien_bench_request *request, bench_training *t) {
    *t = (bench_training){0};
    MIEN_TRY(mien_config_start(&t->config));
    MIEN_TRY(bench_model(request, &t->model));
    MIEN_TRY(check_memory(request->backend, &t->model.graph, request->batch));
    const mien_meta *meta = &t->model.meta;
    MIEN_TRY(bench_images(meta->input, meta->classes, request->batch, &t->set));
    MIEN_TRY(mien_loader_create(&t->set, &meta->normalise, request->backend, request->batch, 0,
                                &t->loader));
    mien_dataset_drop_pixels(&t->set);
    t->config.train.batch_size = request->batch;
    t->rule = mien_step_rule(&t->config, true);
    const mien_plan_options options = mien_step_options(&t->config, &t->rule, request->batch);
    MIEN_TRY(mien_plan_create(&t->model.graph, request->backend, &options, &t->plan));
    MIEN_TRY(mien_plan_load(t->plan, &t->model.weights));
    t->step = (mien_step){.plan = t->plan,
                          .loader = &t->loader,
                          .ranges = mien_step_ranges(&t->config, 1),
                          .label_smoothing = (float)t->config.loss.label_smoothing};
    const size_t steps = t->loader.count[MIEN_TRAIN] / (size_t)request->batch;
    MIEN_TRY(mien_new(&t->rates, steps, sizeof *t->rates));
    for (size_t i = 0; i < steps; i++)
        t->rates[i] = t->config.optimizer.learning_rate;
    return MIEN_OK;
}

void bench_training_close(bench_training *t) {
    mien_step_release(&t->step);
    mien_free(t->rates);
    mien_plan_free(t->plan);
    mien_loader_release(&t->loader);
    mien_dataset_release(&t->set);
    mien_model_release(&t->model);
    mien_config_release(&t->config);
}

mien_status bench_training_step(void *context) {
    bench_training *t = context;
    const size_t n = t->loader.count[MIEN_TRAIN], rows = (size_t)t->plan->max_batch;
    if (t->start == 0) {
        MIEN_TRY(mien_plan_epoch(t->plan, t->rates, n / rows));
        MIEN_TRY(mien_loader_order(&t->loader, MIEN_TRAIN, true, BENCH_SEED, ++t->epoch));
    }
    MIEN_TRY(mien_step_run(&t->step, t->start, (int)rows));
    t->start += rows;
    if (t->start >= n) t->start = 0;
    return MIEN_OK;
}

mien_status bench_training_wait(void *context) {
    const bench_training *t = context;
    return t->plan->ops->sync(t->plan->backend);
}

/* Steps skipped because of a non-finite gradient would make the result too good. */
static mien_status check_finite(const bench_training *t) {
    body_step state;
    MIEN_TRY(t->plan->ops->copy_out(t->plan->backend, &state, t->plan->step, sizeof state));
    if (!state.bad) return MIEN_OK;
    return MIEN_FAIL(DIVERGED, "the loss or a gradient is not finite: these weights cannot be "
                               "trained, so there is no result");
}

mien_status bench_train(const mien_bench_request *request, mien_bench_result *result) {
    bench_training t;
    mien_status status;
    MIEN_GO(bench_training_open(request, &t));
    result->images = request->batch;
    result->flops = mien_bench_plan_flops(t.plan);
    MIEN_GO(bench_measure(request, bench_training_step, bench_training_wait, &t, result));
    if (request->layers)
        MIEN_GO(
            bench_layers(request, t.plan, request->seconds / 4, bench_training_step, &t, result));
    status = check_finite(&t);
out:
    bench_training_close(&t);
    return status;
}
