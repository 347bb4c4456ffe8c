/* The types behind the opaque handles of the fake cuBLASLt. */
#ifndef TESTS_CUDA_FAKE_CUBLASLT_H
#define TESTS_CUDA_FAKE_CUBLASLT_H

#include <cublasLt.h>

#include "tests/cuda/fake/runtime.h"

/* Magic numbers: the first word of every object of the fake, so that anything else is detected. */
enum { LT_LAYOUT = 0x17a1, LT_OP, LT_PREFERENCE, LT_ALGORITHM };

typedef struct lt_layout {
    uint32_t made;
    int32_t type;
    uint64_t rows, columns;
    int64_t ld;
} lt_layout;

typedef struct lt_op {
    uint32_t made;
    int32_t compute, scale, transpose_a, transpose_b;
    uint32_t epilogue;
    int32_t bias_type; /* -1: D's */
    const void *bias;
} lt_op;

typedef struct lt_preference {
    uint32_t made, search, schemes;
    uint32_t align[4]; /* of A, B, C, D */
    uint64_t workspace;
} lt_preference;

typedef struct lt_algorithm {
    uint32_t made, id, tile, stages, splitk, scheme;
    uint32_t workspace;
    uint16_t align[4];  /* as promised by the caller */
    uint32_t signature; /* of the problem it was offered for */
} lt_algorithm;

/* A matrix product whose descriptors are consistent. */
typedef struct lt_problem {
    lt_op op;
    lt_layout a, b, c, d;
    uint64_t m, n, k;
} lt_problem;

/* Returns INVALID_VALUE where descriptors contradict each other, NOT_SUPPORTED where the
 * documentation's table lacks the combination. */
cublasStatus_t lt_check(lt_problem *out, const void *op, const void *a, const void *b,
                        const void *c, const void *d);
/* A hash that distinguishes problems. */
uint32_t lt_signature(const lt_problem *problem);
size_t lt_bytes(int type);

/* One call, to be run by fake_submit. */
typedef struct lt_call {
    lt_problem problem;
    const void *a, *b, *c;
    void *d;
    float alpha, beta;
    bool backwards; /* sum in reverse order: atomics add in any order */
} lt_call;
void lt_compute(void *call);

#endif
