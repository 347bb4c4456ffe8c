/* The records of a csv table that accompanies the data, such as votes or groups: RFC 4180, read as
 * a whole. The csv files of faces are much larger and have their own reader, csv.c. */
#ifndef HOST_DATA_RECORDS_H
#define HOST_DATA_RECORDS_H

#include <stddef.h>

#include "host/base/status.h"

enum { MIEN_FIELDS = 64 };

typedef struct mien_records {
    const char *path;
    char *text, *at;           /* the whole file, and the part not yet read */
    long long line, next_line; /* the line, from 1, of the current record; of `at` */
    char separator;            /* a comma, unless it is changed after opening */
    char *fields[MIEN_FIELDS]; /* of the current record, in `text`; valid until the next call */
    int count;
} mien_records;

/* Reads the file of at most `limit` bytes; `path` must outlive the records. NUL bytes are an error,
 * a byte order mark is skipped. */
mien_status mien_records_open(mien_records *r, const char *path, size_t limit);
/* Reads the next record, skipping empty lines; its count is 0 at the end of the file. Fields lose
 * their quotes. */
mien_status mien_records_next(mien_records *r);
/* Call it even after a failed open. */
void mien_records_release(mien_records *r);

#endif
