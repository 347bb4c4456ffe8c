/* Kernels that test the harness itself; the launchers return what those of kernels/cuda do. */
#ifndef TESTS_CUDA_HARNESS_KERNELS_H
#define TESTS_CUDA_HARNESS_KERNELS_H

#include <stdint.h>

#include "kernels/cuda/launch.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HARNESS_BLOCK = 256 };

/* index[i] = i for all threads of a three-dimensional grid; seen[i] counts the visits. */
int harness_indices(cuda_stream, uint32_t *index, uint32_t *seen, const unsigned grid[3],
                    const unsigned block[3]);
/* sums[b] = sum of the 256 numbers of block b; without `wait` a barrier is missing. */
int harness_reduce(cuda_stream, float *sums, const float *x, int blocks, bool wait);
/* y = prefix sums within each warp. */
int harness_scan(cuda_stream, int *y, const int *x, int warps);
/* The results of all shuffles and votes: [7][32] numbers. */
int harness_shuffles(cuda_stream, int *y);
/* y = x + 0 with subnormals flushed; shared[i] = shared memory at the start of the block. */
int harness_state(cuda_stream, float *y, const float *x, float *shared, int blocks);
/* Kernels that the harness must reject. */
enum harness_misuse { LEAVES_BARRIER, DIVERGES, SHUFFLES_PART, MIXES };
int harness_break(cuda_stream, int *y, int misuse);
/* Passes the pointer to a kernel unchecked. */
int harness_touch(cuda_stream, int *y);

#ifdef __cplusplus
}
#endif
#endif
