/* A folder of a test's own, what is put there, and what the code under test has said. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include "host/base/text.h"

extern char scratch[32]; /* path of the folder */
extern mien_text said;   /* the log's lines since scratch_make, where scratch_listen was called */

/* cmocka's set-up and tear-down, of a test or of all: the folder goes with all that lies in it. */
int scratch_make(void **state);
int scratch_drop(void **state);
/* Keeps the log's lines from here to scratch_drop. */
void scratch_listen(void);
/* The path of a name in the folder; the next call overwrites it. */
const char *scratch_path(const char *name);
/* Writes a file, with folders on the way. */
void scratch_put(const char *name, const void *bytes, size_t size);
/* The same, and releases the text. */
void scratch_put_text(const char *name, mien_text *text);

/* End the test unless the part is in the text, or in the last error's message. */
void expect_in(const char *text, const char *part);
void expect_in_message(const char *part);

#endif
