#include "host/data/container.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

#include "host/base/file.h"
#include "host/base/mount.h"
#include "host/data/archive.h"
#include "host/data/listing.h"

enum { HEADER_MAX = 4096, DEPTH_MAX = 3, ROOT_DEPTH_MAX = 8 };

static bool is_table(const char *name) {
    return mien_path_ends(name, ".csv") || mien_path_ends(name, ".csv.gz");
}

/* Whether a csv's header has the column of pixels; a table of labels has none. */
static bool holds_faces(const char *path) {
    char header[HEADER_MAX + 1];
    int fd;
    if (!mien_mount_open(path, &fd)) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    gzFile file = gzdopen(fd, "rb"); /* reads plain files as they are */
    if (!file) {
        close(fd);
        return false;
    }
    const int size = gzread(file, header, HEADER_MAX);
    gzclose(file);
    header[size > 0 ? size : 0] = 0;
    header[strcspn(header, "\r\n")] = 0;
    return strcasestr(header, "pixels") != NULL;
}

/* Whether the folders in a folder have pictures, in classes or in classes of parts. */
static bool has_pictures(const char *folder, int depth) {
    char path[MIEN_PATH];
    listing found = {0};
    bool has = depth < DEPTH_MAX && listing_pictures(folder, &found) == MIEN_OK && found.count > 0;
    listing_release(&found);
    if (has) return depth > 0;
    if (depth == DEPTH_MAX) return false;
    if (listing_folders(folder, &found) == MIEN_OK)
        for (size_t i = 0; i < found.count && !has; i++)
            has = mien_path_join(path, folder, found.names[i]) == MIEN_OK &&
                  has_pictures(path, depth + 1);
    listing_release(&found);
    return has;
}

/* Removes the names of other tables from the list. */
static void keep_faces(const char *folder, listing *tables) {
    char path[MIEN_PATH];
    size_t kept = 0;
    for (size_t i = 0; i < tables->count; i++)
        if (mien_path_join(path, folder, tables->names[i]) == MIEN_OK && holds_faces(path))
            tables->names[kept++] = tables->names[i];
    tables->count = kept;
}

static mien_status choose(const char *folder, const listing *tables, const char **out) {
    /* the complete sets, which lie beside parts of themselves */
    static const char *const whole[] = {"fer2013.csv", "fer2013.csv.gz", "icml_face_data.csv"};
    *out = tables->names[0];
    if (tables->count == 1) return MIEN_OK;
    for (size_t w = 0; w < sizeof whole / sizeof whole[0]; w++)
        for (size_t i = 0; i < tables->count; i++)
            if (strcasecmp(tables->names[i], whole[w]) == 0) {
                *out = tables->names[i];
                return MIEN_OK;
            }
    return MIEN_FAIL(FORMAT,
                     "the folder '%s' holds %zu csv files of faces: give one of them, such "
                     "as '%s/%s'",
                     folder, tables->count, folder, tables->names[0]);
}

mien_status container_table(char *source) {
    char path[MIEN_PATH];
    const char *name;
    listing tables = {0}, archives = {0};
    mien_status status = MIEN_OK;
    if (!mien_is_folder(source)) return MIEN_OK;
    if (listing_files(source, is_table, &tables) == MIEN_OK) keep_faces(source, &tables);
    if (tables.count && !has_pictures(source, 0)) {
        MIEN_GO(choose(source, &tables, &name));
        MIEN_GO(mien_path_join(path, source, name));
        strcpy(source, path);
    } else if (listing_files(source, archive_is, &archives) == MIEN_OK && archives.count &&
               !has_pictures(source, 0)) {
        status =
            MIEN_FAIL(FORMAT, "the folder '%s' holds the archive '%s', but no images: give '%s/%s'",
                      source, archives.names[0], source, archives.names[0]);
    }
out:
    listing_release(&tables);
    listing_release(&archives);
    return status;
}

/* Folders named like a part are not skipped: they say which part it is. */
static bool is_part(const char *name) {
    static const char *const begins[] = {"train", "val", "test", "dev", "public", "private"};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (strncasecmp(name, begins[i], strlen(begins[i])) == 0) return true;
    return false;
}

/* Whether all that a folder holds is another folder, which then is the data; a folder of pictures
 * only is a class. */
static bool only_holds(const char *path, char *inner) {
    listing folders = {0}, beside = {0}, within = {0}, tables = {0};
    bool only = listing_folders(path, &folders) == MIEN_OK && folders.count == 1 &&
                listing_files(path, is_table, &beside) == MIEN_OK && !beside.count &&
                !is_part(folders.names[0]) &&
                mien_path_join(inner, path, folders.names[0]) == MIEN_OK;
    only = only && listing_folders(inner, &within) == MIEN_OK &&
           listing_files(inner, is_table, &tables) == MIEN_OK && (within.count || tables.count);
    listing_release(&folders);
    listing_release(&beside);
    listing_release(&within);
    listing_release(&tables);
    return only;
}

mien_status container_root(const char *archive, char *out) {
    char inner[MIEN_PATH];
    MIEN_TRY(mien_path_join(out, "", archive));
    for (int depth = 0; depth < ROOT_DEPTH_MAX && only_holds(out, inner); depth++)
        strcpy(out, inner);
    return MIEN_OK;
}
