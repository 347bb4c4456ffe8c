/* One channel block as a vector register: 16 floats with AVX-512, 8 otherwise. Loops that use it
 * have the same source in every build; only the fused multiply-add depends on the instruction set,
 * because the compiler must not contract a * b + c on its own (docs/numerics.md). */
#ifndef KERNELS_CPU_VEC_H
#define KERNELS_CPU_VEC_H

#include "kernels/body/body.h"

#ifdef __AVX512F__
enum { LANES = 16, VEC_REGISTERS = 32 };
#else
enum { LANES = 8, VEC_REGISTERS = 16 };
#endif

typedef real vec __attribute__((vector_size(LANES * sizeof(real))));
/* in memory, unaligned (at no cost if the data is aligned) */
typedef real vec_unaligned
    __attribute__((vector_size(LANES * sizeof(real)), may_alias, aligned(sizeof(real))));

#ifdef MIEN_REAL_DOUBLE
typedef int64_t lane_mask;
#else
typedef int32_t lane_mask;
#endif
typedef lane_mask vec_mask __attribute__((vector_size(LANES * sizeof(real)))); /* of comparisons */

static inline vec vec_all(real v) {
    return v - (vec){0};
}

static inline vec vec_load(const real *p) {
    return *(const vec_unaligned *)p;
}

/* v where `relu_mask` is positive, else 0. */
static inline vec vec_relu_mask(vec v, vec relu_mask) {
    return (vec)((vec_mask)v & (relu_mask > (vec){0}));
}

static inline void vec_store(real *p, vec v) {
    *(vec_unaligned *)p = v;
}

enum { INT8_AT_ONCE = 16 };

#if defined(__AVX512F__) && !defined(MIEN_REAL_DOUBLE)
#include <immintrin.h>
/* Stores INT8_AT_ONCE numbers between -128 and 255 as 8-bit integers, ties rounded to even. */
static inline void vec_store_int8(uint8_t *p, const real *x) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_loadu_ps(x))));
}
static inline vec vec_fma(vec a, vec b, vec c) {
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
static inline vec vec_max(vec a, vec b) {
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
}
static inline vec vec_min(vec a, vec b) {
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
}
#elif defined(__FMA__) && !defined(MIEN_REAL_DOUBLE)
#include <immintrin.h>
static inline vec vec_fma(vec a, vec b, vec c) {
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
static inline vec vec_max(vec a, vec b) {
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
}
static inline vec vec_min(vec a, vec b) {
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
}
/* As above: the low bytes of the integers, whose packing saturates nothing. */
static inline void vec_store_int8(uint8_t *p, const real *x) {
    const __m256i byte = _mm256_set1_epi32(0xff);
    const __m256i a = _mm256_and_si256(_mm256_cvtps_epi32(_mm256_loadu_ps(x)), byte);
    const __m256i b = _mm256_and_si256(_mm256_cvtps_epi32(_mm256_loadu_ps(x + 8)), byte);
    const __m256i shorts = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);
    _mm_storeu_si128((__m128i *)p, _mm_packus_epi16(_mm256_castsi256_si128(shorts),
                                                    _mm256_extracti128_si256(shorts, 1)));
}
#else
static inline vec vec_fma(vec a, vec b, vec c) {
    return a * b + c;
}
static inline vec vec_max(vec a, vec b) {
    const vec_mask first = a > b;
    return (vec)(((vec_mask)a & first) | ((vec_mask)b & ~first));
}
static inline vec vec_min(vec a, vec b) {
    const vec_mask first = a < b;
    return (vec)(((vec_mask)a & first) | ((vec_mask)b & ~first));
}
#endif

/* a * b + c rounded once, as M_FMA does; slow without an FMA instruction. */
static inline vec vec_fma_exact(vec a, vec b, vec c) {
#if defined(__FMA__) && !defined(MIEN_REAL_DOUBLE)
    return vec_fma(a, b, c);
#else
    for (int i = 0; i < LANES; i++)
        c[i] = M_FMA(a[i], b[i], c[i]);
    return c;
#endif
}

#if defined(__SSE4_1__) && !defined(__FMA__) && !defined(MIEN_REAL_DOUBLE)
#include <smmintrin.h>
static inline void vec_store_int8(uint8_t *p, const real *x) {
    __m128i q[4];
    for (int i = 0; i < 4; i++)
        q[i] = _mm_and_si128(_mm_cvtps_epi32(_mm_loadu_ps(x + 4 * i)), _mm_set1_epi32(0xff));
    _mm_storeu_si128((__m128i *)p,
                     _mm_packus_epi16(_mm_packus_epi32(q[0], q[1]), _mm_packus_epi32(q[2], q[3])));
}
#elif defined(MIEN_REAL_DOUBLE)
static inline void vec_store_int8(uint8_t *p, const real *x) {
    for (int k = 0; k < INT8_AT_ONCE; k++)
        p[k] = (uint8_t)(int32_t)M_RINT(x[k]);
}
#endif

/* ReLU, ReLU6 (both set) or neither. */
static inline vec vec_rectify(vec x, bool relu, bool relu6) {
    if (relu) x = vec_max(x, vec_all(0));
    return relu6 ? vec_min(x, vec_all(6)) : x;
}

/* x * inverse within the bounds, as body_saturate. */
static inline vec vec_saturate(vec x, vec inverse, real low, real high) {
    return vec_min(vec_max(x * inverse, vec_all(low)), vec_all(high));
}

/* LANES numbers from 0 to 255, in memory as bytes. The compiler's own conversions take single
 * elements or detours. */
#if defined(__AVX512F__) && !defined(MIEN_REAL_DOUBLE)
static inline vec_mask vec_load_bytes(const uint8_t *p) {
    return (vec_mask)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
static inline void vec_store_bytes(uint8_t *p, vec_mask m) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)m));
}
#elif defined(__SSE4_1__) && !defined(MIEN_REAL_DOUBLE)
#include <smmintrin.h>
typedef uint16_t vec_shorts __attribute__((vector_size(LANES * sizeof(uint16_t))));
static inline vec_mask vec_load_bytes(const uint8_t *p) {
    const __m128i shorts = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)p));
    return __builtin_convertvector((vec_shorts)shorts, vec_mask);
}
static inline void vec_store_bytes(uint8_t *p, vec_mask m) {
    const __m128i shorts = (__m128i) __builtin_convertvector(m, vec_shorts);
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(shorts, shorts));
}
#else
static inline vec_mask vec_load_bytes(const uint8_t *p) {
    vec_mask m;
    for (int i = 0; i < LANES; i++)
        m[i] = p[i];
    return m;
}
static inline void vec_store_bytes(uint8_t *p, vec_mask m) {
    for (int i = 0; i < LANES; i++)
        p[i] = (uint8_t)m[i];
}
#endif

#endif
