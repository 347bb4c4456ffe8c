/* Elementary functions whose bits do not depend on the platform: series in fmaf after an exact
 * range reduction in float, libm in the double build (its tests need derivatives that agree to
 * 1e-9). Errors against correctly rounded results are measured in tests/unit/test_elementary.c.
 * Results below the smallest normal number are zero, as everywhere in Mien (FTZ). */
#ifndef KERNELS_BODY_ELEMENTARY_H
#define KERNELS_BODY_ELEMENTARY_H

#include "kernels/body/body.h"

#ifdef MIEN_REAL_DOUBLE

#define m_exp exp
#define m_log log
#define m_sin sin
#define m_cos cos
#define m_erf erf

#else

MIEN_BODY float body_from_bits(uint32_t bits) {
    union {
        uint32_t u;
        float f;
    } pun;
    pun.u = bits;
    return pun.f;
}

MIEN_BODY uint32_t body_to_bits(float x) {
    union {
        uint32_t u;
        float f;
    } pun;
    pun.f = x;
    return pun.u;
}

/* e^x: x = n ln2 + r with |r| <= ln2/2, Taylor to r^7 (next term 5e-9 relative), times 2^n, in two
 * factors because 2^128 is not a float. */
MIEN_BODY float m_exp(float x) {
    const float n = floorf(fmaf(x, 1.44269504f, 0.5f));
    const float k = body_min(body_max(n, -126.0f), 128.0f);
    float r = fmaf(k, -0.693359375f, x); /* ln2 = 0.693359375 - 2.12194440e-4; the first exact */
    r = fmaf(k, 2.12194440e-4f, r);
    float p = 1.98412698e-4f;
    p = fmaf(p, r, 1.38888889e-3f);
    p = fmaf(p, r, 8.33333333e-3f);
    p = fmaf(p, r, 4.16666667e-2f);
    p = fmaf(p, r, 1.66666667e-1f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    const int32_t half = (int32_t)k >> 1, rest = (int32_t)k - half;
    const float y = p * body_from_bits((uint32_t)(half + 127) << 23) *
                    body_from_bits((uint32_t)(rest + 127) << 23);
    const float low = x < -87.3365448f ? 0.0f : y;
    const float high = x > 88.7228317f ? body_from_bits(0x7f800000u) : low;
    return x != x ? x : high;
}

/* ln x: x = m 2^e with m in [sqrt(1/2), sqrt(2)), s = (m-1)/(m+1), 2 artanh s to s^9. */
MIEN_BODY float m_log(float x) {
    const uint32_t bits = body_to_bits(x);
    const int32_t shift = (int32_t)(bits - 0x3f3504f3u) >> 23;
    const float m = body_from_bits(bits - ((uint32_t)shift << 23));
    const float e = (float)shift;
    const float s = (m - 1.0f) / (m + 1.0f);
    const float z = s * s;
    float p = 0.222222222f;
    p = fmaf(p, z, 0.285714286f);
    p = fmaf(p, z, 0.4f);
    p = fmaf(p, z, 0.666666667f);
    p = p * z;
    const float y = fmaf(s, 2.0f, fmaf(s, p, e * -2.12194440e-4f));
    const float result = fmaf(e, 0.693359375f, y);
    if (x < 1.17549435e-38f)
        return x < 0 ? body_from_bits(0x7fc00000u) : body_from_bits(0xff800000u);
    return x > 3.40282347e38f || x != x ? x : result;
}

/* Quadrant and remainder of x by pi/2; accurate for |x| <= 1e3, far beyond any rotation used here.
 */
MIEN_BODY float body_quarter_turn(float x, int *quadrant) {
    const float n = floorf(fmaf(x, 0.636619772f, 0.5f));
    float r = fmaf(n, -1.5703125f, x); /* pi/2 = 1.5703125 + 4.83751297e-4 + 7.54978942e-8 */
    r = fmaf(n, -4.83751297e-4f, r);
    r = fmaf(n, -7.54978942e-8f, r);
    *quadrant = (int)n & 3;
    return r;
}

MIEN_BODY float body_sin_series(float r) {
    const float z = r * r;
    float p = 2.75573192e-6f;
    p = fmaf(p, z, -1.98412698e-4f);
    p = fmaf(p, z, 8.33333333e-3f);
    p = fmaf(p, z, -1.66666667e-1f);
    return fmaf(r * z, p, r);
}

MIEN_BODY float body_cos_series(float r) {
    const float z = r * r;
    float p = -2.75573192e-7f;
    p = fmaf(p, z, 2.48015873e-5f);
    p = fmaf(p, z, -1.38888889e-3f);
    p = fmaf(p, z, 4.16666667e-2f);
    p = fmaf(p, z, -0.5f);
    return fmaf(z, p, 1.0f);
}

MIEN_BODY float m_sin(float x) {
    int q;
    const float r = body_quarter_turn(x, &q);
    const float y = (q & 1) ? body_cos_series(r) : body_sin_series(r);
    return (q & 2) ? -y : y;
}

MIEN_BODY float m_cos(float x) {
    int q;
    const float r = body_quarter_turn(x, &q);
    const float y = (q & 1) ? body_sin_series(r) : body_cos_series(r);
    return ((q + 1) & 2) ? -y : y;
}

/* erf: Maclaurin series to x^21 below 1; above, Abramowitz & Stegun 7.1.26 (1.5e-7 absolute). */
MIEN_BODY float m_erf(float x) {
    const float a = fabsf(x), z = a * a;
    float p = 1.31225329e-8f;
    p = fmaf(p, -z, 1.45038522e-7f);
    p = fmaf(p, -z, 1.45891690e-6f);
    p = fmaf(p, -z, 1.32275132e-5f);
    p = fmaf(p, -z, 1.06837607e-4f);
    p = fmaf(p, -z, 7.57575758e-4f);
    p = fmaf(p, -z, 4.62962963e-3f);
    p = fmaf(p, -z, 2.38095238e-2f);
    p = fmaf(p, -z, 0.1f);
    p = fmaf(p, -z, 3.33333333e-1f);
    p = fmaf(p, -z, 1.0f);
    const float near = 1.12837917f * a * p;
    const float t = 1.0f / fmaf(0.3275911f, a, 1.0f);
    float q = 1.061405429f;
    q = fmaf(q, t, -1.453152027f);
    q = fmaf(q, t, 1.421413741f);
    q = fmaf(q, t, -0.284496736f);
    q = fmaf(q, t, 0.254829592f);
    const float far = fmaf(-q * t, m_exp(-z), 1.0f);
    const float y = a < 1.0f ? near : far;
    return x < 0 ? -y : y;
}

#endif
#endif
