/* A model too small to be good, for tests of what happens around a network. */
#ifndef TESTS_SUPPORT_TINY_MODEL_H
#define TESTS_SUPPORT_TINY_MODEL_H

#include "host/infer/ensemble.h"

enum { TINY_SIDE = 12, TINY_CLASSES = 3, TINY_BATCH = 4 };
/* Writes a model of random weights for TINY_SIDE x TINY_SIDE pictures, classes class0, class1, ...,
 * square crops with margin 0.1, into the scratch folder, and opens it. Ends the test on failure. */
void tiny_ensemble(mien_backend *backend, int channels, mien_ensemble *out);

#endif
