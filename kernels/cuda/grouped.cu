/* Grouped and depthwise convolutions, whose groups are too small for the libraries' engines. A
 * thread computes one channel of one pixel, its neighbours in the warp the next channels, so that
 * their reads are contiguous. Sums run over rows, columns and channels in ascending order, as on
 * the CPU. */
#include "kernels/body/activation.h"
#include "kernels/cuda/sheet.cuh"

/* The description together with the channels of a group. */
struct grouped {
    cuda_grouped f;
    int in, out; /* channels per group */
};

static grouped grouped_of(cuda_tensor y, cuda_tensor x, cuda_grouped f) {
    return {f, x.c / f.groups, y.c / f.groups};
}

/* The index of a pixel among the pixels of all images. */
static __device__ size_t row_of(cuda_tensor t, int n, int h, int w) {
    return ((size_t)n * (size_t)t.h + (size_t)h) * (size_t)t.w + (size_t)w;
}

/* The index of the weight at tap (r, s) from input channel i of a group to output channel k of
 * `channels`. */
static __device__ size_t weight_of(const grouped &g, int r, int s, int i, int k, int channels) {
    const size_t tap = (size_t)r * (size_t)g.f.window.kernel_w + (size_t)s;
    return (tap * (size_t)g.in + (size_t)i) * (size_t)channels + (size_t)k;
}

template <typename Y, typename T>
static __global__ void grouped_forward_kernel(cuda_tensor y, cuda_tensor x, const T *weights,
                                              const T *bias, grouped g, bool relu, size_t rows,
                                              position step) {
    const int k = sheet_channel<1>();
    if (k >= y.c) return;
    const cuda_window p = g.f.window;
    const int first = k / g.out * g.in;
    position at = position_of(sheet_row(), y.h, y.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        float sum = bias ? load(bias[k]) : 0;
        for (int r = 0; r < p.kernel_h; r++)
            for (int s = 0; s < p.kernel_w; s++) {
                const int h = at.h * p.stride_h - p.pad_top + r * g.f.dilation_h;
                const int w = at.w * p.stride_w - p.pad_left + s * g.f.dilation_w;
                if (h < 0 || h >= x.h || w < 0 || w >= x.w) continue;
                const T *from =
                    (const T *)x.data + row_of(x, at.n, h, w) * (size_t)x.c + (size_t)first;
                for (int i = 0; i < g.in; i++)
                    sum = fmaf(load(from[i]), load(weights[weight_of(g, r, s, i, k, y.c)]), sum);
            }
        store((Y *)y.data + row * (size_t)y.c + (size_t)k,
              relu ? body_activate(sum, BODY_RELU, 0) : sum);
        advance(&at, step, y.h, y.w);
    }
}

int cuda_grouped_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, const void *w,
                         const void *bias, cuda_grouped f, bool relu) {
    if (count_of(y) == 0) return 0;
    const size_t rows = count_of(y) / (size_t)y.c;
    return with_number(x.number, [&](auto zero) {
        typedef decltype(zero) T;
        const sheet s = sheet_of(rows, y.c);
        return launch(y.number == x.number ? grouped_forward_kernel<T, T>
                                           : grouped_forward_kernel<float, T>,
                      s.grid, s.block, stream, y, x, (const T *)w, (const T *)bias,
                      grouped_of(y, x, f), relu, rows, step_of(s, y.h, y.w));
    });
}

/* One element of dx, gathered from the outputs that read it. */
template <typename T>
static __device__ float input_gradient(cuda_tensor dy, const T *weights, const grouped &g,
                                       position at, int c) {
    const cuda_window p = g.f.window;
    const int first = c / g.in * g.out;
    float sum = 0;
    for (int r = 0; r < p.kernel_h; r++)
        for (int s = 0; s < p.kernel_w; s++) {
            const int h = at.h + p.pad_top - r * g.f.dilation_h;
            const int w = at.w + p.pad_left - s * g.f.dilation_w;
            if (h < 0 || w < 0 || h % p.stride_h != 0 || w % p.stride_w != 0) continue;
            const int oh = h / p.stride_h, ow = w / p.stride_w;
            if (oh >= dy.h || ow >= dy.w) continue;
            const T *from =
                (const T *)dy.data + row_of(dy, at.n, oh, ow) * (size_t)dy.c + (size_t)first;
            const T *weight = weights + weight_of(g, r, s, c % g.in, first, dy.c);
            for (int k = 0; k < g.out; k++)
                sum = fmaf(load(from[k]), load(weight[k]), sum);
        }
    return sum;
}

template <typename T>
static __global__ void grouped_data_kernel(cuda_tensor dx, cuda_tensor dy, const T *weights,
                                           const T *relu_mask, grouped g, bool accumulate,
                                           size_t rows, position step) {
    const int c = sheet_channel<1>();
    if (c >= dx.c) return;
    position at = position_of(sheet_row(), dx.h, dx.w);
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const size_t here = row * (size_t)dx.c + (size_t)c;
        T *to = (T *)dx.data + here;
        const float sum = input_gradient(dy, weights, g, at, c) + (accumulate ? load(*to) : 0);
        store(to, relu_mask && !(load(relu_mask[here]) > 0) ? 0 : sum);
        advance(&at, step, dx.h, dx.w);
    }
}

int cuda_grouped_data(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, const void *w,
                      const void *relu_mask, cuda_grouped f, bool accumulate) {
    if (count_of(dx) == 0) return 0;
    const size_t rows = count_of(dx) / (size_t)dx.c;
    return with_number(dx.number, [&](auto zero) {
        typedef decltype(zero) T;
        const sheet s = sheet_of(rows, dx.c);
        return launch(grouped_data_kernel<T>, s.grid, s.block, stream, dx, dy, (const T *)w,
                      (const T *)relu_mask, grouped_of(dy, dx, f), accumulate, rows,
                      step_of(s, dx.h, dx.w));
    });
}

/* ---- gradient of the weights ----
 * A block computes one weight per output channel, for WARP output channels, and loops over the
 * weights if there are more than a grid is high; its rows of threads share the pixels. If that
 * gives too few blocks, the pixels are split into parts, which a second kernel adds. The number of
 * parts depends on the shape only. */

enum { FILTER_ROWS = BLOCK / WARP, FILTER_BLOCKS = 1056, PARTS = 64, GRID_HIGH = 65535 };

/* A thread's share of the gradient of the weight at (r, s) from channel i to output channel k. */
template <typename T>
static __device__ float share_of(cuda_tensor dy, cuda_tensor x, const grouped &g, int r, int s,
                                 int i, int k, size_t rows) {
    const cuda_window p = g.f.window;
    const int c = k / g.out * g.in + i;
    const size_t start = (size_t)blockIdx.z * FILTER_ROWS + threadIdx.y;
    float sum = 0;
    for (size_t row = start; k < dy.c && row < rows; row += (size_t)gridDim.z * FILTER_ROWS) {
        const position at = position_of(row, dy.h, dy.w);
        const int h = at.h * p.stride_h - p.pad_top + r * g.f.dilation_h;
        const int w = at.w * p.stride_w - p.pad_left + s * g.f.dilation_w;
        if (h < 0 || h >= x.h || w < 0 || w >= x.w) continue;
        const float slope = load(((const T *)dy.data)[row * (size_t)dy.c + (size_t)k]);
        const float value =
            load(((const T *)x.data)[row_of(x, at.n, h, w) * (size_t)x.c + (size_t)c]);
        sum = fmaf(value, slope, sum);
    }
    return sum;
}

template <typename T>
static __global__ void grouped_filter_kernel(float *to, cuda_tensor dy, cuda_tensor x, grouped g,
                                             bool accumulate, size_t rows, int taps) {
    __shared__ float of_row[FILTER_ROWS][WARP];
    const int k = (int)(blockIdx.x * WARP + threadIdx.x);
    for (int tap = (int)blockIdx.y; tap < taps; tap += (int)gridDim.y) {
        const int i = tap % g.in, column = tap / g.in;
        const int r = column / g.f.window.kernel_w, s = column % g.f.window.kernel_w;
        float sum = share_of<T>(dy, x, g, r, s, i, k, rows);
        of_row[threadIdx.y][threadIdx.x] = sum;
        __syncthreads();
        if (threadIdx.y == 0 && k < dy.c) {
            for (int other = 1; other < FILTER_ROWS; other++)
                sum += of_row[other][threadIdx.x];
            float *at = to + (size_t)blockIdx.z * (size_t)taps * (size_t)dy.c +
                        weight_of(g, r, s, i, k, dy.c);
            *at = accumulate ? *at + sum : sum;
        }
        __syncthreads();
    }
}

static __global__ void grouped_filter_reduce_kernel(float *dw, const float *parts, int count,
                                                    size_t size, bool accumulate) {
    const size_t stride = (size_t)gridDim.x * BLOCK;
    for (size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x; i < size; i += stride) {
        float sum = accumulate ? dw[i] : 0;
        for (int part = 0; part < count; part++)
            sum += parts[(size_t)part * size + i];
        dw[i] = sum;
    }
}

/* The number of parts; 1: the first kernel writes the gradient itself. */
static unsigned parts_of(size_t rows, size_t blocks, size_t size) {
    const size_t capacity = CUDA_WORKSPACE_BYTES / sizeof(float) / size;
    size_t parts = (FILTER_BLOCKS + blocks - 1) / blocks;
    if (parts > PARTS) parts = PARTS;
    if (parts > (rows + BLOCK - 1) / BLOCK) parts = (rows + BLOCK - 1) / BLOCK;
    if (parts > capacity) parts = capacity;
    return parts > 1 ? (unsigned)parts : 1;
}

int cuda_grouped_filter(cuda_stream stream, float *dw, cuda_tensor dy, cuda_tensor x,
                        cuda_grouped f, bool accumulate, cuda_workspace buffer) {
    if (count_of(dy) == 0) return 0;
    const grouped g = grouped_of(dy, x, f);
    const int taps = f.window.kernel_h * f.window.kernel_w * g.in;
    const size_t rows = count_of(dy) / (size_t)dy.c, size = (size_t)taps * (size_t)dy.c;
    const unsigned tiles = ((unsigned)dy.c + WARP - 1) / WARP;
    const unsigned parts = parts_of(rows, (size_t)tiles * (size_t)taps, size);
    const unsigned high = (unsigned)(taps < GRID_HIGH ? taps : GRID_HIGH);
    float *to = parts > 1 ? (float *)buffer.data : dw;
    TRY(with_number(dy.number, [&](auto zero) {
        typedef decltype(zero) T;
        return launch(grouped_filter_kernel<T>, dim3(tiles, high, parts), dim3(WARP, FILTER_ROWS),
                      stream, to, dy, x, g, parts == 1 && accumulate, rows, taps);
    }));
    if (parts == 1) return 0;
    return launch(grouped_filter_reduce_kernel, blocks_for(size, BLOCK), BLOCK, stream, dw,
                  (const float *)to, (int)parts, size, accumulate);
}
