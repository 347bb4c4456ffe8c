#include "host/train/shipped.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "host/base/module.h"
#include "host/base/text.h"

enum { NAMES_MAX = 64, NAME_MAX_BYTES = 64 };

static int list_names(const char *path, char names[][NAME_MAX_BYTES]) {
    DIR *dir = opendir(path);
    int count = 0;
    for (const struct dirent *entry; dir && count < NAMES_MAX && (entry = readdir(dir));) {
        const size_t length = strlen(entry->d_name);
        if (!mien_path_ends(entry->d_name, ".yaml") || length >= NAME_MAX_BYTES) continue;
        snprintf(names[count++], NAME_MAX_BYTES, "%.*s", (int)length - 5, entry->d_name);
    }
    if (dir) closedir(dir);
    return count;
}

/* Lists, sorted, what the first folder that has any files offers. */
static mien_status not_found(const char *what, const char *folder, const char *name) {
    char path[MIEN_PATH], names[NAMES_MAX][NAME_MAX_BYTES];
    const char *known[NAMES_MAX];
    mien_text all = {0};
    int count = 0;
    if (mien_path_join(path, "configs", folder) == MIEN_OK) count = list_names(path, names);
    if (count == 0 && mien_shared_file("configs", folder, path) == MIEN_OK)
        count = list_names(path, names);
    for (int i = 0; i < count; i++) {
        int at = i;
        for (; at > 0 && strcmp(known[at - 1], names[i]) > 0; at--)
            known[at] = known[at - 1];
        known[at] = names[i];
    }
    for (int i = 0; i < count; i++)
        mien_text_printf(&all, "%s%s", i ? ", " : "", known[i]);
    const char *near = mien_nearest(name, known, (size_t)count);
    const mien_status status =
        MIEN_FAIL(NOT_FOUND, "there is no %s '%s'%s%s%s: give a file, or one of %s", what, name,
                  near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "",
                  all.data ? all.data : "configs (of which none are installed)");
    mien_text_release(&all);
    return status;
}

mien_status mien_shipped_find(const char *what, const char *folder, const char *name, char *out) {
    char below[64], file[160];
    snprintf(below, sizeof below, "configs/%s", folder);
    snprintf(file, sizeof file, "%.128s.yaml", name);
    MIEN_TRY(mien_path_join(out, below, file));
    if (mien_file_exists(out) || mien_shared_file(below, file, out) == MIEN_OK) return MIEN_OK;
    return not_found(what, folder, name);
}
