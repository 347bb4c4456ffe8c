/* Random words for whole lines of a tensor: rng_philox on vectors of counters. */
#ifndef KERNELS_CPU_DRAW_H
#define KERNELS_CPU_DRAW_H

#include "kernels/cpu/cpu.h"

#if defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#endif

/* One 32-bit counter per 64-bit lane: a product needs all 64 bits, and the upper half of a factor
 * is ignored, so that the rounds need no masks. */
#if defined(__AVX512F__)
enum { DRAW_LANES = 8, DRAW_FLIGHT = 4 };
#elif defined(__AVX2__)
enum { DRAW_LANES = 4, DRAW_FLIGHT = 4 };
#else
enum { DRAW_LANES = 2, DRAW_FLIGHT = 2 };
#endif
typedef uint64_t draw_vec __attribute__((vector_size(DRAW_LANES * sizeof(uint64_t))));
typedef uint64_t draw_vec_unaligned
    __attribute__((vector_size(DRAW_LANES * sizeof(uint64_t)), may_alias, aligned(4)));

/* Products of the lower halves. The compiler would multiply all 64 bits, at three times the cost.
 */
static inline draw_vec draw_product(draw_vec a, draw_vec b) {
#if defined(__AVX512F__)
    return (draw_vec)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (draw_vec)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (draw_vec)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

/* Stores the words of DRAW_LANES blocks in order; `low` holds words 0 and 1 of each, `high` words 2
 * and 3. */
static inline void draw_store(uint32_t *words, draw_vec low, draw_vec high) {
#if defined(__AVX512F__)
    const draw_vec first = {0, 8, 1, 9, 2, 10, 3, 11}, second = {4, 12, 5, 13, 6, 14, 7, 15};
#elif defined(__AVX2__)
    const draw_vec first = {0, 4, 1, 5}, second = {2, 6, 3, 7};
#else
    const draw_vec first = {0, 2}, second = {1, 3};
#endif
    draw_vec_unaligned *to = (draw_vec_unaligned *)words;
    to[0] = __builtin_shuffle(low, high, first);
    to[1] = __builtin_shuffle(low, high, second);
}

/* The keys of the ten rounds, in every lane. */
typedef struct draw_keys {
    draw_vec round[10][2];
} draw_keys;

static inline draw_keys draw_keys_of(const cpu_mask *m) {
    draw_keys keys;
    uint32_t k0 = m->seed, k1 = m->stream;
    for (int round = 0; round < 10; round++) {
        keys.round[round][0] = (draw_vec){0} + k0;
        keys.round[round][1] = (draw_vec){0} + k1;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return keys;
}

/* Words of DRAW_FLIGHT vectors of block numbers; several, because each round depends on the one
 * before. */
static inline void draw_vectors(uint32_t *words, const uint64_t *number, const cpu_mask *m,
                                const draw_keys *keys) {
    const draw_vec none = {0}, lower = none + 0xffffffffu;
    draw_vec c[4][DRAW_FLIGHT];
    for (int v = 0; v < DRAW_FLIGHT; v++) {
        c[0][v] = *(const draw_vec_unaligned *)(number + v * DRAW_LANES);
        c[1][v] = c[0][v] >> 32;
        c[2][v] = none + (uint32_t)m->step;
        c[3][v] = none + (m->step >> 32);
    }
#pragma GCC unroll 10 /* otherwise every round moves its counters back to their registers */
    for (int round = 0; round < 10; round++) {
        for (int v = 0; v < DRAW_FLIGHT; v++) {
            const draw_vec p0 = draw_product(c[0][v], none + 0xD2511F53u);
            const draw_vec p1 = draw_product(c[2][v], none + 0xCD9E8D57u);
            c[0][v] = (p1 >> 32) ^ c[1][v] ^ keys->round[round][0];
            c[2][v] = (p0 >> 32) ^ c[3][v] ^ keys->round[round][1];
            c[1][v] = p1;
            c[3][v] = p0;
        }
    }
    for (int v = 0; v < DRAW_FLIGHT; v++)
        draw_store(words + 4 * v * DRAW_LANES, (c[0][v] & lower) | c[1][v] << 32,
                   (c[2][v] & lower) | c[3][v] << 32);
}

enum {
    DRAW_WORDS = 1024,                        /* drawn at a time, at most */
    DRAW_STEP = DRAW_LANES * DRAW_FLIGHT * 4, /* words that the vectors produce together */
    DRAW_CAPACITY = DRAW_WORDS + DRAW_STEP,   /* size of the caller's buffer */
};

/* Numbers of the Philox blocks of some pixels, `fours` per pixel: a constant in the common cases.
 */
static inline __attribute__((always_inline)) void
draw_number(uint64_t *number, uint64_t start, int pixels, int fours, uint64_t stride) {
    for (int pixel = 0; pixel < pixels; pixel++)
        for (int i = 0; i < fours; i++)
            number[pixel * fours + i] = start + (uint64_t)pixel * stride + (uint64_t)i;
}

/* Words of the logical elements first + pixel * channels + k for `pixels` pixels and k < block, at
 * most DRAW_WORDS - 4 of them. Returns where they begin in `buffer`, which has DRAW_CAPACITY words.
 */
static inline const uint32_t *draw(uint32_t *buffer, const cpu_mask *m, uint64_t first, int pixels,
                                   int block, int channels) {
    if (block == channels) { /* one run, with any start */
        block = (pixels * block + (int)(first % 4) + 3) / 4 * 4;
        pixels = 1;
    } else if (first % 4 || block % 4 || channels % 4) {
        for (int i = 0; i < pixels * block; i++)
            buffer[i] = rng_word(m->seed, m->stream, m->step,
                                 first + (uint64_t)(i / block) * (uint64_t)channels +
                                     (uint64_t)(i % block));
        return buffer;
    }
    uint64_t number[DRAW_CAPACITY / 4];
    const uint64_t start = first / 4, stride = (uint64_t)channels / 4;
    const int count = pixels * (block / 4);
    switch (block) {
    case 8:
        draw_number(number, start, pixels, 2, stride);
        break;
    case 16:
        draw_number(number, start, pixels, 4, stride);
        break;
    default:
        draw_number(number, start, pixels, block / 4, stride);
    }
    for (int i = 0; i < DRAW_STEP / 4; i++) /* fill up the last vectors */
        number[count + i] = 0;
    const draw_keys keys = draw_keys_of(m);
    for (int i = 0; i < count; i += DRAW_STEP / 4)
        draw_vectors(buffer + 4 * i, number + i, m, &keys);
    return buffer + first % 4;
}

#endif
