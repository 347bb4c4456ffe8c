/* Dropout's random words: four neighbouring elements share a block of the generator, as on the
 * CPU. */
#ifndef KERNELS_CUDA_DRAW_CUH
#define KERNELS_CUDA_DRAW_CUH

#include "kernels/body/dropout.h"
#include "kernels/cuda/grid.cuh"

/* A mask prepared for the kernels, which then need no double arithmetic. */
struct drawing {
    uint32_t threshold, stream;
    float scale;
    uint64_t first; /* index of element 0 in the global batch */
    const body_step *state;
};

/* `t` is the tensor that the mask applies to. */
static inline drawing drawing_of(cuda_mask mask, cuda_tensor t) {
    drawing d;
    d.threshold = body_dropout_threshold(mask.rate);
    d.stream = mask.stream;
    d.scale = (float)(1 / (1 - mask.rate));
    d.first = mask.first * (uint64_t)t.h * (uint64_t)t.w * (uint64_t)t.c;
    d.state = mask.state;
    return d;
}

/* The words of V elements from `at` on; `at` is a multiple of four unless V is 1. */
template <int V>
static __device__ void draw_words(uint32_t (&word)[V], const drawing &d, uint32_t seed,
                                  uint64_t step, uint64_t at) {
    if constexpr (V == 1) {
        word[0] = rng_word(seed, d.stream, step, at);
    } else {
#pragma unroll
        for (int b = 0; b < V / 4; b++) {
            const rng_block four = rng_at(seed, d.stream, step, (at >> 2) + (uint64_t)b);
#pragma unroll
            for (int i = 0; i < 4; i++)
                word[4 * b + i] = four.word[i];
        }
    }
}

#endif
