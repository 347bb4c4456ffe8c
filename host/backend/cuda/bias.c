/* The gradient of a bias, by our own kernel. */
#include "host/backend/cuda/cuda.h"

mien_status mien_cuda_bias_gradient(const mien_linear *op, void *db, const mien_tensor *dy,
                                    bool accumulate) {
    if (!db) return MIEN_OK;
    CUDA_TRY(cuda_bias_gradient(op->cuda->stream, db, mien_cuda_tensor(dy), accumulate,
                                op->cuda->buffer),
             "the kernel of a bias gradient");
    return MIEN_OK;
}
