/* Files and folders: reads with a size limit, atomic writes, paths. */
#ifndef HOST_BASE_FILE_H
#define HOST_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum { MIEN_PATH = 4096 };

/* Reads a regular file of at most `limit` bytes; *out is zero-terminated, the caller frees it with
 * mien_free. */
mien_status mien_file_read(const char *path, size_t limit, char **out, size_t *size);
/* The same, but not through a symbolic link, for a name that a file's content gives. */
mien_status mien_file_read_plain(const char *path, size_t limit, char **out, size_t *size);
/* mien_file_read that leaves the file open: *fd, for the caller to close; -1 for a file in an
 * archive, and after a failure. */
mien_status mien_file_read_open(const char *path, size_t limit, char **out, size_t *size, int *fd);
/* Writes to a temporary name, syncs, renames over `path` and syncs the folder: after a failure
 * (disk full, power loss) the old file is intact. A device or pipe is written to directly. */
mien_status mien_file_write(const char *path, const void *data, size_t size);
/* The same in two steps, for a file that grows: begin makes a temporary file beside `path`, whose
 * name it writes to temporary[MIEN_PATH]; end syncs, closes and renames it, and after a failure
 * removes it. */
mien_status mien_file_begin(const char *path, char *temporary, int *fd);
mien_status mien_file_end(const char *path, const char *temporary, int fd);
/* In between: writes at an offset, and lets the disk begin with what was written there. */
mien_status mien_file_put(int fd, const char *path, size_t offset, const void *data, size_t size);
/* The same end for a file that gets a second name in the same folder, in place of an older file:
 * the folder is synced once. *linked is false where that name could not be given, as on a file
 * system without links. */
mien_status mien_file_end_as(const char *path, const char *name, const char *temporary, int fd,
                             bool *linked);
/* Gives up such a file. */
void mien_file_drop(const char *temporary, int fd);
/* Locks a folder against other processes, by the file `.lock` in it, until the process ends or
 * mien_unlock; removes temporary files that dead processes left. INVALID if another process has it.
 */
mien_status mien_lock_folder(const char *folder, int *lock);
/* Removes the temporary files that dead processes left in a folder. */
void mien_remove_temporaries(const char *folder);
/* Also removes the lock's file. */
void mien_unlock_folder(const char *folder, int lock);
/* Files that grow while a command runs, such as the lines of a video: what was added stays,
 * whatever happens later. create empties an existing file; a pipe needs a reader. "-" is standard
 * output. */
mien_status mien_file_create(const char *path, int *fd);
mien_status mien_file_add(int fd, const char *path, const void *data, size_t size);
mien_status mien_file_close(int fd, const char *path);
/* Writes from the byte `at` on, and cuts off what follows; then syncs. *shorter: the file has fewer
 * bytes than that, and nothing was written. */
mien_status mien_file_write_at(const char *path, uint64_t at, const void *data, size_t size,
                               bool *shorter);
bool mien_file_exists(const char *path);
/* Whether both paths name the same existing file. */
bool mien_same_file(const char *a, const char *b);
bool mien_is_folder(const char *path);
/* Creates a folder and its parents; an existing one is fine. */
mien_status mien_make_folders(const char *path);
/* folder + "/" + name into out[MIEN_PATH]; an absolute name replaces the folder. */
mien_status mien_path_join(char *out, const char *folder, const char *name);
/* The folder part of a path ("." when there is none). */
void mien_path_folder(char *out, const char *path);
/* The last part of a path without its suffix, e.g. "classic" of "a/classic.yaml". */
void mien_path_stem(char *out, size_t size, const char *path);
/* Whether the path ends with `suffix`, ignoring case. */
bool mien_path_ends(const char *path, const char *suffix);

#endif
