/* Reads the counters of the fake GPU from its module. */
#ifndef TESTS_CUDA_COUNTED_H
#define TESTS_CUDA_COUNTED_H

#include <stdbool.h>

#include "tests/cuda/fake/counters.h"

/* Returns false on a real GPU, which has no counters. The module must be open. */
bool counted(fake_counts *out);

#endif
