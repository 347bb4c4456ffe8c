/* Average pooling. Sums run in the order of the CPU's loops, so that f32 gives the same bits. */
#include "kernels/cuda/windows.cuh"

template <typename T, int V>
static __global__ void average_pool_kernel(cuda_tensor y, cuda_tensor x, cuda_window p, size_t rows,
                                           place step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= y.c) return;
    place at = place_of(sheet_row(), y.h, y.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const body_window win = window_at(p, at.h, at.w, x);
        const T *image = (const T *)x.data + image_start(x, at.n) + (size_t)c0;
        float sum[V] = {0};
        for (int h = win.h0; h < win.h1; h++)
#pragma unroll 4
            for (int w = win.w0; w < win.w1; w++) {
                float value[V];
                load_few<T, V>(value, image + pixel_start(x, h, w));
#pragma unroll
                for (int v = 0; v < V; v++)
                    sum[v] += value[v];
            }
        const float share = body_pool_inverse_area(win);
#pragma unroll
        for (int v = 0; v < V; v++)
            sum[v] *= share;
        store_few<T, V>((T *)y.data + row * (size_t)y.c + (size_t)c0, sum);
        go_on(&at, step, y.h, y.w);
    }
}

int cuda_average_pool_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, cuda_window p) {
    if (count_of(y) == 0) return 0;
    const size_t rows = count_of(y) / (size_t)y.c;
    return with_width(y.number, has_packs(y) && has_packs(x), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, y.c / V);
        return launch(average_pool_kernel<T, V>, s.grid, s.block, stream, y, x, p, rows,
                      step_of(s, y.h, y.w));
    });
}

/* Each element of dx asks the windows that it lies in, in the order in which the CPU hands out. */
template <typename T, int V>
static __global__ void average_share_kernel(cuda_tensor dx, cuda_tensor dy, cuda_window p,
                                            bool accumulate, size_t rows, place step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= dx.c) return;
    place at = place_of(sheet_row(), dx.h, dx.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const body_window of = windows_of(p, at.h, at.w, dy);
        const T *image = (const T *)dy.data + image_start(dy, at.n) + (size_t)c0;
        T *to = (T *)dx.data + row * (size_t)dx.c + (size_t)c0;
        float sum[V] = {0};
        if (accumulate) load_few<T, V>(sum, to);
        for (int oh = of.h0; oh < of.h1; oh++)
            for (int ow = of.w0; ow < of.w1; ow++) {
                const float share = body_pool_inverse_area(window_at(p, oh, ow, dx));
                float value[V];
                load_few<T, V>(value, image + pixel_start(dy, oh, ow));
#pragma unroll
                for (int v = 0; v < V; v++)
                    sum[v] = fmaf(value[v], share, sum[v]);
            }
        store_few<T, V>(to, sum);
        go_on(&at, step, dx.h, dx.w);
    }
}

int cuda_average_pool_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, cuda_window p,
                               bool accumulate) {
    if (count_of(dx) == 0) return 0;
    const size_t rows = count_of(dx) / (size_t)dx.c;
    return with_width(dx.number, has_packs(dx) && has_packs(dy), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, dx.c / V);
        return launch(average_share_kernel<T, V>, s.grid, s.block, stream, dx, dy, p, accumulate,
                      rows, step_of(s, dx.h, dx.w));
    });
}
