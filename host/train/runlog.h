/* The files of a run directory other than the models. */
#ifndef HOST_TRAIN_RUNLOG_H
#define HOST_TRAIN_RUNLOG_H

#include "host/eval/document.h"
#include "host/graph/plan.h"
#include "host/train/trainer.h"

/* Writes config.yaml: every key with its resolved value. */
mien_status mien_runlog_config(const mien_train_request *request, const mien_plan *plan);
/* Appends what decides the bits of a training: the device, the slices of a batch, the algorithms.
 * Each line starts with `prefix`. */
void mien_runlog_plan(const mien_train_request *request, const mien_plan *plan, const char *prefix,
                      mien_text *out);
/* Begins log.csv with a header, unless `log` is a resumed run's and has one: the columns of Keras's
 * CSVLogger and val_macro_f1; those of validation only if there is any. */
mien_status mien_runlog_start(const mien_train_request *request, bool validated, mien_text *log);
/* Appends an epoch to `log`, which is written as log.csv. */
void mien_runlog_epoch(const mien_epoch *epoch, mien_text *log);
/* Writes left-out.txt, a line for each bad row or file; nothing if there is none. */
mien_status mien_runlog_bad(const char *folder, mien_dataset *set);
/* Writes one of the folder's files. */
mien_status mien_runlog_write(const char *folder, const char *name, const mien_text *text);
/* Writes run.json: the command, the device and the outcome. `state`: running, finished, interrupted
 * or failed. `error`: why it failed, or NULL. */
mien_status mien_runlog_run(const mien_train_request *request, const char *state,
                            const mien_train_result *result, const char *started,
                            const char *error);

#endif
