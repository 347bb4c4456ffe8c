/* From pixels to the network's input. A feed holds 8-bit images in backend memory and knows how
 * they become numbers; one kernel takes the images that are asked for, augments them or not, and
 * writes the input tensor. The loader feeds training with it, the predictor single images.
 *
 *     mien_feed_create(backend, spec, &normalise, 32, &feed);
 *     mien_feed_upload(&feed, pixels, 3);
 *     mien_feed_images(&feed, &x);          x.shape.n images from the front
 */
#ifndef HOST_DATA_FEED_H
#define HOST_DATA_FEED_H

#include "host/backend/ops.h"
#include "host/data/dataset.h"

/* How pixels become numbers: x = (pixel * scale - mean) / std, for each channel. */
typedef struct mien_normalise {
    double scale, mean[4], std[4];
} mien_normalise;

typedef struct mien_feed {
    mien_backend *backend;
    mien_image_spec spec;
    size_t capacity; /* images */
    /* in backend memory */
    uint8_t *pixels;      /* [capacity][h][w][c] */
    float *scale, *shift; /* [c] */
    uint32_t *in_order;   /* 0, 1, … capacity - 1; NULL until it is asked for */
} mien_feed;

/* Memory for `images` images. `backend` must outlive the feed. Release it also after a failure. */
mien_status mien_feed_create(mien_backend *backend, mien_image_spec spec,
                             const mien_normalise *normalise, size_t images, mien_feed *feed);
void mien_feed_release(mien_feed *feed);

/* Copies n images [n][h][w][c] to the front. */
mien_status mien_feed_upload(mien_feed *feed, const uint8_t *pixels, size_t n);
/* Makes `in_order`; may allocate. */
mien_status mien_feed_make_order(mien_feed *feed);

/* Writes x and targets (may be NULL) for the rows that `what` names; its pixels, scale and shift
 * are the feed's. Launches and does nothing else. */
mien_status mien_feed_fill(const mien_feed *feed, mien_gather what, const mien_tensor *x,
                           const mien_tensor *targets);
/* x.shape.n images from the front as they are; mien_feed_make_order first. */
mien_status mien_feed_images(const mien_feed *feed, const mien_tensor *x);

#endif
