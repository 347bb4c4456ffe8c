/* Pooling windows over sheets: what a window covers, and which windows cover a pixel. */
#ifndef KERNELS_CUDA_WINDOWS_CUH
#define KERNELS_CUDA_WINDOWS_CUH

#include "kernels/body/pool.h"
#include "kernels/cuda/sheet.cuh"

/* The part of x under window (oh, ow). */
static inline __device__ body_window window_at(cuda_window p, int oh, int ow, cuda_tensor x) {
    return body_pool_window(oh, ow, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.pad_top,
                            p.pad_left, x.h, x.w);
}

/* The windows along one axis that cover position i: first .. end - 1 of `count`. */
static inline __device__ void windows_along(int i, int kernel, int stride, int pad, int count,
                                            int *first, int *end) {
    const int over = i + pad - kernel; /* the last start whose window ends before i */
    const int low = over < 0 ? 0 : over / stride + 1, high = (i + pad) / stride + 1;
    *first = low;
    *end = high < count ? high : count;
}

/* The windows of y that cover pixel (h, w) of x. */
static inline __device__ body_window windows_of(cuda_window p, int h, int w, cuda_tensor y) {
    body_window of;
    windows_along(h, p.kernel_h, p.stride_h, p.pad_top, y.h, &of.h0, &of.h1);
    windows_along(w, p.kernel_w, p.stride_w, p.pad_left, y.w, &of.w0, &of.w1);
    return of;
}

/* The offset, in elements, of an image, and of a pixel within its image. */
static inline __device__ size_t image_start(cuda_tensor t, int n) {
    return (size_t)n * (size_t)t.h * (size_t)t.w * (size_t)t.c;
}
static inline __device__ size_t pixel_start(cuda_tensor t, int h, int w) {
    return ((size_t)h * (size_t)t.w + (size_t)w) * (size_t)t.c;
}

#endif
