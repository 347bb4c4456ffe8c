/* Inverted dropout, where four elements share a Philox block as on the CPU, and Gaussian noise. */
#include "kernels/body/noise.h"

#include "kernels/cuda/draw.cuh"
#include "kernels/cuda/sheet.cuh"

/* For aligned tensors: a pack is drawn from whole blocks of the generator. */
template <typename T, int V>
static __global__ void dropout_packs_kernel(T *y, const T *x, const T *relu, size_t count,
                                            drawing d, bool accumulate) {
    const uint32_t seed = d.state->seed;
    const uint64_t step = d.state->step;
    const size_t stride = (size_t)gridDim.x * blockDim.x * V;
    for (size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * V; i < count; i += stride) {
        float value[V], old[V], mask[V];
        uint32_t word[V];
        load_few<T, V>(value, x + i);
        if (relu) load_few<T, V>(mask, relu + i);
        if (accumulate) load_few<T, V>(old, y + i);
        draw_words<V>(word, d, seed, step, d.first + i);
#pragma unroll
        for (int v = 0; v < V; v++) {
            const float dropped =
                relu ? body_dropout_relu(value[v], mask[v], word[v], d.threshold, d.scale)
                     : body_dropout(value[v], word[v], d.threshold, d.scale);
            value[v] = accumulate ? old[v] + dropped : dropped;
        }
        store_few<T, V>(y + i, value);
    }
}

/* Otherwise: threads own whole blocks of the generator; the first element may be inside one. */
template <typename T>
static __global__ void dropout_kernel(T *y, const T *x, const T *relu, size_t count, drawing d,
                                      bool accumulate) {
    const uint32_t seed = d.state->seed;
    const uint64_t step = d.state->step;
    const uint64_t base = d.first & ~(uint64_t)3;
    const uint64_t blocks = (d.first + count - base + 3) / 4;
    const uint64_t stride = (uint64_t)gridDim.x * blockDim.x;
    for (uint64_t b = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; b < blocks; b += stride) {
        const rng_block words = rng_at(seed, d.stream, step, base / 4 + b);
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const uint64_t at = base + 4 * b + (uint64_t)k;
            if (at < d.first || at >= d.first + count) continue;
            const size_t i = (size_t)(at - d.first);
            const uint32_t word = words.word[k];
            const float dropped =
                relu ? body_dropout_relu(load(x[i]), load(relu[i]), word, d.threshold, d.scale)
                     : body_dropout(load(x[i]), word, d.threshold, d.scale);
            store(&y[i], accumulate ? load(y[i]) + dropped : dropped);
        }
    }
}

int cuda_dropout(cuda_stream stream, cuda_tensor y, cuda_tensor x, cuda_tensor relu, cuda_mask mask,
                 bool accumulate) {
    const size_t count = count_of(x);
    const drawing d = drawing_of(mask, x);
    if (count == 0) return 0;
    return with_number(x.number, [&](auto zero) {
        typedef decltype(zero) T;
        enum { V = pack<T>::N };
        const bool packs =
            is_aligned(y.data) && is_aligned(x.data) && is_aligned(relu.data) && count % V == 0;
        T *to = (T *)y.data;
        const T *from = (const T *)x.data, *output = (const T *)relu.data;
        if (packs && d.first % 4 == 0)
            return launch(dropout_packs_kernel<T, V>, blocks_for(count / V, BLOCK), BLOCK, stream,
                          to, from, output, count, d, accumulate);
        return launch(dropout_kernel<T>, blocks_for(count / 4 + 2, BLOCK), BLOCK, stream, to, from,
                      output, count, d, accumulate);
    });
}

/* One word per channel of an image, which has `pixels` pixels. */
template <typename T, int V>
static __global__ void dropout_channels_kernel(T *y, const T *x, size_t rows, int pixels, int c,
                                               drawing d, bool accumulate) {
    const int c0 = sheet_channel<V>();
    if (c0 >= c) return;
    const uint32_t seed = d.state->seed;
    const uint64_t step = d.state->step;
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const size_t at = row * (size_t)c + (size_t)c0, n = row / (size_t)pixels;
        float value[V], old[V] = {0};
        uint32_t word[V];
        load_few<T, V>(value, x + at);
        if (accumulate) load_few<T, V>(old, y + at);
        draw_words<V>(word, d, seed, step, d.first + n * (uint64_t)c + (uint64_t)c0);
#pragma unroll
        for (int v = 0; v < V; v++) {
            const float dropped = body_dropout(value[v], word[v], d.threshold, d.scale);
            value[v] = accumulate ? dropped + old[v] : dropped;
        }
        store_few<T, V>(y + at, value);
    }
}

int cuda_dropout_channels(cuda_stream stream, cuda_tensor y, cuda_tensor x, cuda_mask mask,
                          bool accumulate) {
    if (count_of(x) == 0) return 0;
    const size_t rows = count_of(x) / (size_t)x.c;
    drawing d = drawing_of(mask, x);
    d.first = mask.first * (uint64_t)x.c;
    return with_width(x.number, has_packs(y) && has_packs(x), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sheet_of(rows, x.c / V);
        return launch(dropout_channels_kernel<T, V>, s.grid, s.block, stream, (T *)y.data,
                      (const T *)x.data, rows, x.h * x.w, x.c, d, accumulate);
    });
}

template <typename T>
static __global__ void noise_kernel(T *y, const T *x, size_t count, drawing d, float std) {
    const uint32_t seed = d.state->seed;
    const uint64_t step = d.state->step;
    const size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride)
        store(&y[i], fmaf(body_normal(seed, d.stream, step, d.first + i), std, load(x[i])));
}

int cuda_noise(cuda_stream stream, cuda_tensor y, cuda_tensor x, cuda_mask mask) {
    const size_t count = count_of(x);
    if (count == 0) return 0;
    return with_number(x.number, [&](auto zero) {
        typedef decltype(zero) T;
        return launch(noise_kernel<T>, blocks_for(count, BLOCK), BLOCK, stream, (T *)y.data,
                      (const T *)x.data, count, drawing_of(mask, x), (float)mask.rate);
    });
}
