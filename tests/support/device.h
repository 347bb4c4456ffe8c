/* Compares the backend "cuda" with another one, operation by operation, on the same inputs. The
 * module is the one in $MIEN_MODULES, or else the fake GPU of this build, so the same tests run on
 * hardware. Every function ends the test when the engine reports a failure. */
#ifndef TESTS_SUPPORT_DEVICE_H
#define TESTS_SUPPORT_DEVICE_H

#include "host/backend/ops.h"

mien_backend *device_open(mien_compute compute, bool deterministic);

/* `count` floats in (-scale, scale), a function of `seed` alone, that `dtype` (F32, BF16 or F16)
 * holds exactly. The caller frees them. */
float *device_numbers(size_t count, float scale, uint32_t seed, mien_dtype dtype);

/* An activation of the backend's dtype and layout holding NHWC floats; NULL: zeros. */
mien_tensor device_tensor(mien_backend *b, mien_shape shape, const float *nhwc);
/* A plain row [1,1,1,count] of param_dtype: a parameter, a state, targets. */
mien_tensor device_params(mien_backend *b, size_t count, const float *values);
/* Its contents as floats, in logical order; the caller frees them. */
float *device_take(mien_backend *b, const mien_tensor *t);
/* Backend memory holding a copy of `bytes` of the host, or zeros. Free it with ops->free. */
void *device_copy(mien_backend *b, const void *host, size_t bytes);
void device_release(mien_backend *b, mien_tensor *t);

/* Ends the test unless all floats agree bit for bit; any NaN equals any NaN. */
void device_same(const float *got, const float *want, size_t count, const char *what);
/* Ends the test unless |got - want| <= most * |want| in the Euclidean norm; nothing may be NaN. */
void device_near(const float *got, const float *want, size_t count, double most, const char *what);

#endif
