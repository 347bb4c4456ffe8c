/* The shuffle of an epoch: a bitonic sorting network (Batcher 1968) over the next power of two of
 * keys. Pairs less than a tile apart are compared in shared memory; every larger distance takes one
 * launch. No two keys are equal except the padding at the end, so any correct sort gives the same
 * result. */
#include "kernels/body/rng.h"

#include "kernels/cuda/grid.cuh"

enum { TILE = 2048 };

/* Puts two keys into ascending (`up`) or descending order. */
static __device__ void compare(uint64_t *low, uint64_t *high, bool up) {
    const uint64_t a = *low, b = *high;
    if ((a > b) == up) {
        *low = b;
        *high = a;
    }
}

/* The lower index of pair number `pair` whose indices are `distance`, a power of two, apart. */
static __device__ size_t lower_of(size_t pair, size_t distance) {
    return 2 * pair - (pair & (distance - 1));
}

/* Distances distance, distance / 2, … 1 of the stage that produces sorted runs of `run` keys,
 * ascending where the index of a key does not have the bit `run`. */
static __device__ void merge_tile(uint64_t *tile, size_t first, int size, size_t run,
                                  int distance) {
    for (; distance > 0; distance /= 2) {
        for (int pair = (int)threadIdx.x; pair < size / 2; pair += BLOCK) {
            const int i = (int)lower_of((size_t)pair, (size_t)distance);
            compare(&tile[i], &tile[i + distance], ((first + (size_t)i) & run) == 0);
        }
        __syncthreads();
    }
}

/* Draws the keys of a tile and sorts them: all stages up to runs of its size. */
static __global__ void sort_tiles(uint64_t *keys, size_t n, int size, uint32_t seed,
                                  uint64_t epoch) {
    __shared__ uint64_t tile[TILE];
    const size_t first = (size_t)blockIdx.x * TILE;
    for (int i = (int)threadIdx.x; i < size; i += BLOCK) {
        const size_t at = first + (size_t)i;
        tile[i] = at < n ? rng_shuffle_key(seed, epoch, (uint32_t)at) : UINT64_MAX;
    }
    __syncthreads();
    for (int run = 2; run <= size; run *= 2)
        merge_tile(tile, first, size, (size_t)run, run / 2);
    for (int i = (int)threadIdx.x; i < size; i += BLOCK)
        keys[first + (size_t)i] = tile[i];
}

static __global__ void merge_far(uint64_t *keys, size_t pairs, size_t run, size_t distance) {
    const size_t pair = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (pair >= pairs) return;
    const size_t i = lower_of(pair, distance);
    compare(&keys[i], &keys[i + distance], (i & run) == 0);
}

static __global__ void merge_near(uint64_t *keys, size_t run) {
    __shared__ uint64_t tile[TILE];
    const size_t first = (size_t)blockIdx.x * TILE;
    for (int i = (int)threadIdx.x; i < TILE; i += BLOCK)
        tile[i] = keys[first + (size_t)i];
    __syncthreads();
    merge_tile(tile, first, TILE, run, TILE / 2);
    for (int i = (int)threadIdx.x; i < TILE; i += BLOCK)
        keys[first + (size_t)i] = tile[i];
}

static __global__ void pick(uint32_t *order, const uint32_t *index, const uint64_t *keys,
                            size_t n) {
    const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (i < n) order[i] = index[(uint32_t)keys[i]];
}

int cuda_permute(cuda_stream stream, uint32_t *order, const uint32_t *index, size_t n,
                 uint64_t *keys, uint32_t seed, uint64_t epoch) {
    size_t capacity = 1;
    while (capacity < n)
        capacity *= 2;
    if (n == 0) return 0;
    const unsigned all = ~0u;
    const size_t size = capacity < TILE ? capacity : (size_t)TILE;
    const unsigned tiles = (unsigned)(capacity / size);
    TRY(launch(sort_tiles, tiles, BLOCK, stream, keys, n, (int)size, seed, epoch));
    for (size_t run = 2 * TILE; run <= capacity; run *= 2) {
        for (size_t distance = run / 2; distance >= TILE; distance /= 2)
            TRY(launch(merge_far, blocks_for(capacity / 2, BLOCK, all), BLOCK, stream, keys,
                       capacity / 2, run, distance));
        TRY(launch(merge_near, tiles, BLOCK, stream, keys, run));
    }
    return launch(pick, blocks_for(n, BLOCK, all), BLOCK, stream, order, index,
                  (const uint64_t *)keys, n);
}

/* The kernels are all compiled for the same cards; one of the smallest answers for them. */
int cuda_has_code(void) {
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, (const void *)pick);
}
