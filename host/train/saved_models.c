#include "host/train/saved_models.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/text.h"

enum { LIST_MAX = 64 << 20 };

bool mien_saved_models_inside(const char *name) {
    return name[0] != 0 && name[0] != '/' && !strstr(name, "..");
}

/* The list's text; NULL where there is none. */
static mien_status read_list(const char *folder, char *path, char **text) {
    size_t size;
    *text = NULL;
    MIEN_TRY(mien_path_join(path, folder, MIEN_RUN_MODELS));
    const mien_status status = mien_file_read_plain(path, LIST_MAX, text, &size);
    return status == MIEN_NOT_FOUND ? MIEN_OK : status;
}

static bool is_listed(const char *text, const char *name) {
    const char *line;
    size_t length;
    while (text && mien_next_part(&text, '\n', &line, &length))
        if (length == strlen(name) && strncmp(line, name, length) == 0) return true;
    return false;
}

mien_status mien_saved_models_add(const char *folder, const char *name) {
    char path[MIEN_PATH], *before;
    mien_text text = {0};
    MIEN_TRY(read_list(folder, path, &before));
    mien_status status = MIEN_OK;
    if (!is_listed(before, name)) {
        mien_text_printf(&text, "%s%s\n", before ? before : "", name);
        status = text.status;
        if (status == MIEN_OK) status = mien_file_write(path, text.data, text.size);
    }
    mien_text_release(&text);
    mien_free(before);
    return status;
}

static mien_status remove_one(const char *folder, const char *name) {
    char path[MIEN_PATH], parent[MIEN_PATH];
    MIEN_TRY(mien_path_join(path, folder, name));
    if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR && errno != EISDIR)
        return MIEN_FAIL(IO, "cannot remove '%s': %s", path, strerror(errno));
    mien_path_folder(parent, path);
    while (strlen(parent) > strlen(folder) && rmdir(parent) == 0) { /* fails unless it is empty */
        strcpy(path, parent);
        mien_path_folder(parent, path);
    }
    return MIEN_OK;
}

mien_status mien_saved_models_clear(const char *folder) {
    char path[MIEN_PATH], name[MIEN_PATH], *text;
    const char *line;
    size_t length;
    MIEN_TRY(read_list(folder, path, &text));
    if (!text) return MIEN_OK;
    mien_status status = MIEN_OK;
    for (const char *at = text; status == MIEN_OK && mien_next_part(&at, '\n', &line, &length);) {
        if (length >= sizeof name) continue;
        snprintf(name, sizeof name, "%.*s", (int)length, line);
        if (mien_saved_models_inside(name)) status = remove_one(folder, name);
    }
    mien_free(text);
    if (status == MIEN_OK && unlink(path) != 0)
        status = MIEN_FAIL(IO, "cannot remove '%s': %s", path, strerror(errno));
    return status;
}
