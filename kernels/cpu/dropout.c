#include "kernels/cpu/cpu.h"

enum { WORDS = 512 }; /* channels whose random words are drawn together */

/* Words of the logical elements first .. first+count-1 of a stream. */
static void draw(uint32_t *words, uint64_t first, int count, uint32_t seed, uint32_t stream,
                 uint64_t step) {
    if (first % 4 || count % 4) {
        for (int i = 0; i < count; i++)
            words[i] = rng_word(seed, stream, step, first + (uint64_t)i);
        return;
    }
    /* four separate rows, so that the ten rounds run in vector registers */
    uint32_t lane[4][WORDS / 4];
#pragma omp simd
    for (int i = 0; i < count / 4; i++) {
        const rng_block b = rng_at(seed, stream, step, first / 4 + (uint64_t)i);
        lane[0][i] = b.word[0];
        lane[1][i] = b.word[1];
        lane[2][i] = b.word[2];
        lane[3][i] = b.word[3];
    }
    for (int i = 0; i < count / 4; i++)
        for (int k = 0; k < 4; k++)
            words[4 * i + k] = lane[k][i];
}

void CPU(dropout)(real *y, const real *x, cpu_dims d, double rate, uint32_t seed, uint32_t stream,
                  uint64_t step, uint64_t first, bool accumulate) {
    const uint32_t threshold = body_dropout_threshold(rate);
    const real scale = (real)(1 / (1 - rate));
    const int places = d.h * d.w;
#pragma omp parallel for schedule(static)
    for (int row = 0; row < d.n * places; row++) {
        const int n = row / places, p = row % places;
        for (int c0 = 0; c0 < d.c; c0 += WORDS) {
            uint32_t words[WORDS];
            const int count = d.c - c0 < WORDS ? d.c - c0 : WORDS;
            const uint64_t logical =
                ((first + (uint64_t)n) * (uint64_t)places + (uint64_t)p) * (uint64_t)d.c +
                (uint64_t)c0;
            draw(words, logical, count, seed, stream, step);
            for (int c = c0; c < c0 + count; c += d.block < count ? d.block : count) {
                const int lanes = d.block < count ? d.block : count;
                const size_t at = cpu_plane(d, n, c / d.block) + (size_t)p * (size_t)d.block +
                                  (size_t)(c % d.block);
                for (int i = 0; i < lanes; i++) {
                    const real v =
                        body_dropout(x[at + (size_t)i], words[c - c0 + i], threshold, scale);
                    y[at + (size_t)i] = accumulate ? y[at + (size_t)i] + v : v;
                }
            }
        }
    }
}
