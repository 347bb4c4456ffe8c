/* Data movement: copies of boxes between tensors, and permutations of axes. */
#include "kernels/cuda/sheet.cuh"

/* Rows are the pixels of the box. */
template <typename T, int V>
static __global__ void box_kernel(cuda_tensor dst, cuda_tensor src, body_box b, bool accumulate,
                                  size_t rows, position step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= b.c) return;
    position p = position_of(sheet_row(), b.h, b.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const size_t to_line = (size_t)p.n * (size_t)dst.h + (size_t)(b.dst_h + p.h);
        const size_t from_line = (size_t)p.n * (size_t)src.h + (size_t)(b.src_h + p.h);
        const size_t to_pixel = to_line * (size_t)dst.w + (size_t)(b.dst_w + p.w);
        const size_t from_pixel = from_line * (size_t)src.w + (size_t)(b.src_w + p.w);
        T *to = (T *)dst.data + to_pixel * (size_t)dst.c + (size_t)(b.dst_c + c0);
        float value[V], old[V];
        load_few<T, V>(value,
                       (const T *)src.data + from_pixel * (size_t)src.c + (size_t)(b.src_c + c0));
        if (accumulate) {
            load_few<T, V>(old, to);
#pragma unroll
            for (int v = 0; v < V; v++)
                value[v] = old[v] + value[v];
        }
        store_few<T, V>(to, value);
        advance(&p, step, b.h, b.w);
    }
}

int cuda_copy_box(cuda_stream stream, cuda_tensor dst, cuda_tensor src, body_box b,
                  bool accumulate) {
    const size_t rows = (size_t)src.n * (size_t)b.h * (size_t)b.w;
    if (rows == 0 || b.c == 0) return 0;
    const int pack_of = src.number == CUDA_F32 ? 4 : 8;
    const bool whole = has_packs(dst) && has_packs(src) && (b.c | b.dst_c | b.src_c) % pack_of == 0;
    return with_width(dst.number, whole, [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, b.c / V);
        return launch(box_kernel<T, V>, s.grid, s.block, stream, dst, src, b, accumulate, rows,
                      step_of(s, b.h, b.w));
    });
}

template <typename T>
static __global__ void permute_kernel(cuda_tensor y, cuda_tensor x, body_axes axes, bool accumulate,
                                      size_t rows, position step) {
    const int c = sheet_channel<1>();
    if (c >= y.c) return;
    position p = position_of(sheet_row(), y.h, y.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        int h, w, k;
        body_permuted(axes, p.h, p.w, c, &h, &w, &k);
        const size_t line = (size_t)p.n * (size_t)x.h + (size_t)h;
        const size_t from = (line * (size_t)x.w + (size_t)w) * (size_t)x.c + (size_t)k;
        const float value = load(((const T *)x.data)[from]);
        T *to = (T *)y.data + row * (size_t)y.c + (size_t)c;
        store(to, accumulate ? load(*to) + value : value);
        advance(&p, step, y.h, y.w);
    }
}

int cuda_permute_axes(cuda_stream stream, cuda_tensor y, cuda_tensor x, body_axes axes,
                      bool accumulate) {
    if (count_of(y) == 0) return 0;
    const size_t rows = count_of(y) / (size_t)y.c;
    return with_number(y.number, [&](auto zero) {
        typedef decltype(zero) T;
        const sheet s = sheet_of(rows, y.c);
        return launch(permute_kernel<T>, s.grid, s.block, stream, y, x, axes, accumulate, rows,
                      step_of(s, y.h, y.w));
    });
}
