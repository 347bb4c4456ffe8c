#include "host/data/folder_tree.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/base/file.h"
#include "host/base/memory.h"

/* A link to a folder above ends at the depth; a wrong source, such as a home folder, at the count.
 */
enum { DEPTH_MAX = 12, FOLDERS_MAX = 1 << 18 };

const char *tree_path(const folder_tree *t, size_t folder) {
    return t->text.data + t->folders[folder].path;
}

const char *tree_name(const folder_tree *t, size_t folder) {
    return t->text.data + t->folders[folder].name;
}

size_t tree_first(const folder_tree *t, size_t folder) {
    return folder + 1 < t->folders[folder].end ? folder + 1 : 0;
}

size_t tree_next(const folder_tree *t, size_t folder, size_t child) {
    const size_t next = t->folders[child].end;
    return next < t->folders[folder].end ? next : 0;
}

mien_status tree_picture(const folder_tree *t, size_t folder, size_t picture, char *out) {
    return mien_path_join(out, tree_path(t, folder), t->folders[folder].pictures.names[picture]);
}

/* Left by macOS, Synology and Windows; their contents are not the user's. */
static bool is_left_behind(const char *name) {
    static const char *const names[] = {"__MACOSX", "@eaDir", "$RECYCLE.BIN",
                                        "System Volume Information", "lost+found"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* The folders from the source down to the one that is read: one that is its own ancestor, through a
 * link, is not read again. */
typedef struct trail {
    dev_t device[DEPTH_MAX + 1];
    ino_t inode[DEPTH_MAX + 1];
} trail;

static bool is_on_trail(trail *t, int depth, const char *path) {
    struct stat info = {0};
    if (stat(path, &info) != 0) return false;
    for (int i = 0; i < depth; i++)
        if (t->device[i] == info.st_dev && t->inode[i] == info.st_ino) return true;
    t->device[depth] = info.st_dev;
    t->inode[depth] = info.st_ino;
    return false;
}

static size_t keep_text(folder_tree *t, const char *text) {
    const size_t at = t->text.size;
    mien_text_append(&t->text, text, strlen(text) + 1);
    return at;
}

static mien_status read_folder(folder_tree *t, const char *source, const char *relative, int depth,
                               trail *up);

static mien_status read_subfolders(folder_tree *t, const char *source, const char *relative,
                                   const listing *folders, int depth, trail *up) {
    char below[MIEN_PATH];
    for (size_t i = 0; i < folders->count; i++) {
        if (is_left_behind(folders->names[i]) || depth == DEPTH_MAX) {
            t->ignored++;
            continue;
        }
        MIEN_TRY(mien_path_join(below, relative, folders->names[i]));
        MIEN_TRY(read_folder(t, source, below, depth + 1, up));
    }
    return MIEN_OK;
}

static mien_status read_folder(folder_tree *t, const char *source, const char *relative, int depth,
                               trail *up) {
    char full[MIEN_PATH], table[LISTING_NAME];
    listing folders = {0};
    MIEN_TRY(mien_path_join(full, source, *relative ? relative : "."));
    if (is_on_trail(up, depth, full)) {
        t->ignored++;
        return MIEN_OK;
    }
    if (t->count == FOLDERS_MAX)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' holds more than %d folders: give the folder of the classes", source,
                         FOLDERS_MAX);
    const size_t at = t->count;
    MIEN_TRY(mien_grow(&t->folders, &t->capacity, at + 1, sizeof *t->folders));
    t->folders[t->count++] = (tree_folder){.depth = depth, .end = at + 1};
    mien_status status = listing_both(full, t->videos, &folders, &t->folders[at].pictures, table);
    if (status == MIEN_IO && depth > 0) {
        t->folders[at].unreadable = true;
        status = MIEN_OK;
    }
    MIEN_GO(status);
    tree_folder *f = &t->folders[at];
    const char *slash = strrchr(relative, '/');
    f->path = keep_text(t, relative);
    f->name = f->path + (slash ? (size_t)(slash + 1 - relative) : 0);
    f->table = keep_text(t, table);
    f->total = f->pictures.count;
    t->ignored += f->pictures.ignored;
    listing_add_unread(&t->unread, &f->pictures.unread);
    MIEN_GO(t->text.status);
    MIEN_GO(read_subfolders(t, source, relative, &folders, depth, up));
    f = &t->folders[at]; /* the array may have moved */
    f->end = t->count;
    for (size_t i = tree_first(t, at); i; i = tree_next(t, at, i))
        f->total += t->folders[i].total;
out:
    listing_release(&folders);
    return status;
}

mien_status folder_tree_read(const char *source, bool videos, folder_tree *t) {
    trail up;
    *t = (folder_tree){.videos = videos};
    return read_folder(t, source, "", 0, &up);
}

void folder_tree_release(folder_tree *t) {
    for (size_t i = 0; i < t->count; i++)
        listing_release(&t->folders[i].pictures);
    mien_free(t->folders);
    mien_text_release(&t->text);
    *t = (folder_tree){0};
}
