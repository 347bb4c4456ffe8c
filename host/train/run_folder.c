#include "host/train/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"

/* Also where that cannot be told: nothing is replaced in doubt. */
static bool is_used(const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) return errno != ENOENT;
    bool used = false;
    errno = 0;
    for (const struct dirent *entry; (entry = readdir(dir)); errno = 0)
        used |= strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                strcmp(entry->d_name, ".lock") != 0;
    used |= errno != 0;
    closedir(dir);
    return used;
}

mien_status mien_run_new(const char *out, bool force, const mien_config *config, mien_run *run) {
    *run = (mien_run){.lock = -1};
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
        mien_run_release(run, false);
    }
    run->folder[0] = 0;
    return MIEN_FAIL(IO, "there is no free folder runs/%s-N: give one with --out", stem);
}

void mien_run_release(mien_run *run, bool failed) {
    mien_resume_release(&run->resume);
    if (failed && !is_used(run->folder))
        mien_unlock_folder(run->folder, run->lock);
    else if (run->lock >= 0)
        close(run->lock);
    if (failed) rmdir(run->folder); /* fails, as it should, if anything was written */
    run->lock = -1;
}
