/* Files that exist only in memory, such as the members of an archive. While one is mounted, its
 * path works like a folder in mien_file_read, mien_file_exists, mien_is_folder and listing.h. Its
 * names are only looked up here: they never become paths of the file system. */
#ifndef HOST_BASE_MOUNT_H
#define HOST_BASE_MOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/status.h"

typedef struct mien_mount {
    const char *path;
    const void *files; /* the argument of the functions, which many threads call at a time */
    /* The content of a file, or NULL. Names have no empty or "." parts. */
    const char *(*read)(const void *files, const char *name, size_t *size);
    /* A new descriptor of a file, which shares its memory; -1 if there is none. */
    int (*open)(const void *files, const char *name);
    bool (*is_folder)(const void *files, const char *name);
    /* Calls `visit` once for each file and folder in a folder. */
    void (*list)(const void *files, const char *folder,
                 void (*visit)(void *to, const char *name, bool folder), void *to);
} mien_mount;

/* Mounts; another thread that wants to mount waits until mien_unmount. */
void mien_mount_files(const mien_mount *mount);
void mien_unmount(void);

/* The mount that a path is in, and the name there ("" for the mount itself); else NULL. `name` has
 * MIEN_PATH bytes. */
const mien_mount *mien_mount_of(const char *path, char *name);
/* Whether the path is in a mount; *fd then reads the file, or is -1 with errno set. It reads a copy
 * if the mount has no descriptor for it. */
bool mien_mount_open(const char *path, int *fd);

#endif
