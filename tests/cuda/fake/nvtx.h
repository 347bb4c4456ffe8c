/* What the fake profiler saw; a test reads it through dlsym(module, "fake_ranges"). */
#ifndef TESTS_CUDA_FAKE_NVTX_H
#define TESTS_CUDA_FAKE_NVTX_H

#include <stdint.h>

typedef struct fake_range_counts {
    uint64_t pushes, pops;
    int depth;     /* ranges that are open; negative: more ended than began */
    char last[96]; /* text of the last that began */
} fake_range_counts;

const fake_range_counts *fake_ranges(void);

#endif
