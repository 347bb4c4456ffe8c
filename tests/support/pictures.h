/* The pictures of tests/golden/pictures, whole and damaged. */
#ifndef TESTS_SUPPORT_PICTURES_H
#define TESTS_SUPPORT_PICTURES_H

#include "tests/support/test.h"

/* The path of a picture; the next call overwrites it. */
const char *picture_path(const char *name, const char *suffix);
/* Its bytes, for mien_free. */
char *picture_bytes(const char *name, size_t *size);
/* Decodes it cut after every `step` bytes, and with every byte changed in two ways; it may decode
 * or fail, but leaves no picture where it fails. Returns how many of the cut ones were decoded. */
int picture_damage(const char *name, char *bytes, size_t size, size_t step);

#endif
