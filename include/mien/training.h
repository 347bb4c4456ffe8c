/* Training.
 *
 *     char *folder, *metrics;
 *     mien_training_run(&(mien_training){.config = "sample"}, &folder, &metrics);
 *
 * Train in one thread at a time: a training uses all CPUs. */
#ifndef MIEN_TRAINING_H
#define MIEN_TRAINING_H

#include <stdbool.h>
#include <stddef.h>

#include "evaluation.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A few times a second during an epoch, or with `ended` after it. */
typedef struct mien_training_progress {
    int epoch, epochs;  /* from 1 */
    size_t done, total; /* images of the epoch; 0 after it */
    double loss;
    bool ended; /* the rest is of the epoch that ended */
    double accuracy, learning_rate, seconds, images_per_second;
    bool validated, best; /* the next three are of the validation part, if there is one */
    double val_loss, val_accuracy, val_macro_f1;
} mien_training_progress;

/* Called by the thread that called mien_training_run. Returns 0 to go on; anything else stops the
 * training after the step and saves a checkpoint. */
typedef int (*mien_training_fn)(void *context, const mien_training_progress *progress);

typedef struct mien_training {
    const char *config;      /* a recipe's name, or a YAML file; NULL: the defaults */
    const char *config_text; /* YAML, on top of `config`; or NULL */
    const char *const *set;  /* [set_count] "KEY=VALUE", on top of both */
    int set_count;
    const char *data;   /* sample, a file or a folder; NULL: the config's */
    const char *out;    /* the run folder, new or empty; NULL: runs/<config>-N */
    bool force;         /* replace what is in `out` */
    const char *device; /* as for mien_backend_open; NULL: "auto" */
    int threads;        /* 0: all */
    mien_training_fn progress;
    void *context;
} mien_training;

/* Trains as `mien train` does, and writes the same run folder. *folder is its path and *metrics the
 * text of metrics.json, or NULL without a validation part; free both with mien_string_free.
 * INTERRUPTED if `progress` stopped it: `mien train --resume` continues. */
mien_status mien_training_run(const mien_training *training, char **folder, char **metrics);

#ifdef __cplusplus
}
#endif
#endif
