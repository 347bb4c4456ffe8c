/* From pixels to the network's input. A feed holds 8-bit images in backend memory and their
 * normalisation; one kernel gathers the requested images, optionally augments them, and writes the
 * input tensor. The loader uses it for training batches, the predictor for single images.
 *
 *     mien_feed_create(backend, spec, &normalise, 32, &feed);
 *     mien_feed_upload(&feed, pixels, 3);
 *     mien_feed_make_order(&feed);
 *     mien_feed_images(&feed, &x);          the first x.shape.n images */
#ifndef HOST_DATA_FEED_H
#define HOST_DATA_FEED_H

#include "host/backend/ops.h"
#include "host/data/dataset.h"

/* Normalisation: x = (pixel * scale - mean) / std, per channel. */
typedef struct mien_normalise {
    double scale, mean[4], std[4];
} mien_normalise;

typedef struct mien_feed {
    mien_backend *backend;
    mien_image_spec spec;
    size_t capacity; /* images */
    /* in backend memory */
    uint8_t *pixels;      /* [capacity][h][w][c] */
    uint8_t *landing;     /* like pixels, for mien_feed_overlap; else NULL */
    float *scale, *shift; /* [c] */
    uint32_t *in_order;   /* 0, 1, … capacity - 1; NULL before mien_feed_make_order */
} mien_feed;

/* Allocates memory for `images` images. `backend` must outlive the feed. Release it even after a
 * failure. */
mien_status mien_feed_create(mien_backend *backend, mien_image_spec spec,
                             const mien_normalise *normalise, size_t images, mien_feed *feed);
void mien_feed_release(mien_feed *feed);

/* From now on an upload may run beside the work queued before it, where the backend can do that. */
mien_status mien_feed_overlap(mien_feed *feed);
/* Copies n images [n][h][w][c] to the start of the feed. */
mien_status mien_feed_upload(mien_feed *feed, const uint8_t *pixels, size_t n);
/* Fills `in_order`; allocates it on the first call. */
mien_status mien_feed_make_order(mien_feed *feed);

/* Writes x and targets (may be NULL) for the rows that `what` selects; its pixels, scale and shift
 * are set to the feed's. Only launches kernels. */
mien_status mien_feed_fill(const mien_feed *feed, mien_gather what, const mien_tensor *x,
                           const mien_tensor *targets);
/* Writes x.shape.n images from `first` on, without augmentation; needs mien_feed_make_order. */
mien_status mien_feed_slice(const mien_feed *feed, int first, const mien_tensor *x);
/* Writes the first x.shape.n images without augmentation; needs mien_feed_make_order. */
mien_status mien_feed_images(const mien_feed *feed, const mien_tensor *x);

#endif
