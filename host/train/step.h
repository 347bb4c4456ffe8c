/* One training step and the settings that it takes from a config. The trainer and `mien bench
 * train` call the same function, so the benchmark measures exactly what training runs. */
#ifndef HOST_TRAIN_STEP_H
#define HOST_TRAIN_STEP_H

#include "host/data/loader.h"
#include "host/graph/plan.h"
#include "host/train/config.h"

/* The update rule of a config. Averages are warmed up only where weights are `drawn`: loaded ones
 * bring averages worth keeping. */
body_rule mien_step_rule(const mien_config *config, bool drawn);
/* The augmentation of an epoch (from 1). Mixup and erasing are off in the last epochs if
 * augment.off_last says so. */
body_augment mien_step_ranges(const mien_config *config, int epoch);
/* Plan options for batches of `batch` images. `rule` must outlive the call that the options are
 * passed to. */
mien_plan_options mien_step_options(const mien_config *config, const body_rule *rule, int batch);

/* The recorded work of a step, and the rows of the batch that it was recorded for. */
typedef struct mien_recorded_step {
    mien_replay replay;
    int first, global_rows;
} mien_recorded_step;

/* State kept from step to step. The owner sets the members up to `parts` and zeroes the rest;
 * release with mien_step_release. */
typedef struct mien_step {
    mien_plan *plan;          /* for training, prepared for every batch size */
    mien_loader *loader;      /* batches are taken from its current order */
    const void *class_weight; /* [classes] in backend memory, or NULL */
    body_augment ranges;
    float label_smoothing;
    /* Data-parallel training: this process computes part number `part` of `parts` equal parts of
     * each batch, and all_reduce sums the gradients. 0 and 0: the whole batch. */
    int part, parts;
    mien_recorded_step recorded[2]; /* for a full batch and for the epoch's last */
    body_augment recorded_ranges;   /* `ranges` when they were recorded */
} mien_step;

/* Trains on the `rows` samples from position `start` of the loader's order: gather, forward, loss,
 * backward, update. `start` must match the cursor in the plan's step state; call mien_plan_epoch
 * before an epoch's first step. Allocates nothing; all randomness comes from the step state. On a
 * device that supports capture, everything except fetching a streamed batch is recorded once and
 * replayed. */
mien_status mien_step_run(mien_step *step, size_t start, int rows);
void mien_step_release(mien_step *step);

#endif
