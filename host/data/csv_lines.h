/* Reads the lines of a text file, plain or gzipped, in windows of some megabytes: all threads read,
 * lines come in file order.
 *
 * A plain file is read with pread, not mmap: truncating it meanwhile then causes an error message
 * instead of a SIGBUS. */
#ifndef HOST_DATA_CSV_LINES_H
#define HOST_DATA_CSV_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "host/base/status.h"

enum { CSV_LINE_MAX = 1 << 24 };

typedef struct csv_segment csv_segment;

typedef struct csv_lines {
    const char *path;
    int fd;      /* of a plain file, else -1 */
    gzFile file; /* of a gzipped one, else NULL */
    char *buffer;
    size_t capacity, used;
    uint64_t offset;            /* in the file, of the buffer's first byte */
    uint32_t *ends;             /* [count] offset of the '\n' of each line in the buffer */
    size_t count, end_capacity; /* lines of this window */
    long long row;              /* lines before this window: its first one is number row + 1 */
    bool finished;              /* the end of the file was reached */
    int error;                  /* errno of a failed read; reported after the lines before it */
    csv_segment *pieces;        /* [threads] */
    int threads;
} csv_lines;

/* Opens a regular file, gzipped or not according to its first bytes. `path` must outlive `lines`.
 * Close it even after a failure. */
mien_status csv_lines_open(const char *path, csv_lines *lines);
void csv_lines_close(csv_lines *lines);
/* Frees everything except the open file. */
void csv_lines_drop(csv_lines *lines);
/* Reads the next window; its count is 0 at the end of the file. Lines of the previous window become
 * invalid. */
mien_status csv_lines_next(csv_lines *lines);
/* Line `i` of the window without its line end. The caller may write to its `*length` bytes and the
 * byte after them. */
char *csv_line(const csv_lines *lines, size_t i, size_t *length);
/* Fails with the message that line `row` is longer than CSV_LINE_MAX. */
mien_status csv_too_long(const csv_lines *lines, long long row);

#endif
