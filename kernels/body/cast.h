/* 16-bit floats as bits: bfloat16 (8 exponent bits) and IEEE 754 half (5). Rounding is to nearest,
 * ties to even, with the same bits on every device. Halves below 2^-14 become zero, as everywhere
 * in Mien (FTZ). */
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

/* Selections and no branches: a kernel unrolls these for all its halves, and branches take longer
 * to compile and to run. */
MIEN_BODY float body_from_f16(uint16_t bits) {
    const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    const uint32_t number = (rest << 13) + 0x38000000u, other = rest << 13 | 0x7f800000u;
    const uint32_t size = rest >= 0x7c00u ? other : number; /* other: infinity, NaN */
    return body_from_bits(sign | (rest < 0x0400u ? 0 : size));
}

MIEN_BODY uint16_t body_to_f16(float x) {
    const uint32_t bits = body_to_bits(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    const uint32_t rounded = rest + 0xfffu + (rest >> 13 & 1u);
    uint32_t half = (rounded - 0x38000000u) >> 13;
    half = rounded < 0x38800000u ? 0 : half;
    half = rounded >= 0x47800000u ? 0x7c00u : half; /* 65520 and above */
    half = rest > 0x7f800000u ? 0x7e00u : half;
    return (uint16_t)(sign | half);
}

#endif
