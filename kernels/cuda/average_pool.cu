/* Average pooling. */
#include "kernels/cuda/weighted.cuh"

struct average {
    cuda_window p;

    template <typename T, int V>
    __device__ void operator()(float (&sum)[V], const T *image, position at, cuda_tensor,
                               cuda_tensor x) const {
        const body_window win = window_at(p, at.h, at.w, x);
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
    }
};

int cuda_average_pool_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, cuda_window p) {
    return weighted(stream, y, x, average{p}, false);
}

/* Each element of dx gathers from the windows that contain it. */
struct average_gradient {
    cuda_window p;

    template <typename T, int V>
    __device__ void operator()(float (&sum)[V], const T *image, position at, cuda_tensor dx,
                               cuda_tensor dy) const {
        const body_window of = windows_of(p, at.h, at.w, dy);
        for (int oh = of.h0; oh < of.h1; oh++)
            for (int ow = of.w0; ow < of.w1; ow++) {
                const float share = body_pool_inverse_area(window_at(p, oh, ow, dx));
                add_share<T, V>(sum, image + pixel_start(dy, oh, ow), share);
            }
    }
};

int cuda_average_pool_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, cuda_window p,
                               bool accumulate) {
    return weighted(stream, dx, dy, average_gradient{p}, accumulate);
}
