/* The same case on the reference backend and on CUDA, the latter in several orders of blocks and
 * threads. A case makes its inputs itself: twin_floats gives numbers that the device's type holds
 * exactly, so that what was computed in float and rounded once must agree bit for bit. */
#ifndef TESTS_CUDA_TWINS_H
#define TESTS_CUDA_TWINS_H

#include "tests/support/device.h"
#include "tests/support/net.h"
#include "tests/support/reference.h"

struct CMUnitTest;
/* Runs the tests with the device computing in f32, bf16 and f16; returns how many failed. The
 * calling thread flushes subnormals meanwhile. */
int twins_all_types(const struct CMUnitTest *tests, size_t count);
/* The same in f32 alone. */
int twins_f32(const struct CMUnitTest *tests, size_t count);
/* The device of the running test, and the reference backend. */
mien_backend *twin_cuda(void);
mien_backend *twin_plain(void);
/* A float as the device's type stores it. */
float twin_rounded(float x);

/* `count` floats in the device's type; wild: zeros of both signs, infinities, NaN, subnormals and
 * numbers of many magnitudes among them. The caller frees them. */
float *twin_floats(size_t count, uint32_t seed, bool wild);

/* A tensor that holds such floats (seed 0: zeros). `shift`: it begins `shift` numbers behind a
 * whole pack. Free it with twin_release. */
typedef struct twin_tensor {
    mien_tensor t;
    void *data;
} twin_tensor;
twin_tensor twin_tensor_of(mien_backend *b, mien_shape shape, uint32_t seed, bool wild, int shift);
void twin_release(mien_backend *b, twin_tensor *t);

/* Appends what tensors hold: what a case returns. */
typedef struct twin_result {
    float *values;
    size_t count;
} twin_result;
void twin_keep(mien_backend *b, twin_result *r, const mien_tensor *t);
void twin_keep_numbers(twin_result *r, const float *values, size_t count);

typedef void (*twin_case)(mien_backend *b, const void *row, twin_result *out);
/* The same bits on both, after one rounding to the device's type. */
void twins_same(twin_case run, const void *row, const char *what, int number);
/* Within `most` of the norm. */
void twins_near(twin_case run, const void *row, double most, const char *what, int number);

#endif
