#include "host/data/classes_file.h"

#include <string.h>

#include "host/base/memory.h"

enum { CLASSES_FILE_MAX = 1 << 20 };

mien_status classes_file_read(mien_dataset *set, const char *folder, int *count) {
    char path[MIEN_PATH], *text, *names[MIEN_CLASSES_MAX];
    size_t size;
    MIEN_TRY(mien_path_join(path, folder, "classes.txt"));
    if (!mien_file_exists(path)) return MIEN_OK;
    MIEN_TRY(mien_file_read(path, CLASSES_FILE_MAX, &text, &size));
    mien_status status = MIEN_OK;
    if (strlen(text) != size)
        status = MIEN_FAIL(FORMAT, "'%s' contains NUL bytes: it is damaged", path);
    for (char *line = text; *line && status == MIEN_OK;) {
        char *end = line + strcspn(line, "\r\n");
        char *next = end + strspn(end, "\r\n");
        *end = 0;
        if (*count == MIEN_CLASSES_MAX || end - line >= MIEN_CLASS_NAME)
            status = MIEN_FAIL(FORMAT, "'%s': more than %d classes, or a name longer than %d bytes",
                               path, MIEN_CLASSES_MAX, MIEN_CLASS_NAME - 1);
        else if (*line)
            names[(*count)++] = line;
        line = next;
    }
    if (status == MIEN_OK && *count == 0) status = MIEN_FAIL(FORMAT, "'%s' names no class", path);
    if (status == MIEN_OK) status = mien_dataset_classes(set, (const char *const *)names, *count);
    mien_free(text);
    return status;
}
