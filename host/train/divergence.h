/* Numbers that are not finite: found before they change a weight, and what train.on_nan does about
 * them. Private to the trainer. */
#ifndef HOST_TRAIN_DIVERGENCE_H
#define HOST_TRAIN_DIVERGENCE_H

#include "host/train/trainer_state.h"

/* DIVERGED: `what` is not finite. */
mien_status mien_divergence_fail(const mien_trainer *t, int epoch, const char *what);
/* Reads the flag that a loss, gradient or weight that is not finite sets; the device has already
 * held back that update and, unless they are skipped, all later ones. */
mien_status mien_divergence_check(mien_trainer *t, int epoch);
/* Rollback: call before an epoch, or before the rest of one. Keeps the state that the epoch started
 * from, in memory and as a checkpoint. */
mien_status mien_divergence_keep(mien_trainer *t, mien_train_result *result);
/* Rollback: after `status`, goes back to the kept state. Returns OK if it did, otherwise `status`
 * with its message. */
mien_status mien_divergence_return(mien_trainer *t, mien_status status, mien_train_result *result);

#endif
