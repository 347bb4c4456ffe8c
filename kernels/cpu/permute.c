/* The shuffle of an epoch: a sort by unique keys. */
#include <stdlib.h>

#include "kernels/cpu/cpu.h"

static int ascending(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void CPU(permute)(uint32_t *order, const uint32_t *index, size_t n, uint64_t *keys, uint32_t seed,
                  uint64_t epoch) {
    for (size_t i = 0; i < n; i++)
        keys[i] = rng_shuffle_key(seed, epoch, (uint32_t)i);
    qsort(keys, n, sizeof *keys, ascending);
    for (size_t i = 0; i < n; i++)
        order[i] = index[keys[i] & 0xffffffffu];
}
