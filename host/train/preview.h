/* Renders the images of one training step, for `mien preview`. */
#ifndef HOST_TRAIN_PREVIEW_H
#define HOST_TRAIN_PREVIEW_H

#include "host/backend/ops.h"
#include "host/image/image.h"
#include "host/train/setup.h"

/* The input of the network at step `step`. */
typedef struct mien_preview {
    long long step, epoch, steps; /* from 1; `steps` in the whole training */
    int rows, classes;
    float label_smoothing; /* of the targets */
    mien_image_spec spec;
    float *x;       /* [rows][height][width][channels], as the network reads them */
    float *targets; /* [rows][classes] */
} mien_preview;

/* Gathers the batch of training step `step` (from 1) with the loader, order, augmentation and
 * random numbers of the training run. INVALID if the run has fewer steps. The data set may be
 * streamed. Release the preview also after a failure. */
mien_status mien_preview_gather(const mien_config *config, const mien_setup *setup,
                                mien_backend *backend, long long step, mien_preview *out);
void mien_preview_release(mien_preview *preview);

/* Row `row` with the normalisation undone, rounded and clamped to 0..255; release it with
 * mien_image_release. */
mien_status mien_preview_image(const mien_preview *preview, const mien_normalise *normalise,
                               int row, mien_image *out);
/* The label under an image: out[0] "happy" and out[1] "". For a mixed target, its two largest
 * classes: "happy 70" and "sad 20", in percent after removing label smoothing. */
void mien_preview_label(const mien_preview *preview, const char (*names)[64], int row,
                        char out[2][96]);
/* A contact sheet: all rows with their labels under a title line. Release it with
 * mien_image_release, also after a failure. */
mien_status mien_preview_sheet(const mien_preview *preview, const mien_meta *meta,
                               const char *title, mien_image *out);

#endif
