/* How library code fails: it stores a message and returns a code; callers pass both up. */
#ifndef HOST_BASE_STATUS_H
#define HOST_BASE_STATUS_H

#include "include/mien/status.h"

/* Size of a buffer that holds any message, e.g. to carry one between threads. */
enum { MIEN_MESSAGE = 1024 };

/* Stores the message for this thread and returns `code`. */
mien_status mien_fail(mien_status code, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Prepends "context: " to the stored message; returns `code` unchanged. */
mien_status mien_fail_context(mien_status code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "file:line" of the code that stored the message, for -v. */
const char *mien_error_location(void);

#define MIEN_FAIL(code, ...) mien_fail(MIEN_##code, __FILE__, __LINE__, __VA_ARGS__)

/* Returns on failure; only where there is nothing to release yet. */
#define MIEN_TRY(expr)                                                                             \
    do {                                                                                           \
        const mien_status try_status = (expr);                                                     \
        if (try_status != MIEN_OK) return try_status;                                              \
    } while (0)

/* The same where there is something to release: needs a variable `status` and a label `out`. */
#define MIEN_GO(expr)                                                                              \
    do {                                                                                           \
        status = (expr);                                                                           \
        if (status != MIEN_OK) goto out;                                                           \
    } while (0)

#endif
