/* Learning-rate schedules and the rules that depend on epoch results. */
#ifndef HOST_TRAIN_SCHEDULE_H
#define HOST_TRAIN_SCHEDULE_H

#include "host/train/config.h"

/* The results of an epoch, by MIEN_MONITOR_…; those of the validation part are NaN without one. */
typedef struct mien_results {
    double of[MIEN_MONITOR_COUNT];
} mien_results;

/* State of the plateau rule. */
typedef struct mien_plateau {
    double best, factor;
    int waited, cooldown; /* epochs: without improvement; that do not count yet */
} mien_plateau;

/* Learning rate at `step` (from 0) of `total` steps, with `per_epoch` steps per epoch. Every
 * schedule may start with a linear warm-up; the cosine is that of Loshchilov & Hutter 2017. */
double mien_schedule_rate(const mien_config *config, const mien_plateau *plateau, long long step,
                          long long total, long long per_epoch);
void mien_plateau_start(mien_plateau *plateau, const mien_config *config);
/* Call after each epoch; returns true if the rate was reduced. As Keras's ReduceLROnPlateau. */
bool mien_plateau_update(mien_plateau *plateau, const mien_config *config,
                         const mien_results *results);

/* "Is this the best epoch so far?" for early stopping and for best.h5. */
typedef struct mien_monitor {
    int what;                          /* MIEN_MONITOR_… */
    bool falls;                        /* lower is better */
    double min_delta, best, best_loss; /* of equal epochs the one with the lower val_loss is best */
    int waited;                        /* epochs since the best one */
    int epoch;                         /* of the best, from 1; 0: none yet */
} mien_monitor;

/* mode: MIEN_MODE_… */
void mien_monitor_start(mien_monitor *monitor, int what, int mode, double min_delta);
/* Call after each epoch; returns true if it is the best so far. NaN never counts as best. */
bool mien_monitor_update(mien_monitor *monitor, int epoch, const mien_results *results);
/* The same for early stopping; returns true if the training is to stop. As Keras's EarlyStopping:
 * the first epoch never stops it. */
bool mien_early_stop(mien_monitor *monitor, const mien_config *config, int epoch,
                     const mien_results *results);
/* Takes the state, not the rule, from a checkpoint's monitor. */
void mien_monitor_take(mien_monitor *monitor, const mien_monitor *from);

#endif
