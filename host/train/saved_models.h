/* The list of model files that checkpoint.file has named in a run folder, so that --force removes
 * those of the old run and no others. */
#ifndef HOST_TRAIN_SAVED_MODELS_H
#define HOST_TRAIN_SAVED_MODELS_H

#include <stdbool.h>

#include "host/base/status.h"

#define MIEN_RUN_MODELS "model-files.txt"

/* Whether a file of this name stays in the run folder: neither absolute nor with "..". */
bool mien_saved_models_inside(const char *name);
/* Adds a name, before its file is written: what a killed run has begun is on the list as well. */
mien_status mien_saved_models_add(const char *folder, const char *name);
/* Removes the files on the list, folders that this leaves empty, and the list. */
mien_status mien_saved_models_clear(const char *folder);

#endif
