/* Checks outputs before the work begins: can they be written, and do they overwrite no input?
 * Creates nothing. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/cli/cli.h"
#include "host/data/merge.h"
#include "host/formats/model.h"

static mien_status cannot(const char *flag, const char *path, const char *at, int code) {
    if (code == ENOENT)
        return MIEN_FAIL(NOT_FOUND, "%s '%s': there is no folder '%s'; create it first", flag, path,
                         at);
    return MIEN_FAIL(IO, "%s '%s': cannot write to '%s': %s", flag, path, at, strerror(code));
}

static mien_status check_folder(const char *flag, const char *path, const char *folder) {
    if (access(folder, F_OK) != 0) return cannot(flag, path, folder, errno);
    if (!mien_is_folder(folder)) return cannot(flag, path, folder, ENOTDIR);
    return access(folder, W_OK | X_OK) == 0 ? MIEN_OK : cannot(flag, path, folder, errno);
}

mien_status cli_writable(const char *flag, const char *path) {
    char folder[MIEN_PATH];
    struct stat info;
    if (!path) return MIEN_OK;
    if (!*path) return MIEN_FAIL(INVALID, "%s: the file name is empty", flag);
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return MIEN_FAIL(INVALID, "%s '%s' is a folder: give a file name", flag, path);
        if (!S_ISREG(info.st_mode)) /* a device or pipe needs no folder */
            return access(path, W_OK) == 0 ? MIEN_OK : cannot(flag, path, path, errno);
    } else if (errno != ENOENT) {
        return cannot(flag, path, path, errno);
    }
    mien_path_folder(folder, path);
    return check_folder(flag, path, folder);
}

mien_status cli_writable_folder(const char *flag, const char *path) {
    char folder[MIEN_PATH];
    if (!path) return MIEN_OK;
    if (!*path) return MIEN_FAIL(INVALID, "%s: the folder name is empty", flag);
    MIEN_TRY(mien_path_join(folder, "", path));
    while (access(folder, F_OK) != 0 && errno == ENOENT && strcmp(folder, ".") != 0) {
        char inner[MIEN_PATH];
        strcpy(inner, folder);
        mien_path_folder(folder, inner);
    }
    return check_folder(flag, path, folder);
}

mien_status cli_spares(const char *flag, const char *out, const cli_inputs *inputs) {
    char path[MIEN_PATH];
    if (!out) return MIEN_OK;
    bool is_input = inputs->data && mien_dataset_reads(inputs->data, out);
    for (int i = 0; inputs->models && i < inputs->models->count && !is_input; i++)
        is_input =
            mien_model_file(inputs->models->items[i], path) == MIEN_OK && mien_same_file(path, out);
    for (size_t i = 0; i < inputs->other_count && !is_input; i++)
        is_input = inputs->others[i] && mien_same_file(inputs->others[i], out);
    if (!is_input) return MIEN_OK;
    return MIEN_FAIL(INVALID, "%s would overwrite '%s', which is an input: choose another file",
                     flag, out);
}
