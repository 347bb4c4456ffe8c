/* What the fake GPU has done so far, read from its module. */
#ifndef TESTS_CUDA_COUNTED_H
#define TESTS_CUDA_COUNTED_H

#include <stdbool.h>

#include "tests/cuda/fake/counters.h"

/* false on a real card, which counts nothing. The module must be open. */
bool counted(fake_counts *out);

#endif
