#include "host/cli/run_folder.h"

#include <stdio.h>
#include <string.h>

#include "host/base/file.h"

/* The recipe of the command line, or the checkpoint's settings with what the command line sets. */
static mien_status read_config(const cli_recipe *recipe, const mien_resume *r,
                               mien_config *config) {
    if (recipe->config) return cli_config(recipe, config);
    MIEN_TRY(mien_config_start(config));
    MIEN_TRY(mien_config_read_text(config, r->texts.config, r->path));
    snprintf(config->path, sizeof config->path, "%s", r->texts.recipe);
    return cli_recipe_apply(recipe, config);
}

static mien_status compare(const mien_config *config, const mien_resume *r) {
    mien_config before;
    mien_text differences = {0};
    mien_status status = mien_config_start(&before);
    if (status == MIEN_OK) status = mien_config_read_text(&before, r->texts.config, r->path);
    if (status == MIEN_OK) status = mien_config_differences(config, &before, &differences);
    if (status == MIEN_OK && differences.size)
        status = MIEN_FAIL(INVALID,
                           "the settings are not those of %s: %s; --resume-anyway continues with "
                           "them",
                           r->path, differences.data);
    mien_text_release(&differences);
    mien_config_release(&before);
    return status;
}

/* Without a checkpoint: the settings of the command line, or those that a training which was
 * stopped before its first step left in the folder. */
static mien_status read_start(const char *folder, const cli_recipe *recipe, mien_config *config) {
    char path[MIEN_PATH];
    cli_recipe own = *recipe;
    if (recipe->config || recipe->data) return cli_config(recipe, config);
    MIEN_TRY(mien_path_join(path, folder, "config.yaml"));
    if (!mien_file_exists(path))
        return MIEN_FAIL(INVALID,
                         "'%s' has no checkpoint to continue from; to start a training there, give "
                         "a CONFIG or --data",
                         folder);
    own.config = path;
    return cli_config(&own, config);
}

mien_status cli_run_resume(const char *folder, bool anyway, const cli_recipe *recipe,
                           mien_config *config, mien_run *run, bool *usage) {
    mien_status status = MIEN_NOT_FOUND;
    *run = (mien_run){.lock = -1};
    *usage = false;
    MIEN_TRY(mien_path_join(run->folder, "", folder));
    if (recipe->config || recipe->data) MIEN_TRY(mien_make_folders(folder));
    if (mien_is_folder(folder)) {
        MIEN_TRY(mien_lock_folder(folder, &run->lock));
        status = mien_checkpoints_newest(folder, &run->resume);
    }
    *usage = status == MIEN_OK || status == MIEN_NOT_FOUND; /* if the config is wrong */
    if (status == MIEN_NOT_FOUND) return read_start(folder, recipe, config);
    MIEN_TRY(status);
    run->resumes = true;
    MIEN_TRY(read_config(recipe, &run->resume, config));
    *usage = false;
    return anyway ? MIEN_OK : compare(config, &run->resume);
}
