/* 16-bit floats as bits: bfloat16 (8 exponent bits) and IEEE 754 half (5). Rounding is to nearest,
 * ties to even, with the same bits on every device. Halves below 2^-14 become zero, as everywhere
 * in Mien (FTZ). Every NaN becomes the one that GPUs produce.
 *
 * GPUs have instructions for this, but cvt keeps subnormal halves (its .ftz is about floats). So
 * they become zeros before it: by a multiplication that flushes, and by a comparison with the
 * smallest float that rounds to 2^-14 when rounded to the eleven bits of larger numbers. */
#ifndef KERNELS_BODY_CAST_H
#define KERNELS_BODY_CAST_H

#include "kernels/body/elementary.h"

MIEN_BODY float body_from_bf16(uint16_t bits) {
    return body_from_bits((uint32_t)bits << 16);
}

MIEN_BODY uint16_t body_to_bf16(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint16_t result; /* one instruction, the same bits */
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(x));
    return result;
#else
    const uint32_t bits = body_to_bits(x);
    if (x != x) return 0x7fffu; /* the NaN that GPUs produce */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
#endif
}

MIEN_BODY float body_from_f16(uint16_t bits) {
#ifdef __CUDA_ARCH__
    float result;
    asm("{.reg .f16 x, one; mov.b16 one, 0x3c00; mul.rn.ftz.f16 x, %1, one; cvt.f32.f16 %0, x;}"
        : "=f"(result)
        : "h"(bits));
    return result;
#else
    const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    if (rest < 0x0400u) return body_from_bits(sign);
    if (rest > 0x7c00u) return body_from_bits(0x7fffffffu);
    if (rest == 0x7c00u) return body_from_bits(sign | 0x7f800000u);
    return body_from_bits(sign | ((rest << 13) + 0x38000000u));
#endif
}

MIEN_BODY uint16_t body_to_f16(float x) {
#ifdef __CUDA_ARCH__
    uint16_t result;
    if (fabsf(x) < 6.10202550888061523e-05f) x *= 0; /* 2^-14 - 2^-26 */
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(x));
    return result;
#else
    const uint32_t bits = body_to_bits(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return 0x7fffu;
    const uint32_t rounded = rest + 0xfffu + (rest >> 13 & 1u);
    if (rounded >= 0x47800000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and above */
    if (rounded < 0x38800000u) return (uint16_t)sign;
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
#endif
}

#endif
