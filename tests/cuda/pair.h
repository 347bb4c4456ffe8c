/* Runs a case on the reference backend and on CUDA, the latter in several orders of blocks and
 * threads, and compares the results. A case makes its inputs with pair_floats, whose numbers the
 * device's type holds exactly: results computed in f32 and rounded once must agree bit for bit. */
#ifndef TESTS_CUDA_PAIR_H
#define TESTS_CUDA_PAIR_H

#include "tests/support/device.h"
#include "tests/support/net.h"
#include "tests/support/reference.h"

struct CMUnitTest;
/* Runs the tests with the device computing in f32, bf16 and f16; returns how many failed. The
 * calling thread flushes subnormals during the tests. */
int pair_run_all_types(const struct CMUnitTest *tests, size_t count);
/* The same in f32 alone. */
int pair_run_f32(const struct CMUnitTest *tests, size_t count);
/* The CUDA backend of the running test, and the reference backend. */
mien_backend *pair_cuda(void);
mien_backend *pair_plain(void);
/* A float rounded to the device's type. */
float pair_round(float x);

/* `count` floats that the device's type holds; wild: including zeros of both signs, infinities,
 * NaN, subnormals and numbers of many magnitudes. The caller frees them. */
float *pair_floats(size_t count, uint32_t seed, bool wild);

/* A tensor of such floats (seed 0: zeros) that begins `shift` elements after an aligned address.
 * Free it with pair_release. */
typedef struct pair_tensor {
    mien_tensor t;
    void *data;
} pair_tensor;
pair_tensor pair_tensor_of(mien_backend *b, mien_shape shape, uint32_t seed, bool wild, int shift);
void pair_release(mien_backend *b, pair_tensor *t);

/* The results of a case; pair_keep appends the contents of a tensor. */
typedef struct pair_result {
    float *values;
    size_t count;
} pair_result;
void pair_keep(mien_backend *b, pair_result *r, const mien_tensor *t);
void pair_keep_numbers(pair_result *r, const float *values, size_t count);

typedef void (*pair_case)(mien_backend *b, const void *row, pair_result *out);
/* Expects the same bits from both, after one rounding to the device's type. */
void pair_same(pair_case run, const void *row, const char *what, int number);
/* Expects a distance of at most `most` times the norm. */
void pair_near(pair_case run, const void *row, double most, const char *what, int number);

#endif
