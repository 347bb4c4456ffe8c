/* From a data set to batches in backend memory. Resident mode: the whole set lies there as bytes;
 * one kernel gathers, augments and normalises a batch. The order of an epoch is a seeded
 * permutation, a function of (seed, epoch) alone. */
#ifndef HOST_DATA_LOADER_H
#define HOST_DATA_LOADER_H

#include "host/backend/ops.h"
#include "host/data/dataset.h"

/* How pixels become numbers: x = (pixel * scale - mean) / deviation, for each channel. */
typedef struct mien_normalise {
    double scale, mean[4], deviation[4];
} mien_normalise;

typedef struct mien_loader {
    mien_backend *backend;
    mien_image_spec spec;
    int classes;
    uint8_t *pixels; /* the rest lies in backend memory */
    void *targets;
    float *scale, *shift;
    uint32_t *order;
    uint32_t *index[MIEN_PARTS]; /* on the host: samples of each part, in the data's order */
    size_t count[MIEN_PARTS];
    uint64_t *keys; /* room for a permutation */
    uint32_t *permutation;
    size_t most; /* samples in the largest part */
} mien_loader;

/* Copies the set into backend memory; `set` may drop its pixels afterwards. Release it also after a
 * failure. */
mien_status mien_loader_create(const mien_dataset *set, const mien_normalise *normalise,
                               mien_backend *backend, mien_loader *loader);
void mien_loader_release(mien_loader *loader);

/* Makes the order of an epoch current: shuffled, or as the data lie (`shuffle` false). */
mien_status mien_loader_order(mien_loader *loader, mien_part part, bool shuffle, uint32_t seed,
                              uint64_t epoch);

/* What a batch asks for beside its place. */
typedef struct mien_batch {
    size_t start; /* in the current order */
    int rows;
    bool augment;
    body_augment ranges;
    const body_warp *view; /* a fixed view of every image, or NULL */
    float label_smoothing;
    const body_step *state;
} mien_batch;

/* Fills x and targets (may be NULL) with a batch. */
mien_status mien_loader_batch(mien_loader *loader, const mien_batch *batch, const mien_tensor *x,
                              const mien_tensor *targets);

#endif
