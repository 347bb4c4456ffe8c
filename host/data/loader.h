/* From a data set to batches in backend memory: the order of an epoch, its targets, and a feed.
 * Resident: the whole set lies in the feed. Streamed: the images of one batch lie there, read ahead
 * by stream.h. In both, one kernel gathers, augments and normalises a batch, and the order of an
 * epoch is a seeded permutation, a function of (seed, epoch) alone: the numbers that come out are
 * the same. */
#ifndef HOST_DATA_LOADER_H
#define HOST_DATA_LOADER_H

#include "host/data/balance.h"
#include "host/data/feed.h"
#include "host/data/stream.h"

typedef struct mien_loader {
    mien_backend *backend;
    mien_feed feed;
    int classes;
    void *targets;               /* in backend memory */
    uint32_t *order;             /* in backend memory; of a resident set: its samples */
    uint32_t *index[MIEN_PARTS]; /* on the host: samples of each part, in the data's order */
    size_t count[MIEN_PARTS];
    uint64_t *keys;          /* in backend memory: workspace of a permutation */
    uint32_t *indices;       /* in backend memory: `index` of the part that is shuffled */
    uint32_t *shuffled;      /* in backend memory, of a streamed set */
    uint32_t *permutation;   /* the same on the host */
    mien_balance balance;    /* of a balanced set */
    size_t most;             /* samples in the largest part */
    const mien_dataset *set; /* its labels and targets are asked for again */
    uint32_t seed;           /* of the epoch whose order is current; classes are drawn with them */
    uint64_t epoch;
    float *rows; /* on the host: targets on their way to the backend */
    /* of a streamed set; else NULL */
    mien_stream *stream;
    const uint32_t *current; /* order of the epoch */
    size_t loaded;           /* start of the batch that lies in the feed; SIZE_MAX: none */
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

/* Which rows, and what is done with them. Several processes may share one batch: each asks for its
 * part of the global batch, and gets what it would have got in a single process. */
typedef struct mien_batch {
    size_t start;    /* of the global batch in the current order */
    int first, rows; /* the rows of it that are asked for */
    int global_rows; /* of the global batch; 0: `rows` */
    bool follows;    /* a resident batch starts where *state says; `start` is the same position */
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
 * fetched. Of a streamed set a batch is what it was created for: `batch` rows from a multiple of
 * `batch` on, or the rest; UNSUPPORTED where mixup would need images of another process's part. */
mien_status mien_loader_batch(mien_loader *loader, const mien_batch *batch, const mien_tensor *x,
                              const mien_tensor *targets);

#endif
