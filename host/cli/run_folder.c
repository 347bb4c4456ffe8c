#include "host/cli/run_folder.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"

static bool is_used(const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) return false;
    bool used = false;
    for (const struct dirent *entry; (entry = readdir(dir));)
        used |= strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                strcmp(entry->d_name, ".lock") != 0;
    closedir(dir);
    return used;
}

mien_status cli_run_new(const char *out, bool force, const mien_config *config, cli_run *run) {
    *run = (cli_run){.lock = -1};
    if (out) {
        MIEN_TRY(mien_path_join(run->folder, "", out));
        MIEN_TRY(mien_make_folders(out));
        MIEN_TRY(mien_lock_folder(out, &run->lock));
        if (force || !is_used(out)) return MIEN_OK;
        return MIEN_FAIL(INVALID,
                         "the folder '%s' is not empty: choose another --out, continue its "
                         "training with --resume, or replace it with --force",
                         out);
    }
    char stem[64] = "run";
    if (config->path[0]) mien_path_stem(stem, sizeof stem, config->path);
    for (int n = 1; n < 100000; n++) {
        snprintf(run->folder, MIEN_PATH, "runs/%s-%d", stem, n);
        if (mien_file_exists(run->folder)) continue;
        MIEN_TRY(mien_make_folders(run->folder));
        /* another process may have chosen the same */
        if (mien_lock_folder(run->folder, &run->lock) == MIEN_OK && !is_used(run->folder))
            return MIEN_OK;
        cli_run_release(run, false);
    }
    run->folder[0] = 0;
    return MIEN_FAIL(IO, "there is no free folder runs/%s-N: give one with --out", stem);
}

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
                           mien_config *config, cli_run *run, bool *usage) {
    mien_status status = MIEN_NOT_FOUND;
    *run = (cli_run){.lock = -1};
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

void cli_run_release(cli_run *run, bool failed) {
    mien_resume_release(&run->resume);
    if (failed && !is_used(run->folder))
        mien_unlock_folder(run->folder, run->lock);
    else if (run->lock >= 0)
        close(run->lock);
    if (failed) rmdir(run->folder); /* fails, as it should, if anything was written */
    run->lock = -1;
}
