/* Kernels that test the harness itself; each launcher answers like those of kernels/cuda. */
#ifndef TESTS_CUDA_HARNESS_KERNELS_H
#define TESTS_CUDA_HARNESS_KERNELS_H

#include <stdint.h>

#include "kernels/cuda/launch.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HARNESS_BLOCK = 256 };

/* place[i] = i for all threads of a grid of three dimensions; seen[i] counts its visits. */
int harness_places(cuda_stream, uint32_t *place, uint32_t *seen, const unsigned grid[3],
                   const unsigned block[3]);
/* sums[b] = sum of the 256 numbers of block b; without `wait` a barrier is missing. */
int harness_reduce(cuda_stream, float *sums, const float *x, int blocks, bool wait);
/* y = sums over the numbers up to each, anew in every warp. */
int harness_scan(cuda_stream, int *y, const int *x, int warps);
/* What every shuffle and vote gives: [7][32] numbers. */
int harness_shuffles(cuda_stream, int *y);
/* y = x + 0 in flushed arithmetic; shared[i] = what shared memory holds at a block's start. */
int harness_state(cuda_stream, float *y, const float *x, float *shared, int blocks);
/* Kernels that must be refused: see enum. */
enum harness_crime { LEAVES_BARRIER, DIVERGES, SHUFFLES_PART, MIXES };
int harness_break(cuda_stream, int *y, int crime);
/* A pointer is handed over as it is. */
int harness_touch(cuda_stream, int *y);

#ifdef __cplusplus
}
#endif
#endif
