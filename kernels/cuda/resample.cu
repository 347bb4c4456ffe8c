/* Images of another size. Both directions gather, in the order of the CPU's loops, so that f32
 * gives the same bits. */
#include "kernels/body/resample.h"

#include "kernels/cuda/windows.cuh"

template <typename T, int V>
static __global__ void resample_kernel(cuda_tensor y, cuda_tensor x, bool bilinear, size_t rows,
                                       place step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= y.c) return;
    place at = place_of(sheet_row(), y.h, y.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const body_tap v = body_resample_tap(at.h, x.h, y.h, bilinear);
        const body_tap u = body_resample_tap(at.w, x.w, y.w, bilinear);
        const T *image = (const T *)x.data + image_start(x, at.n) + (size_t)c0;
        float a[V], b[V], c[V], d[V];
        load_few<T, V>(a, image + pixel_start(x, v.low, u.low));
        if (bilinear) {
            load_few<T, V>(b, image + pixel_start(x, v.low, u.high));
            load_few<T, V>(c, image + pixel_start(x, v.high, u.low));
            load_few<T, V>(d, image + pixel_start(x, v.high, u.high));
#pragma unroll
            for (int k = 0; k < V; k++)
                a[k] = body_between(body_between(a[k], b[k], u.weight),
                                    body_between(c[k], d[k], u.weight), v.weight);
        }
        store_few<T, V>((T *)y.data + row * (size_t)y.c + (size_t)c0, a);
        go_on(&at, step, y.h, y.w);
    }
}

int cuda_resample_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, bool bilinear) {
    if (count_of(y) == 0) return 0;
    const size_t rows = count_of(y) / (size_t)y.c;
    return with_width(y.number, has_packs(y) && has_packs(x), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, y.c / V);
        return launch(resample_kernel<T, V>, s.grid, s.block, stream, y, x, bilinear, rows,
                      step_of(s, y.h, y.w));
    });
}

/* Each element of dx asks the outputs that read it. */
template <typename T, int V>
static __global__ void resample_share_kernel(cuda_tensor dx, cuda_tensor dy, bool bilinear,
                                             bool accumulate, size_t rows, place step) {
    const int c0 = sheet_channel<V>();
    if (c0 >= dx.c) return;
    place at = place_of(sheet_row(), dx.h, dx.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const T *image = (const T *)dy.data + image_start(dy, at.n) + (size_t)c0;
        T *to = (T *)dx.data + row * (size_t)dx.c + (size_t)c0;
        float sum[V] = {0};
        if (accumulate) load_few<T, V>(sum, to);
        int h0, h1, w0, w1;
        body_resample_readers(at.h, dx.h, dy.h, bilinear, &h0, &h1);
        body_resample_readers(at.w, dx.w, dy.w, bilinear, &w0, &w1);
        for (int h = h0; h < h1; h++) {
            const float down = body_tap_share(body_resample_tap(h, dx.h, dy.h, bilinear), at.h);
            for (int w = w0; w < w1; w++) {
                const body_tap tap = body_resample_tap(w, dx.w, dy.w, bilinear);
                const float share = down * body_tap_share(tap, at.w);
                float value[V];
                load_few<T, V>(value, image + pixel_start(dy, h, w));
#pragma unroll
                for (int v = 0; v < V; v++)
                    sum[v] = fmaf(value[v], share, sum[v]);
            }
        }
        store_few<T, V>(to, sum);
        go_on(&at, step, dx.h, dx.w);
    }
}

int cuda_resample_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, bool bilinear,
                           bool accumulate) {
    if (count_of(dx) == 0) return 0;
    const size_t rows = count_of(dx) / (size_t)dx.c;
    return with_width(dx.number, has_packs(dx) && has_packs(dy), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, dx.c / V);
        return launch(resample_share_kernel<T, V>, s.grid, s.block, stream, dx, dy, bilinear,
                      accumulate, rows, step_of(s, dx.h, dx.w));
    });
}
