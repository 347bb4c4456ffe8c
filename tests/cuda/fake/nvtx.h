/* Counts of the fake profiler. A test reads them through dlsym(module, "fake_ranges"). */
#ifndef TESTS_CUDA_FAKE_NVTX_H
#define TESTS_CUDA_FAKE_NVTX_H

#include <stdint.h>

typedef struct fake_range_counts {
    uint64_t pushes, pops;
    int depth;     /* open ranges; negative: more ended than began */
    char last[96]; /* text of the last range that began */
} fake_range_counts;

const fake_range_counts *fake_ranges(void);

#endif
