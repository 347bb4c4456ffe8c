/* From a data set to batches in backend memory. Resident: the whole set lies there as bytes.
 * Streamed: the bytes of one batch lie there, read ahead by stream.h. In both, one kernel gathers,
 * augments and normalises a batch, and the order of an epoch is a seeded permutation, a function of
 * (seed, epoch) alone: the numbers that come out are the same. */
#ifndef HOST_DATA_LOADER_H
#define HOST_DATA_LOADER_H

#include "host/backend/ops.h"
#include "host/data/balance.h"
#include "host/data/dataset.h"
#include "host/data/stream.h"

/* How pixels become numbers: x = (pixel * scale - mean) / deviation, for each channel. */
typedef struct mien_normalise {
    double scale, mean[4], deviation[4];
} mien_normalise;

typedef struct mien_loader {
    mien_backend *backend;
    mien_image_spec spec;
    int classes;
    uint8_t *pixels; /* these five lie in backend memory */
    void *targets;
    float *scale, *shift;
    uint32_t *order;             /* samples, or rows of the batch that lies there */
    uint32_t *index[MIEN_PARTS]; /* on the host: samples of each part, in the data's order */
    size_t count[MIEN_PARTS];
    uint64_t *keys;          /* in backend memory: room for a permutation */
    uint32_t *places;        /* in backend memory: `index` of the part that is shuffled */
    uint32_t *shuffled;      /* in backend memory, of a streamed set: its `order` names rows */
    uint32_t *permutation;   /* the same on the host */
    mien_balance balance;    /* of a balanced set */
    size_t most;             /* samples in the largest part */
    const mien_dataset *set; /* its labels and targets are asked for again */
    uint32_t seed;           /* of the epoch whose order is current; classes are drawn with them */
    uint64_t epoch;
    float *rows; /* room for the targets that go to the backend at a time */
    /* of a streamed set; else NULL */
    mien_stream *stream;
    const uint32_t *current; /* order of the epoch */
    size_t loaded;           /* start of the batch that lies in backend memory; SIZE_MAX: none */
} mien_loader;

/* Copies the set into backend memory; `set` may drop its pixels afterwards, but one that is
 * streamed or draws its classes must outlive the loader. A streamed set is read in batches of
 * `batch` images by `workers` threads (0: as many as are useful). Release it also after a failure.
 */
mien_status mien_loader_create(const mien_dataset *set, const mien_normalise *normalise,
                               mien_backend *backend, int batch, int workers, mien_loader *loader);
void mien_loader_release(mien_loader *loader);

/* Makes the order of an epoch current: shuffled (of a balanced set's training part what
 * mien_balance_draw chose), or as the data lie (`shuffle` false). */
mien_status mien_loader_order(mien_loader *loader, mien_part part, bool shuffle, uint32_t seed,
                              uint64_t epoch);

/* What a batch asks for beside its place. */
typedef struct mien_batch {
    size_t start; /* in the current order */
    int rows;
    bool follows; /* a resident batch starts where *state says; `start` is the same place */
    bool augment;
    body_augment ranges;
    const body_warp *view; /* a fixed view of every image, or NULL */
    float label_smoothing;
    const body_step *state;
} mien_batch;

/* Brings what mien_loader_batch reads into backend memory: the batch of a streamed set, else
 * nothing. */
mien_status mien_loader_fetch(mien_loader *loader, const mien_batch *batch);

/* Fills x and targets (may be NULL) with a batch; launches and does nothing else when the batch was
 * fetched. Of a streamed set a batch is what it was created
 * for: `batch` rows from a multiple of `batch` on, or the rest. */
mien_status mien_loader_batch(mien_loader *loader, const mien_batch *batch, const mien_tensor *x,
                              const mien_tensor *targets);

#endif
