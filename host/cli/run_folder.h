/* The folder that a training writes: chosen, locked, and continued from. */
#ifndef HOST_CLI_RUN_FOLDER_H
#define HOST_CLI_RUN_FOLDER_H

#include "host/cli/recipe.h"
#include "host/train/checkpoints.h"

typedef struct cli_run {
    char folder[MIEN_PATH];
    int lock;           /* -1: none */
    bool resumes;       /* there is a checkpoint */
    mien_resume resume; /* it */
} cli_run;

/* Creates and locks a new run folder: `out`, or the first free runs/<config>-N. INVALID if `out` is
 * not empty, unless `force`. Release `run` also after a failure. */
mien_status cli_run_new(const char *out, bool force, const mien_config *config, cli_run *run);
/* Locks `folder` and opens its newest checkpoint. The config is the checkpoint's, or that of the
 * recipe, which must be equal unless `anyway`; without a checkpoint the training starts there with
 * the recipe or with the folder's config.yaml, and INVALID if there is neither. *usage: the command
 * line is wrong. Release `run` and `config` also after a failure. */
mien_status cli_run_resume(const char *folder, bool anyway, const cli_recipe *recipe,
                           mien_config *config, cli_run *run, bool *usage);
/* `failed`: also removes the folder if nothing was written into it. */
void cli_run_release(cli_run *run, bool failed);

#endif
