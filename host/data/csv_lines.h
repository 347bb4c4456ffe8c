/* The lines of a text file, plain or gzipped, a window of some megabytes at a time: read by all
 * threads, handed out in order.
 *
 * A plain file is read with pread, not mapped: one that somebody cuts short meanwhile ends in a
 * sentence, where a mapping would end the process. */
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
    uint64_t offset; /* in the file, of the buffer's first byte */
    uint32_t *ends;  /* [count] place in the buffer behind each line, where its '\n' stands */
    size_t count, end_capacity; /* lines of this window */
    long long row;              /* lines before this window: its first one is row + 1 */
    bool finished;              /* nothing is left in the file */
    int error;           /* errno of a failed read; told once the lines before it are through */
    csv_segment *pieces; /* [threads] */
    int threads;
} csv_lines;

/* Opens a regular file; whether it is gzipped is read from its first bytes. Close it also after a
 * failure. `path` is kept. */
mien_status csv_lines_open(const char *path, csv_lines *lines);
void csv_lines_close(csv_lines *lines);
/* Frees everything but the open file. */
void csv_lines_drop(csv_lines *lines);
/* The next window; its count is 0 at the end of the file. The lines of the one before are gone. */
mien_status csv_lines_next(csv_lines *lines);
/* Line `i` of the window without its end; length bytes and one more may be written to. */
char *csv_line(const csv_lines *lines, size_t i, size_t *length);
/* Fails: the line of this row is longer than CSV_LINE_MAX. */
mien_status csv_too_long(const csv_lines *lines, long long row);

#endif
