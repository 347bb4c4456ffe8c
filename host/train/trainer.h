/* Runs a training: takes a config, writes a run directory. */
#ifndef HOST_TRAIN_TRAINER_H
#define HOST_TRAIN_TRAINER_H

#include "host/formats/model.h"
#include "host/train/config.h"
#include "host/eval/metrics.h"

/* The results of an epoch. */
typedef struct mien_epoch {
    int number, of; /* from 1 */
    double loss, accuracy, val_loss, val_accuracy, val_macro_f1, learning_rate;
    double seconds, images_per_second; /* of training, without validation */
    bool best;
} mien_epoch;

/* Callbacks during training, from the calling thread. Each may be NULL. */
typedef struct mien_observer {
    void *context;
    void (*step)(void *context, int epoch, size_t done, size_t of, double loss);
    void (*epoch)(void *context, const mien_epoch *epoch);
} mien_observer;

typedef struct mien_train_request {
    const mien_config *config;
    mien_backend *backend;
    const char *folder;       /* run directory; must exist */
    const char *command;      /* for run.json */
    const char *commit;       /* of the program */
    const volatile int *stop; /* set by a signal: finish the step, save, return INTERRUPTED */
    mien_observer observer;
    double (*seconds)(void); /* the clock that spaces copies of the weights; NULL: mien_seconds */
} mien_train_request;

typedef struct mien_train_result {
    mien_metrics metrics; /* validation metrics of the best epoch */
    int best_epoch, epochs;
    long long steps;
    double seconds;
    double images_per_second; /* median over the epochs */
} mien_train_result;

/* Trains and writes config.yaml, run.json, log.csv, best.h5 and metrics.json. Release
 * result->metrics also after a failure. INTERRUPTED: best.h5 and last.h5 are saved. DIVERGED: a
 * loss or gradient is not finite and train.on_nan is `stop`, or no epoch had a finite validation
 * result. */
mien_status mien_train(const mien_train_request *request, mien_train_result *result);

#endif
