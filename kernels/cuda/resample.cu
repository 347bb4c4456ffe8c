/* Resampling of images to another size. */
#include "kernels/body/resample.h"

#include "kernels/cuda/weighted.cuh"

struct resample {
    bool bilinear;

    template <typename T, int V>
    __device__ void operator()(float (&a)[V], const T *image, position at, cuda_tensor y,
                               cuda_tensor x) const {
        const body_tap v = body_resample_tap(at.h, x.h, y.h, bilinear);
        const body_tap u = body_resample_tap(at.w, x.w, y.w, bilinear);
        float b[V], c[V], d[V];
        load_few<T, V>(a, image + pixel_start(x, v.low, u.low));
        if (!bilinear) return;
        load_few<T, V>(b, image + pixel_start(x, v.low, u.high));
        load_few<T, V>(c, image + pixel_start(x, v.high, u.low));
        load_few<T, V>(d, image + pixel_start(x, v.high, u.high));
#pragma unroll
        for (int k = 0; k < V; k++)
            a[k] = body_between(body_between(a[k], b[k], u.weight),
                                body_between(c[k], d[k], u.weight), v.weight);
    }
};

int cuda_resample_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, bool bilinear) {
    return weighted(stream, y, x, resample{bilinear}, false);
}

/* Each element of dx gathers from the outputs that read it. */
struct resample_gradient {
    bool bilinear;

    template <typename T, int V>
    __device__ void operator()(float (&sum)[V], const T *image, position at, cuda_tensor dx,
                               cuda_tensor dy) const {
        int h0, h1, w0, w1;
        body_resample_outputs(at.h, dx.h, dy.h, bilinear, &h0, &h1);
        body_resample_outputs(at.w, dx.w, dy.w, bilinear, &w0, &w1);
        for (int h = h0; h < h1; h++) {
            const float down = body_tap_share(body_resample_tap(h, dx.h, dy.h, bilinear), at.h);
            for (int w = w0; w < w1; w++) {
                const body_tap tap = body_resample_tap(w, dx.w, dy.w, bilinear);
                const float share = down * body_tap_share(tap, at.w);
                add_share<T, V>(sum, image + pixel_start(dy, h, w), share);
            }
        }
    }
};

int cuda_resample_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, bool bilinear,
                           bool accumulate) {
    return weighted(stream, dx, dy, resample_gradient{bilinear}, accumulate);
}
