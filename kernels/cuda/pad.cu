/* Padding of images and channels with zeros, and its adjoint, cropping. */
#include "kernels/cuda/sheet.cuh"

/* Each pixel of y is a pixel of x where there is one, else 0. */
template <typename T, int V>
static __global__ void pad_kernel(cuda_tensor y, cuda_tensor x, int top, int left, size_t rows,
                                  position step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= y.c) return;
    position p = position_of(sheet_row(), y.h, y.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const int h = p.h - top, w = p.w - left;
        few<T, V> value = {};
        if (p.n < x.n && h >= 0 && h < x.h && w >= 0 && w < x.w && c0 < x.c) {
            const size_t from = ((size_t)p.n * (size_t)x.h + (size_t)h) * (size_t)x.w + (size_t)w;
            value = *(const few<T, V> *)((const T *)x.data + from * (size_t)x.c + (size_t)c0);
        }
        *(few<T, V> *)((T *)y.data + row * (size_t)y.c + (size_t)c0) = value;
        advance(&p, step, y.h, y.w);
    }
}

int cuda_pad(cuda_stream stream, cuda_tensor y, cuda_tensor x, int top, int left) {
    if (count_of(y) == 0) return 0;
    const size_t rows = count_of(y) / (size_t)y.c;
    return with_width(y.number, has_packs(y) && has_packs(x), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, y.c / V);
        return launch(pad_kernel<T, V>, s.grid, s.block, stream, y, x, top, left, rows,
                      step_of(s, y.h, y.w));
    });
}

template <typename T, int V>
static __global__ void crop_kernel(cuda_tensor y, cuda_tensor x, int top, int left,
                                   const T *relu_mask, bool accumulate, size_t rows,
                                   position step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= y.c) return;
    position p = position_of(sheet_row(), y.h, y.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const size_t line = (size_t)p.n * (size_t)x.h + (size_t)(p.h + top);
        const size_t from = line * (size_t)x.w + (size_t)(p.w + left);
        T *to = (T *)y.data + row * (size_t)y.c + (size_t)c0;
        float value[V], other[V];
        load_few<T, V>(value, (const T *)x.data + from * (size_t)x.c + (size_t)c0);
        if (relu_mask) {
            load_few<T, V>(other, relu_mask + row * (size_t)y.c + (size_t)c0);
#pragma unroll
            for (int v = 0; v < V; v++)
                value[v] = other[v] > 0 ? value[v] : 0;
        }
        if (accumulate) {
            load_few<T, V>(other, to);
#pragma unroll
            for (int v = 0; v < V; v++)
                value[v] = other[v] + value[v];
        }
        store_few<T, V>(to, value);
        advance(&p, step, y.h, y.w);
    }
}

int cuda_crop(cuda_stream stream, cuda_tensor y, cuda_tensor x, int top, int left,
              cuda_tensor relu_mask, bool accumulate) {
    if (count_of(y) == 0) return 0;
    const size_t rows = count_of(y) / (size_t)y.c;
    const bool whole = has_packs(y) && has_packs(x) && is_aligned(relu_mask.data);
    return with_width(y.number, whole, [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, y.c / V);
        return launch(crop_kernel<T, V>, s.grid, s.block, stream, y, x, top, left,
                      (const T *)relu_mask.data, accumulate, rows, step_of(s, y.h, y.w));
    });
}
