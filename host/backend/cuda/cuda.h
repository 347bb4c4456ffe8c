/* Shared by the files of the GPU module. The module (mien-cuda.so) is the only part that includes
 * CUDA's headers; the program sees it through ops.h.
 *
 *   module.c   the module's table
 *   cuda.c     device, stream, libraries; which precision
 *   libraries.c whether cuDNN is installed as a whole
 *   check.c    one check for the codes of each library
 *   memory.c   memory, copies, timestamps
 *   glue.c     slots over our own kernels: from tensors to the launchers of kernels/cuda/launch.h
 *   linear.c   convolution and dense: layout of weights, which kind computes an operator
 *   bias.c     the gradient of a bias, for the kinds whose library does not compute it
 *   conv.c     by cuDNN (dnn_*.c: descriptors, engines, choices and their cache)
 *   transposed.c by cuDNN, with forward and data gradient exchanged
 *   stem.c     by our own kernels, for the convolution that reads the image
 *   grouped.c  by our own kernels, for channels in groups
 *   dense.c    by cuBLASLt (blas.c), or by our own kernels
 *   capture.c  CUDA graphs of recorded work
 *   range.c    NVTX */
#ifndef HOST_BACKEND_CUDA_CUDA_H
#define HOST_BACKEND_CUDA_CUDA_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "host/backend/cuda_module.h"
#include "host/backend/ops.h"
#include "kernels/cuda/launch.h"

enum { CUDA_TIMESTAMPS = 4096, CUDA_WORKSPACE_MAX = 256 << 20 };

typedef struct mien_cuda {
    int device, capability; /* 90 for 9.0 */
    char gpu[128];          /* "NVIDIA H200" */
    mien_compute compute;   /* never AUTO */
    bool deterministic;
    cudaStream_t stream; /* all work runs in it, in order, but for uploads in `uploads` */
    cudaStream_t uploads;
    cudaEvent_t landed; /* in `uploads`: a batch is in its landing memory */
    cudaEvent_t taken;  /* in `stream`: no work before it uses any landing memory */
    cudnnHandle_t dnn;
    cublasLtHandle_t blas;
    cuda_workspace buffer; /* partial sums of our own kernels */
    void *blas_workspace;  /* of CUDA_BLAS_WORKSPACE bytes */
    struct cuda_staging {  /* pinned memory for copies from and to the host */
        void *data;
        cudaEvent_t free; /* the last copy from it is done */
    } staging[2];
    int turn;
    struct dnn_cache *engines;               /* what was measured on this card; see dnn_cache.c */
    double engine_seconds;                   /* for trying engines; see dnn.h */
    double engine_spent;                     /* seconds of it used so far */
    bool engine_ran;                         /* an engine has run: from then on they count */
    bool time_over_logged;                   /* the log has said that no time is left */
    cudaEvent_t timestamps[CUDA_TIMESTAMPS]; /* NULL until used */
    bool capturing;
    bool joined; /* counted in the number of backends on the device */
    mien_ops ops;
} mien_cuda;

enum { CUDA_BLAS_WORKSPACE = 32 << 20, CUDA_STAGING = 4 << 20 };

static inline mien_cuda *cuda_of(const mien_backend *b) {
    return b->impl;
}

/* ---- check.c: results of library calls. A message contains the library's own text and `what`, the
 * operation ("the kernel of dropout"). A fault of the device (also one that an earlier call may
 * have caused) is MIEN_DEVICE, missing memory MIEN_NO_MEMORY, a missing device or driver
 * MIEN_NO_DEVICE, the rest MIEN_UNSUPPORTED. */
mien_status mien_cuda_check(cudaError_t code, const char *what, const char *file, int line);
mien_status mien_cudnn_check(cudnnStatus_t code, const char *what, const char *file, int line);
mien_status mien_cublas_check(cublasStatus_t code, const char *what, const char *file, int line);
#define CUDA_TRY(call, what)                                                                       \
    MIEN_TRY(mien_cuda_check((cudaError_t)(call), what, __FILE__, __LINE__))
#define CUDNN_TRY(call, what)  MIEN_TRY(mien_cudnn_check(call, what, __FILE__, __LINE__))
#define CUBLAS_TRY(call, what) MIEN_TRY(mien_cublas_check(call, what, __FILE__, __LINE__))

/* ---- libraries.c: NO_DEVICE when a part of cuDNN is missing ---- */
mien_status mien_cuda_cudnn_whole(void);

/* ---- cuda.c ---- */
/* The number of devices; NO_DEVICE with a message about driver or card when there is none. */
mien_status mien_cuda_count(int *out);
mien_status mien_cuda_open(int device, const mien_backend_options *options, mien_backend **out);
/* ---- memory.c: device memory, contents undefined ---- */
mien_status mien_cuda_alloc(size_t bytes, void **out);
void mien_cuda_free(void *data);
mien_status mien_cuda_staging_create(mien_cuda *cuda);
void mien_cuda_staging_release(mien_cuda *cuda);
/* Copies from the device in pieces of CUDA_STAGING bytes: `take` gets the one at offset `at` while
 * the next is being copied. */
typedef void (*cuda_take)(void *context, const void *piece, size_t at, size_t bytes);
mien_status mien_cuda_fetch(mien_cuda *cuda, const void *src, size_t bytes, cuda_take take,
                            void *context);
/* The enum cuda_number of one of a backend's dtypes. */
static inline int mien_cuda_number(mien_dtype dtype) {
    return dtype == MIEN_BF16 ? CUDA_BF16 : (dtype == MIEN_F16 ? CUDA_F16 : CUDA_F32);
}
/* A tensor for the launchers; NULL gives one without data. */
static inline cuda_tensor mien_cuda_tensor(const mien_tensor *t) {
    if (!t) return (cuda_tensor){0};
    const mien_shape s = t->shape;
    return (cuda_tensor){t->data, mien_cuda_number(t->dtype), s.n, s.h, s.w, s.c};
}

/* ---- the slots of each file ---- */
void mien_cuda_memory_slots(mien_ops *ops);      /* memory.c */
void mien_cuda_glue_slots(mien_ops *ops);        /* glue.c */
void mien_cuda_linear_slots(mien_ops *ops);      /* linear.c */
void mien_cuda_range_slots(mien_ops *ops);       /* range.c */
extern const mien_capture_ops mien_cuda_capture; /* capture.c */

/* ---- linear.c ---- */
typedef struct linear_kind linear_kind;

/* First member of every kind's operator. Weights [w] in memory: convolution
 * [out.c][kernel_h][kernel_w][in.c] (cuDNN's NHWC filter), transposed the same with in and out
 * exchanged, grouped and dense as on the host. w and the bias are of the backend's dtype, gradients
 * are floats. */
struct mien_linear {
    const linear_kind *kind;
    mien_backend *backend;
    mien_cuda *cuda;
    mien_linear_desc desc; /* a copy; its name is the layer's */
    size_t scratch;        /* bytes, for the largest prepared batch */
    bool only_data;        /* part of another operator that uses only its data gradient */
};

struct linear_kind {
    const char *name;
    /* Whether this kind can compute the operator. Tried in the order stem, grouped, dense,
     * transposed, conv. */
    bool (*takes)(const mien_cuda *, const mien_linear_desc *);
    size_t bytes; /* of the operator's struct, which begins with a mien_linear */
    mien_status (*prepare)(mien_linear *, int n); /* may allocate and measure */
    void (*release)(mien_linear *);               /* frees what prepare allocated */
    void (*engine)(const mien_linear *, mien_direction, char *text, size_t size);
    /* as the slots of ops.h */
    mien_status (*forward)(mien_linear *, const mien_tensor *y, const mien_tensor *x, const void *w,
                           const void *b, void *scratch);
    mien_status (*backward_data)(mien_linear *, const mien_tensor *dx, const mien_tensor *dy,
                                 const void *w, const mien_tensor *relu_mask, void *scratch,
                                 bool accumulate);
    mien_status (*backward_filter)(mien_linear *, void *dw, void *db, const mien_tensor *dy,
                                   const mien_tensor *x, void *scratch, bool accumulate);
    /* NULL: not supported */
    mien_status (*filter_masked)(mien_linear *, void *dw, void *db, const mien_tensor *dy,
                                 const mien_tensor *y, const mien_tensor *x, void *scratch,
                                 bool accumulate);
};
/* bias.c: the gradient of an operator's bias by our own kernel; nothing is done if db is NULL. */
mien_status mien_cuda_bias_gradient(const mien_linear *op, void *db, const mien_tensor *dy,
                                    bool accumulate);
extern const linear_kind mien_cuda_stem, mien_cuda_grouped, mien_cuda_dense, mien_cuda_transposed,
    mien_cuda_conv;

#endif
