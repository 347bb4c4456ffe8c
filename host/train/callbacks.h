/* What a training writes after each epoch if the config asks for it: model files by a template and
 * TensorBoard's event files. Private to the trainer. */
#ifndef HOST_TRAIN_CALLBACKS_H
#define HOST_TRAIN_CALLBACKS_H

#include "host/train/trainer_state.h"

/* Scalars, the confusion matrix of the epoch's metrics, and histograms of the weights. What a run
 * that was killed wrote after its last checkpoint is overwritten. */
mien_status mien_callbacks_events(mien_trainer *t, const mien_epoch *epoch);
/* The model, with checkpoint.file: the weights that were validated. */
mien_status mien_callbacks_model(mien_trainer *t, const mien_epoch *epoch,
                                 const mien_results *results);

#endif
