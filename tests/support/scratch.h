/* A test's scratch folder, files in it, and the log of the code under test. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include "host/base/text.h"

extern char scratch[32]; /* path of the folder */
extern mien_text said;   /* log lines since scratch_listen */

/* cmocka's set-up and tear-down, for a test or a group; the folder is removed with its contents. */
int scratch_make(void **state);
int scratch_drop(void **state);
/* Collects log lines in `said` until scratch_drop. */
void scratch_listen(void);
/* The path of a name in the folder; the next call overwrites it. */
const char *scratch_path(const char *name);
/* Writes a file and creates missing folders. */
void scratch_put(const char *name, const void *bytes, size_t size);
/* The same, and releases the text. */
void scratch_put_text(const char *name, mien_text *text);

/* End the test unless `part` occurs in the text, or in the last error message. */
void expect_in(const char *text, const char *part);
void expect_in_message(const char *part);

#endif
