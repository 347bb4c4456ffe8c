/* One matrix product by cuBLASLt with the algorithm that computes it. */
#ifndef HOST_BACKEND_CUDA_BLAS_H
#define HOST_BACKEND_CUDA_BLAS_H

#include "host/backend/cuda/cuda.h"

/* D [m x n] = epilogue(op(A) op(B) + beta D), op(A) being [m x k] and op(B) [k x n]; all matrices
 * column-major without gaps, i.e. row-major matrices transposed. Sums are in float. */
typedef struct blas_problem {
    int m, n, k;
    bool transpose_a, transpose_b;
    mien_dtype in, out; /* of A and B, of D */
    cublasLtEpilogue_t epilogue;
    mien_dtype bias; /* of the epilogue's vector: the bias, or the bias gradient */
} blas_problem;

enum { BLAS_CANDIDATES = 8 };

typedef struct blas_product {
    blas_problem problem;
    cublasLtMatmulDesc_t op; /* NULL: an empty product */
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulAlgo_t algorithm;
} blas_product;

/* Makes a product and chooses its algorithm: from the cache, or by timing, or (deterministic) the
 * library's first. UNSUPPORTED when cuBLASLt has none; after a failure the product is empty.
 * Allocates and waits. */
mien_status blas_product_make(blas_product *product, mien_cuda *cuda, const blas_problem *problem);
/* An empty product is allowed. */
void blas_product_release(blas_product *product);
/* Launches it; `bias` is the epilogue's vector or NULL, `accumulate` sets beta to 1. */
mien_status blas_product_run(const blas_product *product, mien_cuda *cuda, void *d, const void *a,
                             const void *b, const void *bias, bool accumulate);
/* "algo 12 tile 20 stages 3 splitk 1" */
void blas_product_text(const blas_product *product, char *text, size_t size);

#endif
