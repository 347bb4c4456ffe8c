/* Shapes and tensors. The logical layout is always NHWC; the memory layout is chosen by the
 * backend and visible only as `block`.
 *
 *     mien_shape image = {.n = 64, .h = 48, .w = 48, .c = 1}; */
#ifndef MIEN_TENSOR_H
#define MIEN_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mien_shape {
    int n, h, w, c;
} mien_shape;

typedef enum mien_dtype { MIEN_F32, MIEN_F64, MIEN_BF16, MIEN_U8, MIEN_I8, MIEN_F16 } mien_dtype;

/* A view: it never owns `data`. Element (n,h,w,c) has the index
 * ((n * (c_count/block) + c/block) * h_count * w_count + h * w_count + w) * block + c % block:
 * block == c_count is NHWC, 16 and 8 are oneDNN's channel blocks. */
typedef struct mien_tensor {
    mien_shape shape;
    mien_dtype dtype;
    int block;
    void *data;
} mien_tensor;

static inline size_t mien_shape_count(mien_shape s) {
    return (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

/* Elements of one sample. */
static inline size_t mien_shape_sample(mien_shape s) {
    return (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

#ifdef __cplusplus
}
#endif
#endif
