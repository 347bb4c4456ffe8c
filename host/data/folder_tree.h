/* A folder and everything below it, listed once: which folders hold pictures, and which only seem
 * to be classes. */
#ifndef HOST_DATA_FOLDER_TREE_H
#define HOST_DATA_FOLDER_TREE_H

#include "host/data/listing.h"

typedef struct tree_folder {
    size_t path; /* offset in `text`: relative to the source, "" for the source itself */
    size_t name; /* offset in `text`: its last component */
    size_t end;  /* index after its last descendant: folders are in depth-first order */
    int depth;
    listing pictures;
    size_t total; /* pictures in it and below */
    size_t table; /* offset in `text` of the name of a csv, tsv or Excel file in it; "" if none */
    bool unreadable;
} tree_folder;

typedef struct folder_tree {
    tree_folder *folders; /* [count]; the source is the first */
    size_t count, capacity;
    bool videos;    /* they are listed among the pictures */
    size_t ignored; /* entries that are neither folders nor pictures */
    unread_pictures unread;
    mien_text text;
} folder_tree;

/* Lists a source. Folders that systems and editors leave behind (__MACOSX, @eaDir, hidden ones) are
 * ignored. A folder below the source that cannot be read is marked. Release it even after a
 * failure. */
mien_status folder_tree_read(const char *source, bool videos, folder_tree *tree);
void folder_tree_release(folder_tree *tree);

const char *tree_path(const folder_tree *tree, size_t folder);
const char *tree_name(const folder_tree *tree, size_t folder);
/* The first or the next subfolder of `folder`; 0 after the last. */
size_t tree_first(const folder_tree *tree, size_t folder);
size_t tree_next(const folder_tree *tree, size_t folder, size_t child);
/* The path of a folder's picture, relative to the source, in out[MIEN_PATH]. */
mien_status tree_picture(const folder_tree *tree, size_t folder, size_t picture, char *out);

#endif
