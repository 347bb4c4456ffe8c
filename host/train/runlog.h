/* The files of a run directory beside the models. */
#ifndef HOST_TRAIN_RUNLOG_H
#define HOST_TRAIN_RUNLOG_H

#include "host/graph/plan.h"
#include "host/train/trainer.h"

/* config.yaml: every key as resolved. */
mien_status mien_runlog_config(const mien_train_request *request, const mien_plan *plan);
/* log.csv: Keras's CSVLogger columns and val_macro_f1; the header with epoch NULL. */
mien_status mien_runlog_epoch(const char *folder, const mien_epoch *epoch, mien_text *log);
/* run.json: what ran, where, how it went. `state`: running, finished, interrupted, failed. */
mien_status mien_runlog_run(const mien_train_request *request, const char *state,
                            const mien_train_result *result, const char *started);

#endif
