/* bench augment: the gather kernel alone, from pixels to the network's input, with the default
 * augmentation and without. */
#include <string.h>

#include "host/base/memory.h"
#include "host/bench/modes.h"

typedef struct gathering {
    mien_model model; /* only its input is used */
    mien_config config;
    mien_dataset set;
    mien_loader loader;
    mien_tensor x;
    mien_batch batch;
    body_step *state; /* in backend memory */
    uint64_t step;
} gathering;

static mien_status gather(void *context) {
    gathering *g = context;
    mien_backend *b = g->loader.backend;
    MIEN_TRY(b->ops->copy_in(b, &g->state->step, &g->step,
                             sizeof g->step)); /* new random numbers each time */
    MIEN_TRY(mien_loader_batch(&g->loader, &g->batch, &g->x, NULL));
    MIEN_TRY(b->ops->sync(b));
    g->step++;
    g->batch.start += (size_t)g->batch.rows;
    if (g->batch.start >= g->loader.count[MIEN_TRAIN]) g->batch.start = 0;
    return MIEN_OK;
}

static mien_status open(const mien_bench_request *request, gathering *g) {
    mien_backend *b = request->backend;
    body_step state;
    *g = (gathering){0};
    MIEN_TRY(mien_config_start(&g->config));
    MIEN_TRY(bench_model(request, &g->model));
    const mien_image_spec s = g->model.meta.input;
    MIEN_TRY(bench_images(s, g->model.meta.classes, request->batch, &g->set));
    MIEN_TRY(
        mien_loader_create(&g->set, &g->model.meta.normalise, b, request->batch, 0, &g->loader));
    MIEN_TRY(mien_loader_order(&g->loader, MIEN_TRAIN, true, BENCH_SEED, 1));
    MIEN_TRY(b->ops->alloc(b, sizeof *g->state, (void **)&g->state));
    memset(&state, 0, sizeof state);
    body_step_start(&state, BENCH_SEED, 0, 0);
    MIEN_TRY(b->ops->copy_in(b, g->state, &state, sizeof state));
    g->x = (mien_tensor){{request->batch, s.height, s.width, s.channels}, b->dtype, 0, NULL};
    g->x.block = b->ops->channel_block(b, g->x.shape);
    MIEN_TRY(
        b->ops->alloc(b, mien_shape_count(g->x.shape) * mien_dtype_bytes(b->dtype), &g->x.data));
    g->batch = (mien_batch){.rows = request->batch,
                            .augment = true,
                            .ranges = mien_step_ranges(&g->config, 1),
                            .state = g->state};
    return MIEN_OK;
}

static void close(gathering *g, mien_backend *b) {
    if (g->x.data) b->ops->free(b, g->x.data);
    if (g->state) b->ops->free(b, g->state);
    mien_loader_release(&g->loader);
    mien_dataset_release(&g->set);
    mien_model_release(&g->model);
    mien_config_release(&g->config);
}

mien_status bench_augment(const mien_bench_request *request, mien_bench_result *result) {
    mien_clock clock = {.seconds = request->seconds / 2, .stop = request->stop};
    mien_samples samples = {0};
    gathering g;
    mien_status status;
    MIEN_GO(open(request, &g));
    result->images = request->batch;
    MIEN_GO(bench_measure(request, gather, NULL, &g, result));
    g.batch.augment = false;
    MIEN_GO(mien_measure(&clock, gather, &g, &samples));
    result->plain = mien_samples_statistics(&samples);
out:
    mien_samples_release(&samples);
    close(&g, request->backend);
    return status;
}
