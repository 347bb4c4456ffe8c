/* The contents of a folder, sorted bytewise by name so that results do not depend on the file
 * system's order. */
#ifndef HOST_DATA_LISTING_H
#define HOST_DATA_LISTING_H

#include <stdbool.h>

#include "host/base/text.h"

enum { LISTING_NAME = 256 };
/* Pictures of formats that are not supported, counted by the ending of their names. */
typedef struct unread_pictures {
    struct {
        char ending[20];
        size_t count;
    } kinds[8];
} unread_pictures;

typedef struct listing {
    char **names; /* [count] sorted; they point into `text` */
    size_t count;
    size_t ignored; /* the folder's other entries */
    unread_pictures unread;
    mien_text text;
} listing;

/* Lists the subfolders of a folder, or its picture files: by suffix, and by first bytes where the
 * suffix is not that of a picture. Hidden entries are ignored and counted. Release it even after a
 * failure. */
mien_status listing_folders(const char *path, listing *out);
mien_status listing_pictures(const char *path, listing *out);
/* Both at once, and videos among the pictures if they are wanted; other entries are counted in
 * pictures->ignored. `table` [LISTING_NAME] becomes the first csv, tsv or Excel file by name, or
 * "". Release both even after a failure. */
mien_status listing_both(const char *path, bool videos, listing *folders, listing *pictures,
                         char *table);
/* The files that end in .csv or .tsv. */
mien_status listing_tables(const char *path, listing *out);
/* The files whose names are wanted; NULL: all that are not hidden. */
mien_status listing_files(const char *path, bool (*wanted)(const char *name), listing *out);
/* Adds the counts of `from` to `to`. */
void listing_add_unread(unread_pictures *to, const unread_pictures *from);
/* Warns of them, if there are any: "faces: 21 .heic are pictures that are not read". */
void listing_warn_unread(const char *source, const unread_pictures *unread);
void listing_release(listing *list);
/* By the suffix, in any case. */
bool listing_is_picture(const char *name);
bool listing_is_video(const char *name);

#endif
