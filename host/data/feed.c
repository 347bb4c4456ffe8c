#include "host/data/feed.h"

#include "host/base/memory.h"

static mien_status upload_scales(mien_feed *feed, const mien_normalise *normalise) {
    const mien_ops *ops = feed->backend->ops;
    float scale[4], shift[4];
    for (int c = 0; c < feed->spec.channels; c++) {
        scale[c] = (float)(normalise->scale / normalise->std[c]);
        shift[c] = (float)(-normalise->mean[c] / normalise->std[c]);
    }
    MIEN_TRY(ops->alloc(feed->backend, sizeof scale, (void **)&feed->scale));
    MIEN_TRY(ops->alloc(feed->backend, sizeof shift, (void **)&feed->shift));
    MIEN_TRY(ops->copy_in(feed->backend, feed->scale, scale, sizeof scale));
    return ops->copy_in(feed->backend, feed->shift, shift, sizeof shift);
}

mien_status mien_feed_create(mien_backend *backend, mien_image_spec spec,
                             const mien_normalise *normalise, size_t images, mien_feed *feed) {
    *feed = (mien_feed){.backend = backend, .spec = spec, .capacity = images};
    MIEN_TRY(upload_scales(feed, normalise));
    return backend->ops->alloc(backend, images * mien_image_bytes(spec), (void **)&feed->pixels);
}

void mien_feed_release(mien_feed *feed) {
    if (!feed->backend) return;
    void *const device[] = {feed->pixels, feed->landing, feed->scale, feed->shift, feed->in_order};
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
        if (device[i]) feed->backend->ops->free(feed->backend, device[i]);
    *feed = (mien_feed){0};
}

mien_status mien_feed_overlap(mien_feed *feed) {
    mien_backend *b = feed->backend;
    if (!b->ops->copies_beside || feed->landing) return MIEN_OK;
    return b->ops->alloc(b, feed->capacity * mien_image_bytes(feed->spec), (void **)&feed->landing);
}

mien_status mien_feed_upload(mien_feed *feed, const uint8_t *pixels, size_t n) {
    return feed->backend->ops->copy_beside(feed->backend, feed->pixels, feed->landing, pixels,
                                           n * mien_image_bytes(feed->spec));
}

mien_status mien_feed_make_order(mien_feed *feed) {
    mien_backend *b = feed->backend;
    const size_t bytes = feed->capacity * sizeof(uint32_t);
    uint32_t *numbers = NULL;
    if (feed->in_order) return MIEN_OK;
    MIEN_TRY(mien_new(&numbers, feed->capacity, sizeof *numbers));
    for (uint32_t i = 0; i < feed->capacity; i++)
        numbers[i] = i;
    mien_status status = b->ops->alloc(b, bytes, (void **)&feed->in_order);
    if (status == MIEN_OK) status = b->ops->copy_in(b, feed->in_order, numbers, bytes);
    mien_free(numbers);
    return status;
}

mien_status mien_feed_fill(const mien_feed *feed, mien_gather what, const mien_tensor *x,
                           const mien_tensor *targets) {
    what.pixels = feed->pixels;
    what.scale = feed->scale;
    what.shift = feed->shift;
    return feed->backend->ops->gather(feed->backend, x, targets, &what);
}

mien_status mien_feed_slice(const mien_feed *feed, int first, const mien_tensor *x) {
    const mien_gather what = {.order = feed->in_order + first, .batch = x->shape.n};
    return mien_feed_fill(feed, what, x, NULL);
}

mien_status mien_feed_images(const mien_feed *feed, const mien_tensor *x) {
    return mien_feed_slice(feed, 0, x);
}
