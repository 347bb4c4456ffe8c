/* Images whose pixels are weighted sums of another image's pixels: average pooling and resampling,
 * forward and backward. Every pixel of `to` gathers its terms in the order of the CPU's loops, so
 * that f32 gives the same bits. */
#ifndef KERNELS_CUDA_WEIGHTED_CUH
#define KERNELS_CUDA_WEIGHTED_CUH

#include "kernels/cuda/windows.cuh"

/* sum += share * the channels at `from`. */
template <typename T, int V>
static __device__ void add_share(float (&sum)[V], const T *from, float share) {
    float value[V];
    load_few<T, V>(value, from);
#pragma unroll
    for (int v = 0; v < V; v++)
        sum[v] = fmaf(value[v], share, sum[v]);
}

/* `work` computes one pixel of `to`: work(sum, image, at, to, from) adds the terms of the pixel at
 * `at` to `sum`; `image` points to this thread's channels of the same image of `from`. */
template <typename T, int V, typename F>
static __global__ void weighted_kernel(cuda_tensor to, cuda_tensor from, F work, bool accumulate,
                                       size_t rows, position step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= to.c) return;
    position at = position_of(sheet_row(), to.h, to.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const T *image = (const T *)from.data + image_start(from, at.n) + (size_t)c0;
        T *out = (T *)to.data + row * (size_t)to.c + (size_t)c0;
        float sum[V] = {0};
        if (accumulate) load_few<T, V>(sum, out);
        work(sum, image, at, to, from);
        store_few<T, V>(out, sum);
        advance(&at, step, to.h, to.w);
    }
}

template <typename F>
static int weighted(cuda_stream stream, cuda_tensor to, cuda_tensor from, F work, bool accumulate) {
    if (count_of(to) == 0) return 0;
    const size_t rows = count_of(to) / (size_t)to.c;
    return with_width(to.number, has_packs(to) && has_packs(from), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, to.c / V);
        return launch(weighted_kernel<T, V, F>, s.grid, s.block, stream, to, from, work, accumulate,
                      rows, step_of(s, to.h, to.w));
    });
}

#endif
