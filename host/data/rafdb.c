/* RAF-DB, the basic part: EmoLabel/list_patition_label.txt (the set's own spelling) with lines
 * "train_00001.jpg 5", and the pictures Image/aligned/train_00001_aligned.jpg. Both are also found
 * without these folders. */
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/data/face_sets.h"
#include "host/data/listing.h"

enum { LIST_MAX = 16 << 20, NAME_SIZE = 128 };

static const char *const lists[] = {"EmoLabel/list_patition_label.txt", "list_patition_label.txt",
                                    "EmoLabel/list_partition_label.txt"};
static const char *const picture_folders[] = {"Image/aligned", "aligned", "Image", ""};

/* The list's path in out[MIEN_PATH]. */
static bool find_list(const char *source, char *out) {
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (mien_path_join(out, source, lists[i]) == MIEN_OK && mien_file_exists(out)) return true;
    return false;
}

static bool accepts(const char *source) {
    char path[MIEN_PATH];
    return mien_is_folder(source) && find_list(source, path);
}

/* The folder of the pictures, relative to the source. */
static const char *find_subfolder(const char *source) {
    char path[MIEN_PATH];
    for (size_t i = 0; i + 1 < sizeof picture_folders / sizeof picture_folders[0]; i++)
        if (mien_path_join(path, source, picture_folders[i]) == MIEN_OK && mien_is_folder(path))
            return picture_folders[i];
    return "";
}

/* Letters, digits, _ and - with one dot before the suffix: a name from a list must not lead to
 * another folder. */
static bool is_plain_name(const char *name) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const size_t stem = strspn(name, allowed);
    return stem > 0 && name[stem] == '.' && listing_is_picture(name) &&
           strspn(name + stem + 1, allowed) == strlen(name + stem + 1);
}

static int part_of(const char *name) {
    if (strncmp(name, "train_", 6) == 0) return MIEN_TRAIN;
    return strncmp(name, "test_", 5) == 0 ? MIEN_TEST : MIEN_NO_PART;
}

/* Parses one zero-terminated line: "NAME LABEL". */
static mien_status read_line(const char *path, long long row, const char *line, char *name,
                             int *label) {
    char rest;
    if (sscanf(line, "%127s %d %c", name, label, &rest) != 2 || !is_plain_name(name) ||
        part_of(name) == MIEN_NO_PART)
        return MIEN_FAIL(FORMAT, "'%s': row %lld is not of the form 'train_00001.jpg 5'", path,
                         row);
    if (*label >= 1 && *label <= RAFDB_CLASSES) return MIEN_OK;
    return MIEN_FAIL(FORMAT, "'%s': row %lld: label %d; labels are 1 to %d", path, row, *label,
                     RAFDB_CLASSES);
}

/* Adds the picture of this name. If there is no such file, its aligned version is added instead,
 * and reported as missing if that does not exist either. */
static mien_status add_picture(mien_dataset *set, const char *subfolder, const char *name,
                               int label) {
    char file[NAME_SIZE + 16], relative[MIEN_PATH], full[MIEN_PATH];
    const char *dot = strrchr(name, '.');
    MIEN_TRY(mien_path_join(relative, subfolder, name));
    MIEN_TRY(mien_path_join(full, set->source, relative));
    if (!mien_file_exists(full)) {
        snprintf(file, sizeof file, "%.*s_aligned%s", (int)(dot - name), name, dot);
        MIEN_TRY(mien_path_join(relative, subfolder, file));
    }
    return pictures_add(set, relative, label - 1, part_of(name));
}

static mien_status read_list(mien_dataset *set, const char *path, char *text,
                             const mien_on_bad *on_bad) {
    const char *subfolder = find_subfolder(set->source);
    long long row = 0;
    for (char *line = text, *next; *line; line = next) {
        char name[NAME_SIZE];
        int label;
        char *end = strchr(line, '\n');
        next = end ? end + 1 : line + strlen(line);
        if (end) *end = 0;
        row++;
        if (line[strspn(line, " \t\r")] == 0) continue;
        if (read_line(path, row, line, name, &label) == MIEN_OK)
            MIEN_TRY(add_picture(set, subfolder, name, label));
        else
            MIEN_TRY(mien_dataset_bad(set, on_bad));
    }
    return MIEN_OK;
}

/* Without it, pictures of another format would only be missing. */
static mien_status warn_of_unread(const char *source) {
    char folder[MIEN_PATH];
    listing files = {0};
    mien_status status = mien_path_join(folder, source, find_subfolder(source));
    if (status == MIEN_OK) status = listing_pictures(folder, &files);
    if (status == MIEN_OK) listing_warn_unread(source, &files.unread);
    listing_release(&files);
    return status;
}

static mien_status open_rafdb(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    char path[MIEN_PATH], *text;
    size_t size;
    if (!find_list(source, path))
        return MIEN_FAIL(NOT_FOUND, "'%s' no longer contains %s", source, lists[0]);
    MIEN_TRY(pictures_start(set));
    MIEN_TRY(mien_dataset_classes(set, rafdb_names, RAFDB_CLASSES));
    MIEN_TRY(warn_of_unread(source));
    MIEN_TRY(mien_file_read(path, LIST_MAX, &text, &size));
    const mien_status status =
        strlen(text) == size ? read_list(set, path, text, on_bad)
                             : MIEN_FAIL(FORMAT, "'%s' contains NUL bytes: it is damaged", path);
    mien_free(text);
    return status == MIEN_OK ? pictures_load(set, on_bad) : status;
}

const mien_source_def mien_source_rafdb = {"a folder of pictures", accepts,        open_rafdb,
                                           pictures_read,          pictures_close, pictures_file,
                                           pictures_size};
