/* Normal noise by the Box-Muller transform. Element i of a tensor, counted as for dropout, uses
 * half a block of the generator: words 2 i and 2 i + 1 of the stream. */
#ifndef KERNELS_BODY_NOISE_H
#define KERNELS_BODY_NOISE_H

#include "kernels/body/elementary.h"
#include "kernels/body/rng.h"

/* A sample of N(0, 1). */
MIEN_BODY real body_normal(uint32_t seed, uint32_t stream, uint64_t step, uint64_t index) {
    const rng_block b = rng_at(seed, stream, step, index >> 1);
    const uint32_t radius_word = (index & 1) ? b.word[2] : b.word[0];
    const uint32_t angle_word = (index & 1) ? b.word[3] : b.word[1];
    const real uniform =
        ((real)(radius_word >> 8) + (real)0.5) * (real)(1.0 / 16777216); /* never 0 */
    const real angle = (real)(angle_word >> 8) * (real)(6.283185307179586 / 16777216);
    return M_SQRT(-2 * m_log(uniform)) * m_cos(angle);
}

#endif
