#include "host/data/loader.h"

#include <string.h>

#include "host/base/memory.h"
#include "kernels/body/rng.h"

/* Draws a sample's class for this epoch from its votes. */
static size_t draw_class(const mien_loader *loader, size_t sample, const float *shares) {
    const float u = rng_unit(rng_word(loader->seed, RNG_VOTES, loader->epoch, sample));
    float sum = 0;
    size_t last = 0; /* the result when rounding leaves the sum below u */
    for (size_t k = 0; k < (size_t)loader->classes; k++) {
        if (shares[k] <= 0) continue;
        last = k;
        sum += shares[k];
        if (u < sum) break;
    }
    return last;
}

static void fill_target(const mien_loader *loader, size_t sample, float *row) {
    const mien_dataset *set = loader->set;
    const size_t classes = (size_t)loader->classes;
    const float *shares = set->targets ? set->targets + sample * classes : NULL;
    if (shares && !set->drawn) {
        memcpy(row, shares, classes * sizeof *row);
        return;
    }
    memset(row, 0, classes * sizeof *row);
    row[shares ? draw_class(loader, sample, shares) : set->labels[sample]] = 1;
}

/* Uploads the targets of `count` samples (NULL: the first `count`) in the backend's number type. */
static mien_status upload_targets(mien_loader *loader, const uint32_t *samples, size_t count) {
    const size_t classes = (size_t)loader->classes;
    const mien_tensor t = {{(int)count, 1, 1, loader->classes},
                           loader->backend->param_dtype,
                           loader->classes,
                           loader->targets};
    for (size_t i = 0; i < count; i++)
        fill_target(loader, samples ? samples[i] : i, loader->rows + i * classes);
    return loader->backend->ops->upload(loader->backend, &t, loader->rows);
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
    return MIEN_OK;
}

/* Allocates memory to shuffle the largest part. */
static mien_status make_shuffle(mien_loader *loader) {
    mien_backend *b = loader->backend;
    const size_t bytes = loader->most * sizeof(uint32_t);
    MIEN_TRY(b->ops->alloc(b, mien_permute_capacity(loader->most) * sizeof *loader->keys,
                           (void **)&loader->keys));
    MIEN_TRY(b->ops->alloc(b, bytes, (void **)&loader->indices));
    return b->ops->alloc(b, bytes, (void **)&loader->shuffled);
}

static mien_status make_targets(mien_loader *loader, size_t images) {
    mien_backend *b = loader->backend;
    MIEN_TRY(mien_new(&loader->rows, images * (size_t)loader->classes, sizeof *loader->rows));
    return b->ops->alloc(b, images * (size_t)loader->classes * mien_dtype_bytes(b->param_dtype),
                         &loader->targets);
}

/* Copies the whole set to the backend. */
static mien_status make_resident(mien_loader *loader, const mien_dataset *set,
                                 const mien_normalise *normalise) {
    mien_backend *b = loader->backend;
    MIEN_TRY(mien_feed_create(b, set->spec, normalise, set->count, &loader->feed));
    MIEN_TRY(mien_feed_upload(&loader->feed, set->pixels, set->count));
    MIEN_TRY(b->ops->alloc(b, loader->most * sizeof(uint32_t), (void **)&loader->order));
    MIEN_TRY(make_targets(loader, set->count));
    MIEN_TRY(upload_targets(loader, NULL, set->count));
    if (set->drawn) return MIEN_OK;
    mien_free(loader->rows);
    loader->rows = NULL;
    loader->set = NULL; /* no longer needed */
    return MIEN_OK;
}

/* The feed holds one batch, with its rows in order. */
static mien_status make_streamed(mien_loader *loader, const mien_dataset *set,
                                 const mien_normalise *normalise, int batch, int workers) {
    MIEN_TRY(mien_feed_create(loader->backend, set->spec, normalise, (size_t)batch, &loader->feed));
    MIEN_TRY(mien_feed_overlap(&loader->feed));
    MIEN_TRY(mien_feed_make_order(&loader->feed));
    MIEN_TRY(make_targets(loader, (size_t)batch));
    MIEN_TRY(mien_new(&loader->permutation, loader->most, sizeof *loader->permutation));
    return mien_stream_start(set, batch, workers, &loader->stream);
}

mien_status mien_loader_create(const mien_dataset *set, const mien_normalise *normalise,
                               mien_backend *backend, int batch, int workers, mien_loader *loader) {
    *loader =
        (mien_loader){.backend = backend, .classes = set->classes, .set = set, .loaded = SIZE_MAX};
    MIEN_TRY(index_parts(loader, set));
    if (set->balanced) MIEN_TRY(mien_balance_create(set, &loader->balance));
    return set->streamed ? make_streamed(loader, set, normalise, batch, workers)
                         : make_resident(loader, set, normalise);
}

void mien_loader_release(mien_loader *loader) {
    if (!loader->backend) return;
    mien_stream_stop(loader->stream);
    void *const device[] = {loader->targets, loader->order, loader->keys, loader->indices,
                            loader->shuffled};
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
        if (device[i]) loader->backend->ops->free(loader->backend, device[i]);
    mien_feed_release(&loader->feed);
    for (int part = 0; part < MIEN_PARTS; part++)
        mien_free(loader->index[part]);
    mien_balance_release(&loader->balance);
    mien_free(loader->permutation);
    mien_free(loader->rows);
    *loader = (mien_loader){0};
}

/* Shuffles in backend memory; for a streamed set the order is copied back for the worker
 * threads. */
static mien_status shuffle(mien_loader *loader, mien_part part, uint32_t seed, uint64_t epoch) {
    mien_backend *b = loader->backend;
    const size_t n = loader->count[part], bytes = n * sizeof(uint32_t);
    if (!loader->keys) MIEN_TRY(make_shuffle(loader));
    const bool balanced = part == MIEN_TRAIN && loader->balance.count;
    if (balanced) mien_balance_draw(&loader->balance, epoch);
    uint32_t *to = loader->stream ? loader->shuffled : loader->order;
    MIEN_TRY(b->ops->copy_in(b, loader->indices,
                             balanced ? loader->balance.epoch : loader->index[part], bytes));
    MIEN_TRY(b->ops->permute(b, to, loader->indices, n, loader->keys, seed, epoch));
    return loader->stream ? b->ops->copy_out(b, loader->permutation, to, bytes) : MIEN_OK;
}

mien_status mien_loader_order(mien_loader *loader, mien_part part, bool shuffled, uint32_t seed,
                              uint64_t epoch) {
    mien_backend *b = loader->backend;
    const size_t n = loader->count[part];
    if (loader->stream) mien_stream_pause(loader->stream);
    loader->loaded = SIZE_MAX;
    loader->seed = seed;
    loader->epoch = epoch;
    if (shuffled && !loader->stream && loader->set)
        MIEN_TRY(upload_targets(loader, NULL, loader->set->count));
    if (shuffled) MIEN_TRY(shuffle(loader, part, seed, epoch));
    loader->current = shuffled ? loader->permutation : loader->index[part];
    if (loader->stream) {
        mien_stream_order(loader->stream, loader->current, n);
        return MIEN_OK;
    }
    return shuffled ? MIEN_OK
                    : b->ops->copy_in(b, loader->order, loader->index[part], n * sizeof(uint32_t));
}

/* Uploads a streamed batch, once for all its views. */
static mien_status load_batch(mien_loader *loader, size_t start, int rows) {
    const size_t n = (size_t)rows;
    const uint8_t *pixels;
    if (loader->loaded == start) return MIEN_OK;
    loader->loaded = SIZE_MAX;
    MIEN_TRY(mien_stream_take(loader->stream, start, rows, &pixels));
    MIEN_TRY(mien_feed_upload(&loader->feed, pixels, n));
    MIEN_TRY(upload_targets(loader, loader->current + start, n));
    loader->loaded = start;
    return MIEN_OK;
}

/* Index of the first requested row in the current order. */
static size_t first_row(const mien_batch *batch) {
    return batch->start + (size_t)batch->first;
}

/* Whether the kernel adds the start of the global batch, which only the backend knows. A streamed
 * batch is in the feed from its first row on. */
static bool follows(const mien_loader *loader, const mien_batch *batch) {
    return batch->follows && !loader->stream;
}

/* The samples of the requested rows, in backend memory. */
static const uint32_t *order_of(const mien_loader *loader, const mien_batch *batch) {
    if (loader->stream) return loader->feed.in_order;
    return loader->order + (batch->follows ? (size_t)batch->first : first_row(batch));
}

mien_status mien_loader_fetch(mien_loader *loader, const mien_batch *batch) {
    return loader->stream ? load_batch(loader, first_row(batch), batch->rows) : MIEN_OK;
}

mien_status mien_loader_batch(mien_loader *loader, const mien_batch *batch, const mien_tensor *x,
                              const mien_tensor *targets) {
    const int global_rows = batch->global_rows ? batch->global_rows : batch->rows;
    if (loader->stream && batch->augment && batch->ranges.mixup > 0 && global_rows != batch->rows)
        return MIEN_FAIL(UNSUPPORTED, "mixup needs the images of the whole batch, which a streamed "
                                      "set does not have when several processes share it: use "
                                      "data.memory: resident or augment.mixup: 0");
    MIEN_TRY(mien_loader_fetch(loader, batch));
    const mien_gather what = {.targets = loader->targets,
                              .order = order_of(loader, batch),
                              .follows = follows(loader, batch),
                              .classes = loader->classes,
                              .batch = global_rows,
                              .first = (uint64_t)batch->first,
                              .augment = batch->augment,
                              .ranges = batch->ranges,
                              .view = batch->view,
                              .label_smoothing = batch->label_smoothing,
                              .state = batch->state};
    return mien_feed_fill(&loader->feed, what, x, targets);
}

mien_status mien_loader_slice(const mien_loader *loader, const mien_batch *batch, int skip,
                              const mien_tensor *x) {
    const mien_gather what = {.order = order_of(loader, batch) + skip,
                              .follows = follows(loader, batch),
                              .batch = x->shape.n,
                              .view = batch->view,
                              .state = batch->state};
    return mien_feed_fill(&loader->feed, what, x, NULL);
}
