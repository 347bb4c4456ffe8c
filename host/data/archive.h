/* Archives (.zip, .tar, .tar.gz and their like): their files are unpacked into memory and found by
 * name. libarchive reads them; it is loaded on first use.
 *
 * Archives are untrusted: what they may unpack to is limited, names are only looked up and never
 * used as paths, links and devices are left out. */
#ifndef HOST_DATA_ARCHIVE_H
#define HOST_DATA_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/mount.h"

/* In messages. */
#define ARCHIVE_FORMS "an archive (.zip, .tar, .tar.gz)"

typedef struct archive_file {
    char *name; /* relative, parts joined by '/', without "." and ".." */
    char *bytes;
    size_t size;
    int fd; /* of a file that readers open: in memory, mapped to `bytes`; else -1 */
} archive_file;

typedef struct archive_files {
    archive_file *items; /* [count] sorted by name, each name once */
    size_t count, capacity;
    size_t descriptors;
    size_t left_out; /* links, devices, hidden files and names that lead outside */
} archive_files;

/* Whether the name's suffix is that of an archive. */
bool archive_is(const char *path);
/* Unpacks the archive into at most `budget` bytes. Release the files even after a failure. FORMAT:
 * damaged, encrypted or none; NO_MEMORY: it unpacks to more; UNSUPPORTED: libarchive is missing. */
mien_status archive_read(const char *path, size_t budget, archive_files *out);
void archive_release(archive_files *files);

/* The functions of a mien_mount whose `files` are archive_files. */
const char *archive_bytes(const void *files, const char *name, size_t *size);
int archive_open(const void *files, const char *name);
bool archive_has_folder(const void *files, const char *name);
void archive_list(const void *files, const char *folder,
                  void (*visit)(void *to, const char *name, bool folder), void *to);

#endif
