/* A training in progress, and the saving and restoring of its complete state. Private to the
 * trainer. */
#ifndef HOST_TRAIN_TRAINER_STATE_H
#define HOST_TRAIN_TRAINER_STATE_H

#include "host/train/checkpoints.h"
#include "host/train/schedule.h"
#include "host/train/setup.h"
#include "host/train/step.h"
#include "host/train/trainer.h"

/* What a training goes back to. */
typedef struct mien_good {
    mien_weights arrays[MIEN_ARRAYS];
    mien_progress progress;
} mien_good;

typedef struct mien_trainer {
    const mien_train_request *request;
    const mien_config *config;
    mien_setup setup;
    mien_plan *plan;
    mien_loader loader;
    mien_step work;
    float *probabilities; /* of the validation part */
    uint16_t *val_labels;
    void *class_weight; /* in backend memory, or NULL */
    mien_text log;
    mien_plateau plateau;
    mien_monitor best, patience;
    uint64_t events[2]; /* bytes of TensorBoard's files */
    bool stops;         /* early stopping: after this epoch */
    mien_metrics epoch_metrics;
    double *speeds; /* images per second of each epoch of this process */
    int speed_count;
    double *rates;   /* learning rate of each step of an epoch */
    double reported; /* time of the last progress report */
    long long step, per_epoch, total;
    /* checkpoints: */
    mien_weights arrays[MIEN_ARRAYS]; /* buffers for what they hold */
    mien_text checkpoint_bytes;       /* of the last one: the next takes their memory */
    mien_text config_text, plan_text;
    char data_sha256[2 * 65]; /* of the training and the validation part */
    body_step resumed;        /* of the checkpoint that the run continues; tick 0: between epochs */
    double checkpointed;      /* when it was written */
    double began, seconds_before; /* when this process started; trained before it */
    mien_text metrics_text;       /* of the best epoch, for metrics.json */
    long long best_step;
    bool best_unwritten, log_unwritten; /* what a full disk, say, has kept from being written */
    bool within_epoch; /* the device's cursor and sums belong to an epoch in progress */
    /* divergence: */
    int nan_count;         /* skipped updates or roll backs */
    double rate_factor;    /* of all learning rates, after roll backs */
    mien_good good;        /* with train.on_nan=rollback: the start of this epoch */
    long long good_before; /* the step of that of the epoch before; -1: none */
} mien_trainer;

/* By the request's clock. */
double mien_trainer_now(const mien_trainer *t);
/* The texts that a checkpoint is compared by. */
mien_status mien_trainer_describe(mien_trainer *t);
/* Continues from the request's checkpoint: all that the next step reads is as it was. */
mien_status mien_trainer_resume(mien_trainer *t, mien_train_result *result);
/* The first row of the epoch's next step: 0, unless the run continues a
 * checkpoint within this epoch. */
mien_status mien_trainer_first_row(mien_trainer *t, size_t *out);
/* The state of the moment: t->arrays, not yet checked, and *out. */
mien_status mien_trainer_capture(mien_trainer *t, const mien_train_result *result,
                                 mien_progress *out);
/* Makes a captured state that of the training. */
mien_status mien_trainer_restore(mien_trainer *t, const mien_good *from, mien_train_result *result);
/* Copies the current weights from the device to the host's model, after a best one that is not on
 * the disk yet has been written. */
mien_status mien_trainer_weights(mien_trainer *t, bool averaged, int epoch);
/* Writes the best epoch's model and metrics and the log, as far as they are not on the disk. */
mien_status mien_trainer_catch_up(mien_trainer *t);
/* The same during a training, which a full disk must not end: one more try, then a warning. */
mien_status mien_trainer_try_files(mien_trainer *t);
/* Makes a warning of a failure that may be over the next time. */
mien_status mien_trainer_tolerate(mien_status status);
/* Writes a checkpoint, but only after all that it says is done. */
mien_status mien_trainer_save(mien_trainer *t, mien_train_result *result, bool finished);
/* The same during a training, which a full disk must not end: one more try, then a warning. */
mien_status mien_trainer_checkpoint(mien_trainer *t, mien_train_result *result);

#endif
