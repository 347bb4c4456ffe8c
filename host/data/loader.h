/* Turns a data set into batches in backend memory, with the order of an epoch, its targets and a
 * feed. Resident: the feed holds the whole set. Streamed: it holds one batch, read ahead by
 * stream.h. In both cases one kernel gathers, augments and normalises a batch, and the order is a
 * seeded permutation that depends only on (seed, epoch), so the results are the same. */
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
    uint32_t *order;             /* in backend memory: the order of a resident set's samples */
    uint32_t *index[MIEN_PARTS]; /* on the host: samples of each part, in the data's order */
    size_t count[MIEN_PARTS];
    uint64_t *keys;          /* in backend memory: workspace of a permutation */
    uint32_t *indices;       /* in backend memory: `index` of the part being shuffled */
    uint32_t *shuffled;      /* in backend memory: the order of a streamed set */
    uint32_t *permutation;   /* `shuffled` on the host */
    mien_balance balance;    /* of a balanced set */
    size_t most;             /* samples in the largest part */
    const mien_dataset *set; /* for its labels and targets; NULL when no longer needed */
    uint32_t seed;           /* of the current epoch; used to draw classes */
    uint64_t epoch;
    float *rows; /* on the host: targets to be uploaded */
    /* of a streamed set; else NULL */
    mien_stream *stream;
    const uint32_t *current; /* order of the epoch */
    size_t loaded;           /* start of the batch in the feed; SIZE_MAX: none */
} mien_loader;

/* Copies the set into backend memory; `set` may drop its pixels afterwards, but one that is
 * streamed or draws its classes must outlive the loader. A streamed set is read in batches of
 * `batch` images by `workers` threads (0: chosen automatically). Release it even after a
 * failure. */
mien_status mien_loader_create(const mien_dataset *set, const mien_normalise *normalise,
                               mien_backend *backend, int batch, int workers, mien_loader *loader);
void mien_loader_release(mien_loader *loader);

/* Sets the order of an epoch: shuffled (for a balanced set's training part, the choice of
 * mien_balance_draw), or the data's own. */
mien_status mien_loader_order(mien_loader *loader, mien_part part, bool shuffled, uint32_t seed,
                              uint64_t epoch);

/* Which rows to load and how. Several processes may share one batch: each requests its part of the
 * global batch and gets the same rows as in a single process. */
typedef struct mien_batch {
    size_t start;    /* of the global batch in the current order */
    int first, rows; /* the requested rows of the global batch */
    int global_rows; /* of the global batch; 0: `rows` */
    bool follows;    /* a resident batch starts where *state says, which `start` must equal */
    bool augment;
    body_augment ranges;
    const body_warp *view; /* a fixed view of every image, or NULL */
    float label_smoothing;
    const body_step *state;
} mien_batch;

/* Uploads what mien_loader_batch reads: the batch of a streamed set, else nothing. */
mien_status mien_loader_fetch(mien_loader *loader, const mien_batch *batch);

/* Fills x and targets (may be NULL) with a batch; only launches kernels if the batch was fetched. A
 * streamed set only provides the batches it was created for: `batch` rows from a multiple of
 * `batch`, or the rest. UNSUPPORTED where mixup would need images of another process's part. */
mien_status mien_loader_batch(mien_loader *loader, const mien_batch *batch, const mien_tensor *x,
                              const mien_tensor *targets);
/* Fills x with the images skip, skip + 1, … of a batch that was fetched and does not augment; as
 * many as x has rows. Several threads may call it at a time. */
mien_status mien_loader_slice(const mien_loader *loader, const mien_batch *batch, int skip,
                              const mien_tensor *x);

#endif
