/* Learning-rate schedules and the rules that depend on epoch results. */
#ifndef HOST_TRAIN_SCHEDULE_H
#define HOST_TRAIN_SCHEDULE_H

#include "host/train/config.h"

/* State of the plateau rule. */
typedef struct mien_plateau {
    double best, factor;
    int waited;
} mien_plateau;

/* Learning rate at `step` (from 0) of `total` steps, with `per_epoch` steps per epoch. Every
 * schedule may start with a linear warm-up; the cosine is that of Loshchilov & Hutter 2017. */
double mien_schedule_rate(const mien_config *config, const mien_plateau *plateau, long long step,
                          long long total, long long per_epoch);
void mien_plateau_start(mien_plateau *plateau);
/* Call after each epoch; returns true if the rate was reduced. */
bool mien_plateau_update(mien_plateau *plateau, const mien_config *config, double val_loss);

/* "Is this the best epoch so far?" for early stopping and for best.h5. */
typedef struct mien_monitor {
    int what;                          /* MIEN_MONITOR_… */
    double min_delta, best, best_loss; /* of equal epochs the one with the lower val_loss is best */
    int waited;                        /* epochs since the best one */
    int epoch;                         /* of the best, from 1; 0: none yet */
} mien_monitor;

void mien_monitor_start(mien_monitor *monitor, int what, double min_delta);
/* Call after each epoch; returns true if it is the best so far. NaN never counts as best. */
bool mien_monitor_update(mien_monitor *monitor, int epoch, double val_loss, double val_accuracy,
                         double val_macro_f1);

#endif
