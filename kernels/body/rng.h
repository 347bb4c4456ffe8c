/* Counter-based randomness: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). A draw is a pure function of (seed, stream, step, index); nothing is stored.
 *
 *   key     = (seed, stream)
 *   counter = (index / 4 low, index / 4 high, step low, step high); the word is index % 4 */
#ifndef KERNELS_BODY_RNG_H
#define KERNELS_BODY_RNG_H

#include "kernels/body/body.h"

/* Every stream of the program. Dropout layer k draws from RNG_DROPOUT + k. */
enum rng_stream {
    RNG_INIT = 1,
    RNG_SHUFFLE = 2,
    RNG_AUGMENT = 3,
    RNG_MIXUP = 4,
    RNG_SPLIT = 5,
    RNG_SAMPLE = 6,
    RNG_VOTES = 7,
    RNG_DROPOUT = 0x100,
};

typedef struct rng_block {
    uint32_t word[4];
} rng_block;

MIEN_BODY rng_block rng_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0,
                               uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        const uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const rng_block out = {{c0, c1, c2, c3}};
    return out;
}

/* Block number `block` (four words) of a stream at a step. */
MIEN_BODY rng_block rng_at(uint32_t seed, uint32_t stream, uint64_t step, uint64_t block) {
    return rng_philox((uint32_t)block, (uint32_t)(block >> 32), (uint32_t)step,
                      (uint32_t)(step >> 32), seed, stream);
}

/* One word: element `index` of a stream at a step. */
MIEN_BODY uint32_t rng_word(uint32_t seed, uint32_t stream, uint64_t step, uint64_t index) {
    const rng_block b = rng_at(seed, stream, step, index >> 2);
    const uint32_t low = (index & 1) ? b.word[1] : b.word[0];
    const uint32_t high = (index & 1) ? b.word[3] : b.word[2];
    return (index & 2) ? high : low;
}

/* The sort key of a permutation: a random word, then the index itself, so that no two keys are
 * equal. */
MIEN_BODY uint64_t rng_shuffle_key(uint32_t seed, uint64_t epoch, uint32_t i) {
    return (uint64_t)rng_word(seed, RNG_SHUFFLE, epoch, i) << 32 | i;
}

/* Uniform in [0, 1): 24 bits, exact in float. */
MIEN_BODY float rng_unit(uint32_t word) {
    return (float)(word >> 8) * 5.9604644775390625e-8f;
}

/* Uniform in [low, high). */
MIEN_BODY float rng_range(uint32_t word, float low, float high) {
    return fmaf(rng_unit(word), high - low, low);
}

#endif
