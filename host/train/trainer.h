/* Runs a training: takes a config, writes a run directory. */
#ifndef HOST_TRAIN_TRAINER_H
#define HOST_TRAIN_TRAINER_H

#include "host/formats/model.h"
#include "host/train/checkpoints.h"
#include "host/train/config.h"
#include "host/eval/metrics.h"

/* The results of an epoch. */
typedef struct mien_epoch {
    int number, of; /* from 1 */
    double loss, accuracy, learning_rate;
    bool validated; /* false: there is no validation part, and the next three are 0 */
    double val_loss, val_accuracy, val_macro_f1;
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
    const char *folder;        /* run directory; must exist */
    const char *command;       /* for run.json */
    const char *commit;        /* of the program */
    const mien_resume *resume; /* continue from this checkpoint; NULL: start */
    bool resume_anyway;        /* even if the data or the plan differ from the checkpoint's */
    const volatile int *stop;  /* set by a signal: finish the step, save, return INTERRUPTED */
    mien_observer observer;
    int loader_threads;      /* of streamed data; 0: automatic */
    double (*seconds)(void); /* the clock that spaces checkpoints; NULL: mien_seconds */
} mien_train_request;

typedef struct mien_train_result {
    char started_from[MIEN_PATH]; /* the trained model that the run began with, or "" */
    bool validated;               /* there is a validation part */
    mien_metrics metrics; /* validation metrics of the best epoch; empty without validation */
    char collapsed[MIEN_CLASS_NAME + 192]; /* warning of metrics.json and train --json, or "" */
    int best_epoch, epochs;                /* without validation the last epoch is the best */
    long long steps;
    long long left_out; /* bad rows and files of the data */
    double seconds;
    double images_per_second; /* median over the epochs */
    long long saved_step;     /* of the newest checkpoint that was written; 0: none */
} mien_train_result;

/* Trains and writes config.yaml, run.json, log.csv, best.h5, metrics.json (not without a validation
 * part) and checkpoints; first removes those of an earlier run, unless it resumes. Release
 * result->metrics also after a failure; of a resumed run whose best epoch came before, they have
 * only loss, accuracy and macro F1. INTERRUPTED: a checkpoint is saved, unless no step has run.
 * DIVERGED: a loss or gradient is not finite and train.on_nan is `stop`, or no epoch had a finite
 * validation result. INVALID: data or plan are not those of the checkpoint. */
mien_status mien_train(const mien_train_request *request, mien_train_result *result);

#endif
