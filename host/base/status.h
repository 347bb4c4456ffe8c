/* How library code fails: set a sentence, return a code, let the caller pass both on. */
#ifndef HOST_BASE_STATUS_H
#define HOST_BASE_STATUS_H

#include "include/mien/status.h"

enum { MIEN_MESSAGE = 1024 }; /* room for any sentence, to carry one from thread to thread */

/* Stores the sentence for this thread and returns `code`. */
mien_status mien_fail(mien_status code, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "context: " before the stored sentence; returns `code` unchanged. */
mien_status mien_fail_context(mien_status code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "file:line" of the place that set the sentence, for -v. */
const char *mien_error_place(void);

#define MIEN_FAIL(code, ...) mien_fail(MIEN_##code, __FILE__, __LINE__, __VA_ARGS__)

/* Passes a failure up; only where nothing is owned yet. */
#define MIEN_TRY(expr)                                                                             \
    do {                                                                                           \
        const mien_status try_status = (expr);                                                     \
        if (try_status != MIEN_OK) return try_status;                                              \
    } while (0)

/* The same where something is owned: `status` and a label `out` must exist. */
#define MIEN_GO(expr)                                                                              \
    do {                                                                                           \
        status = (expr);                                                                           \
        if (status != MIEN_OK) goto out;                                                           \
    } while (0)

#endif
