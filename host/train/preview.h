/* The images of one training step as a picture: what `mien preview` shows. */
#ifndef HOST_TRAIN_PREVIEW_H
#define HOST_TRAIN_PREVIEW_H

#include "host/backend/ops.h"
#include "host/image/image.h"
#include "host/train/setup.h"

/* What step `step` puts into the network. */
typedef struct mien_preview {
    long long step, epoch, steps; /* from 1; `steps` of the whole training */
    int rows, classes;
    float label_smoothing; /* of the targets */
    mien_image_spec spec;
    float *x;       /* [rows][height][width][channels], as the network reads them */
    float *targets; /* [rows][classes] */
} mien_preview;

/* Gathers the batch of training step `step` (from 1) by the loader, order, augmentation and draws
 * of the training itself. INVALID beyond its last step. The set may be streamed. Release it also
 * after a failure. */
mien_status mien_preview_gather(const mien_config *config, const mien_setup *setup,
                                mien_backend *backend, long long step, mien_preview *out);
void mien_preview_release(mien_preview *preview);

/* Row `row` as it was before normalisation, rounded to bytes and kept within them; release it with
 * mien_image_release. */
mien_status mien_preview_image(const mien_preview *preview, const mien_normalise *normalise,
                               int row, mien_image *out);
/* out[0] "happy", out[1] ""; of a mixed target "happy 70" and "sad 20": its two largest classes, in
 * percent of all of them, what label smoothing gives every class left out. */
void mien_preview_label(const mien_preview *preview, const char (*names)[64], int row,
                        char out[2][96]);
/* All rows with their labels below a line of text; release it with mien_image_release, also
 * after a failure. */
mien_status mien_preview_sheet(const mien_preview *preview, const mien_meta *meta,
                               const char *title, mien_image *out);

#endif
