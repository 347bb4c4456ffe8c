/* The records of a csv table that stands beside the data, such as votes or groups: RFC 4180, read
 * whole. Faces themselves come by the million of numbers and have a reader of their own, csv.c. */
#ifndef HOST_DATA_RECORDS_H
#define HOST_DATA_RECORDS_H

#include <stddef.h>

#include "host/base/status.h"

enum { MIEN_FIELDS = 64 };

typedef struct mien_records {
    const char *path;
    char *text, *at;           /* the whole file, and what was not read yet */
    long long line, next_line; /* where the record at hand begins, from 1; where `at` is */
    char
        *fields[MIEN_FIELDS]; /* of the record at hand, until the next call; they point into text */
    int count;
} mien_records;

/* Reads the file of at most `limit` bytes; `path` must outlive the records. Zero bytes are refused,
 * a byte order mark is skipped. */
mien_status mien_records_open(mien_records *r, const char *path, size_t limit);
/* The next record that is not an empty line; its count is 0 at the end of the file. Fields in
 * quotes lose them. */
mien_status mien_records_next(mien_records *r);
/* Also after a failed open. */
void mien_records_release(mien_records *r);

#endif
