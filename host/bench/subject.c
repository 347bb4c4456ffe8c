/* The subject of a benchmark: a model and its images; and the timing shared by the modes. */
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/bench/peak.h"
#include "host/bench/modes.h"
#include "host/formats/format.h"
#include "host/train/setup.h"
#include "kernels/body/rng.h"

static const size_t most_images = 4096, most_bytes = 64u << 20;

/* Does `name` mean a network (bare name or .yaml), rather than a model with weights? */
static bool is_network(const char *name, char *path) {
    if (mien_path_ends(name, ".yaml")) return mien_network_find(name, path) == MIEN_OK;
    if (strchr(name, '/') || strchr(name, '.')) return false;
    return mien_network_find(name, path) == MIEN_OK || !mien_file_exists(name);
}

static mien_status random_network(const mien_bench_request *request, const char *name,
                                  mien_model *model) {
    char path[MIEN_PATH];
    const int side = request->size ? request->size : 48;
    const mien_graph_io io = {side, side, 1, BENCH_CLASSES};
    if (mien_network_find(name, path) != MIEN_OK) {
        char known[128];
        mien_model_suffixes(0, known, sizeof known);
        return MIEN_FAIL(NOT_FOUND,
                         "there is no network '%s': give the name of one in configs/models, a "
                         ".yaml file, a model file (%s) or a run directory",
                         name, known);
    }
    MIEN_TRY(mien_graph_read(path, io, &model->graph));
    model->meta.input = (mien_image_spec){side, side, 1};
    model->meta.classes = model->graph.classes;
    model->meta.temperature = 1;
    model->meta.normalise = (mien_normalise){1 / 255.0, {0.5}, {0.25}};
    return mien_weights_create(&model->graph, BENCH_SEED, &model->weights);
}

mien_status bench_model(const mien_bench_request *request, mien_model *model) {
    char path[MIEN_PATH];
    const char *name = request->model ? request->model : "classic";
    *model = (mien_model){0};
    if (is_network(name, path)) return random_network(request, name, model);
    if (request->size)
        return MIEN_FAIL(INVALID,
                         "'%s' has weights, which fix its input size: use --size only with "
                         "networks such as classic",
                         name);
    MIEN_TRY(mien_model_open_with(name, &request->options, model));
    model->meta.unknown = 0; /* speed does not depend on what a file does not say */
    return MIEN_OK;
}

static void fill(mien_dataset *set, size_t image) {
    const size_t bytes = set->count * image;
    for (size_t at = 0; at < bytes; at += sizeof(rng_block)) {
        const rng_block random = rng_at(BENCH_SEED, RNG_SAMPLE, 0, at / sizeof(rng_block));
        memcpy(set->pixels + at, &random, bytes - at < sizeof random ? bytes - at : sizeof random);
    }
    for (size_t i = 0; i < set->count; i++)
        set->labels[i] = (uint16_t)(i % (size_t)set->classes);
}

mien_status bench_images(mien_image_spec spec, int classes, int batch, mien_dataset *set) {
    const size_t image = (size_t)spec.height * (size_t)spec.width * (size_t)spec.channels;
    const size_t fit = most_bytes / image < most_images ? most_bytes / image : most_images;
    const size_t batches = fit / (size_t)batch;
    *set = (mien_dataset){.spec = spec,
                          .count = (batches ? batches : 1) * (size_t)batch,
                          .classes = classes,
                          .labelled = true};
    MIEN_TRY(mien_new(&set->pixels, set->count, image));
    MIEN_TRY(mien_new(&set->labels, set->count, sizeof *set->labels));
    MIEN_TRY(mien_new(&set->part, set->count, 1)); /* zero: MIEN_TRAIN */
    fill(set, image);
    return MIEN_OK;
}

static void note_device_memory(mien_backend *b, mien_bench_result *result) {
    size_t left, all;
    if (!b->gpu[0]) return;
    b->ops->memory(b, &left, &all);
    result->device_memory = (double)(all - left);
}

mien_status bench_measure(const mien_bench_request *request, mien_measured work, mien_measured wait,
                          void *context, mien_bench_result *result) {
    enum { TOGETHER = 20 };
    mien_peak peak = {.backend = request->backend};
    const bool queues = wait && request->backend->ops->capture;
    mien_clock clock = {.seconds = request->seconds,
                        .stop = request->stop,
                        .together = queues ? TOGETHER : 0,
                        .wait = wait,
                        .between = mien_peak_window,
                        .between_context = &peak};
    mien_samples samples = {0};
    mien_status status = mien_measure(&clock, work, context, &samples);
    result->time = mien_samples_statistics(&samples);
    mien_samples_release(&samples);
    MIEN_TRY(status);
    result->warmup = clock.warmup;
    if (queues) result->host_seconds = clock.launch;
    note_device_memory(request->backend, result);
    result->peak_flops = peak.flops_per_second;
    result->peak_windows = peak.windows;
    result->peak_memory = (double)mien_peak_memory();
    return mien_copy_bandwidth(request->backend, &result->copy_bandwidth);
}
