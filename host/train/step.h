/* One training step, and what a config says about it. The trainer and `mien bench train` run the
 * very same function, so that what is measured is what trains. */
#ifndef HOST_TRAIN_STEP_H
#define HOST_TRAIN_STEP_H

#include "host/data/loader.h"
#include "host/graph/plan.h"
#include "host/train/config.h"

/* The update rule of a config. Averages are warmed up only where the weights start `from_scratch`:
 * loaded ones bring averages worth keeping. */
body_rule mien_step_rule(const mien_config *config, bool from_scratch);
/* The augmentation of an epoch (from 1): off_last ends mixup and erasing early. */
body_augment mien_step_ranges(const mien_config *config, int epoch);
/* The plan's options of a config for batches of `batch` images. `rule` must outlive the call that
 * takes the options. */
mien_plan_options mien_step_options(const mien_config *config, const body_rule *rule, int batch);

/* Rows of a batch that were recorded together. */
typedef struct mien_recorded_step {
    mien_replay replay;
    int first, global_rows;
} mien_recorded_step;

/* What stays the same from step to step. The first members, up to `parts`, are the owner's; zero
 * the rest, and release with mien_step_release. */
typedef struct mien_step {
    mien_plan *plan;          /* for training, prepared for the rows of every batch */
    mien_loader *loader;      /* its current order names the batch's images */
    const void *class_weight; /* [classes] in backend memory, or NULL */
    body_augment ranges;
    float label_smoothing;
    /* This process computes part number `part` of `parts` equal ones of each batch; 0 and 0: all.
     * all_reduce adds the gradients of the parts up. */
    int part, parts;
    mien_recorded_step recorded[2]; /* of a whole batch and of the epoch's last */
    body_augment recorded_ranges;   /* that they were made for */
} mien_step;

/* The batch of `rows` from position `start` of the loader's order on, which must be where the
 * plan's step state stands: gather, forward, loss, backward, update. mien_plan_epoch has to be
 * called before an epoch's first step. Allocates nothing; all randomness comes from the step state.
 * On a device that can, everything but the fetching of a streamed batch is one recorded piece of
 * work. */
mien_status mien_step_run(mien_step *step, size_t start, int rows);
void mien_step_release(mien_step *step);

#endif
