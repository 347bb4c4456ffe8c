/* Common to all kernel bodies: the number type and the function qualifier.
 *
 * A body computes one element, row or window. It takes scalars or pointers, never loops over a
 * tensor, and calls only sqrtf/fabsf/floorf/rintf/fmaf (as M_SQRT ...) and the functions of
 * elementary.h, so that C and CUDA compute the same bits from the same source. `real` is float in
 * the program and double in the reference build that the tests use. */
#ifndef KERNELS_BODY_BODY_H
#define KERNELS_BODY_BODY_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define MIEN_BODY static inline __host__ __device__
#else
#define MIEN_BODY static inline
#endif

#ifdef MIEN_REAL_DOUBLE
typedef double real;
#define M_FMA   fma
#define M_SQRT  sqrt
#define M_FABS  fabs
#define M_FLOOR floor
#define M_RINT  rint
#else
typedef float real;
#define M_FMA   fmaf
#define M_SQRT  sqrtf
#define M_FABS  fabsf
#define M_FLOOR floorf
#define M_RINT  rintf
#endif

MIEN_BODY real body_max(real a, real b) {
    return a > b ? a : b;
}

MIEN_BODY real body_min(real a, real b) {
    return a < b ? a : b;
}

MIEN_BODY int body_clamp_int(int x, int low, int high) {
    return x < low ? low : (x > high ? high : x);
}

#endif
