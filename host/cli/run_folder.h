/* The folder of a training that is continued. */
#ifndef HOST_CLI_RUN_FOLDER_H
#define HOST_CLI_RUN_FOLDER_H

#include "host/cli/recipe.h"
#include "host/train/run_folder.h"

/* Locks `folder` and opens its newest checkpoint. The config is the checkpoint's, or that of the
 * recipe, which must be equal unless `anyway`; without a checkpoint the training starts there with
 * the recipe or with the folder's config.yaml, and INVALID if there is neither. *usage: the command
 * line is wrong. Release `run` and `config` also after a failure. */
mien_status cli_run_resume(const char *folder, bool anyway, const cli_recipe *recipe,
                           mien_config *config, mien_run *run, bool *usage);

#endif
