#include "host/data/loader.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "kernels/body/rng.h"

/* One-hot rows in the backend's number type. */
static mien_status upload_targets(mien_loader *loader, const mien_dataset *set) {
    const size_t classes = (size_t)set->classes;
    float *rows = NULL;
    MIEN_TRY(loader->backend->ops->alloc(
        loader->backend, set->count * classes * mien_dtype_bytes(loader->backend->dtype),
        &loader->targets));
    MIEN_TRY(mien_new(&rows, set->count * classes, sizeof *rows));
    for (size_t i = 0; i < set->count; i++)
        rows[i * classes + set->labels[i]] = 1;
    const mien_tensor t = {{(int)set->count, 1, 1, set->classes},
                           loader->backend->dtype,
                           set->classes,
                           loader->targets};
    const mien_status status = loader->backend->ops->upload(loader->backend, &t, rows);
    mien_free(rows);
    return status;
}

static mien_status index_parts(mien_loader *loader, const mien_dataset *set) {
    for (int part = 0; part < MIEN_PARTS; part++) {
        for (size_t i = 0; i < set->count; i++)
            loader->count[part] += set->part[i] == part;
        MIEN_TRY(mien_new(&loader->index[part], loader->count[part], sizeof(uint32_t)));
        if (loader->count[part] > loader->most) loader->most = loader->count[part];
        size_t n = 0;
        for (size_t i = 0; i < set->count; i++)
            if (set->part[i] == part) loader->index[part][n++] = (uint32_t)i;
    }
    MIEN_TRY(mien_new(&loader->keys, loader->most, sizeof *loader->keys));
    return mien_new(&loader->permutation, loader->most, sizeof *loader->permutation);
}

mien_status mien_loader_create(const mien_dataset *set, const mien_normalise *normalise,
                               mien_backend *backend, mien_loader *loader) {
    *loader = (mien_loader){.backend = backend, .spec = set->spec, .classes = set->classes};
    const mien_ops *ops = backend->ops;
    const size_t channels = (size_t)set->spec.channels;
    const size_t bytes = set->count * (size_t)set->spec.height * (size_t)set->spec.width * channels;
    float scale[4], shift[4];
    for (size_t c = 0; c < channels; c++) {
        scale[c] = (float)(normalise->scale / normalise->deviation[c]);
        shift[c] = (float)(-normalise->mean[c] / normalise->deviation[c]);
    }
    MIEN_TRY(ops->alloc(backend, bytes, (void **)&loader->pixels));
    MIEN_TRY(ops->copy_in(backend, loader->pixels, set->pixels, bytes));
    MIEN_TRY(ops->alloc(backend, sizeof scale, (void **)&loader->scale));
    MIEN_TRY(ops->alloc(backend, sizeof shift, (void **)&loader->shift));
    MIEN_TRY(ops->copy_in(backend, loader->scale, scale, sizeof scale));
    MIEN_TRY(ops->copy_in(backend, loader->shift, shift, sizeof shift));
    MIEN_TRY(upload_targets(loader, set));
    MIEN_TRY(index_parts(loader, set));
    return ops->alloc(backend, loader->most * sizeof(uint32_t), (void **)&loader->order);
}

void mien_loader_release(mien_loader *loader) {
    if (!loader->backend) return;
    void *const device[] = {loader->pixels, loader->targets, loader->scale, loader->shift,
                            loader->order};
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
        if (device[i]) loader->backend->ops->free(loader->backend, device[i]);
    for (int part = 0; part < MIEN_PARTS; part++)
        mien_free(loader->index[part]);
    mien_free(loader->keys);
    mien_free(loader->permutation);
    *loader = (mien_loader){0};
}

static int ascending(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

mien_status mien_loader_order(mien_loader *loader, mien_part part, bool shuffle, uint32_t seed,
                              uint64_t epoch) {
    const size_t n = loader->count[part];
    const uint32_t *index = loader->index[part];
    if (shuffle) {
        /* a stable sort by (random word, index): the index in the low half breaks ties */
        for (size_t i = 0; i < n; i++)
            loader->keys[i] = (uint64_t)rng_word(seed, RNG_SHUFFLE, epoch, i) << 32 | i;
        qsort(loader->keys, n, sizeof *loader->keys, ascending);
        for (size_t i = 0; i < n; i++)
            loader->permutation[i] = index[loader->keys[i] & 0xffffffffu];
        index = loader->permutation;
    }
    return loader->backend->ops->copy_in(loader->backend, loader->order, index, n * sizeof *index);
}

mien_status mien_loader_batch(mien_loader *loader, const mien_batch *batch, const mien_tensor *x,
                              const mien_tensor *targets) {
    const mien_gather g = {.pixels = loader->pixels,
                           .targets = loader->targets,
                           .order = loader->order + batch->start,
                           .classes = loader->classes,
                           .batch = batch->rows,
                           .scale = loader->scale,
                           .shift = loader->shift,
                           .augment = batch->augment,
                           .ranges = batch->ranges,
                           .view = batch->view,
                           .label_smoothing = batch->label_smoothing,
                           .state = batch->state};
    return loader->backend->ops->gather(loader->backend, x, targets, &g);
}
