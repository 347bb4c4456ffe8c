/* 3x3 convolution with stride 1 of an image with few channels, typically the first layer of a
 * network. Each output takes so few operations that tensor cores do not help: what counts is to
 * write (or read) it only once, 16 bytes per thread. A thread keeps QUAD adjacent outputs of one
 * pack of channels in registers; sums run over rows, columns and channels of the window in
 * ascending order, as on the CPU. */
#include "kernels/cuda/stem.cuh"

#include "kernels/body/activation.h"

/* ---- forward ---- */

template <int IC> struct stem_weights {
    pack<float> at[9 * IC][CHUNK / 4]; /* [tap][channel] */
    pack<float> bias[CHUNK / 4];
};

/* Copies the weights of a chunk of channels to shared memory; zeros after the last channel. */
template <typename W, int IC>
static __device__ void load_weights(stem_weights<IC> *to, const W *w, const W *bias, int first,
                                    int oc, int thread) {
    float *taps = (float *)to->at, *biases = (float *)to->bias;
    for (int i = thread; i < CHUNK * 9 * IC; i += BLOCK) {
        const int k = i / (9 * IC), tap = i % (9 * IC);
        taps[tap * CHUNK + k] = first + k < oc ? load(w[(size_t)first * (9 * IC) + i]) : 0.0f;
    }
    for (int k = thread; k < CHUNK; k += BLOCK)
        biases[k] = bias && first + k < oc ? load(bias[first + k]) : 0.0f;
}

/* acc[p][k] = bias + the sum over all taps, for QUAD adjacent outputs. */
template <int IC, int N>
static __device__ void sum_taps(float (&acc)[QUAD][N], const stem_image<IC> &image,
                                const stem_weights<IC> &weights, int row, int column, int group) {
#pragma unroll
    for (int k = 0; k < N; k++)
#pragma unroll
        for (int p = 0; p < QUAD; p++)
            acc[p][k] = weights.bias[group * (N / 4) + k / 4].at[k % 4];
#pragma unroll 1 /* unrolled, it would keep all weights in registers */
    for (int r = 0; r < 3; r++) {
        const stem_row<IC> x = read_row(image, row + r, column);
#pragma unroll
        for (int tap = 0; tap < 3 * IC; tap++)
#pragma unroll
            for (int j = 0; j < N / 4; j++) {
                const pack<float> w = weights.at[r * 3 * IC + tap][group * (N / 4) + j];
#pragma unroll
                for (int p = 0; p < QUAD; p++)
#pragma unroll
                    for (int k = 0; k < 4; k++)
                        acc[p][4 * j + k] = fmaf(x.at(p * IC + tap), w.at[k], acc[p][4 * j + k]);
            }
    }
}

/* Writes a pack of channels of one output. */
template <typename T, int N>
static __device__ void store_pack(T *to, const float (&sum)[N], int channels, bool relu,
                                  bool whole) {
    pack<T> out;
#pragma unroll
    for (int k = 0; k < N; k++)
        store(&out.at[k], relu ? body_activate(sum[k], BODY_RELU, 0) : sum[k]);
    if (whole) {
        *(pack<T> *)to = out;
        return;
    }
#pragma unroll
    for (int k = 0; k < N; k++)
        if (k < channels) to[k] = out.at[k];
}

template <typename T, typename X, int IC>
static __global__ void __launch_bounds__(BLOCK)
    stem_forward_kernel(T *y, const X *x, const X *w, const X *bias, stem_shape s, bool relu) {
    enum { N = pack<T>::N };
    __shared__ stem_image<IC> image;
    __shared__ stem_weights<IC> weights;
    const int thread = (int)(threadIdx.y * blockDim.x + threadIdx.x), group = (int)threadIdx.x;
    const int first = (int)blockIdx.y * CHUNK, channel = first + group * N;
    const stem_tile t = tile_at(s, (int)blockIdx.x);
    load_weights(&weights, w, bias, first, s.oc, thread);
    load_tile<X, IC>(&image, x, s, t, thread, BLOCK);
    __syncthreads();
    if (channel >= s.oc) return;
    const int across = (t.w + QUAD - 1) / QUAD;
    for (int q = (int)threadIdx.y; q < across * t.h; q += (int)blockDim.y) {
        const int row = q / across, column = q % across * QUAD;
        float acc[QUAD][N];
        sum_taps(acc, image, weights, row, column, group);
        const size_t position =
            (size_t)(t.n * s.oh + t.y + row) * (size_t)s.ow + (size_t)(t.x + column);
        T *to = y + position * (size_t)s.oc + channel;
#pragma unroll
        for (int p = 0; p < QUAD; p++)
            if (column + p < t.w)
                store_pack(to + (size_t)p * (size_t)s.oc, acc[p], s.oc - channel, relu, s.whole);
    }
}

int cuda_stem_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, const void *w,
                      const void *bias, cuda_stem f) {
    if (count_of(y) == 0) return 0;
    return with_numbers(y.number, x.number, [&](auto zero, auto pixel) {
        typedef decltype(zero) T;
        typedef decltype(pixel) X;
        return with_channels(x.c, [&](auto ic) {
            enum { N = pack<T>::N, IC = decltype(ic)::N };
            const stem_shape s = shape_of(y, x, f, N);
            const dim3 grid((unsigned)(s.n * s.tiles_h * s.tiles_w),
                            (unsigned)((s.oc + CHUNK - 1) / CHUNK));
            return launch(stem_forward_kernel<T, X, IC>, grid,
                          stem_block(s.oc < CHUNK ? s.oc : CHUNK, N, BLOCK), stream, (T *)y.data,
                          (const X *)x.data, (const X *)w, (const X *)bias, s, f.relu);
        });
    });
}

/* ---- gradient of the weights ----
 * A thread keeps the sums of all taps of a few channels in registers over many tiles; a block adds
 * its threads' sums in shared memory and writes one part; a second kernel adds the parts. Their
 * number depends on the shape only, so every GPU computes the same bits. */

enum {
    FILTER_BLOCK = 128, /* few threads with many registers each */
    PARTS = 396,        /* three per multiprocessor of an H100 */
    SUM_ROWS = 32       /* threads that share the parts of one sum */
};

/* Channels per thread: their sums for all taps must fit in registers. */
template <typename T, int IC> struct filter_width {
    enum { N = IC == 1 ? (int)pack<T>::N : 4 };
};

template <typename T, int N> struct alignas(N * sizeof(T)) channels_of { T at[N]; };

template <typename T, int N>
static __device__ channels_of<T, N> read_channels(const T *from, int channels, bool whole) {
    if (whole) return *(const channels_of<T, N> *)from;
    channels_of<T, N> read;
#pragma unroll
    for (int k = 0; k < N; k++)
        read.at[k] = k < channels ? from[k] : T();
    return read;
}

/* Sums of one thread: [tap][channel], then the bias. */
template <int IC, int N> struct filter_sums { float at[9 * IC + 1][N]; };

/* Adds the products of QUAD adjacent outputs; outputs beyond the tile are zeros in `dy`. */
template <typename T, int IC, int N>
static __device__ void add_quad(filter_sums<IC, N> &sums, const stem_image<IC> &image, int row,
                                int column, const channels_of<T, N> (&dy)[QUAD]) {
    stem_row<IC> x[3];
#pragma unroll
    for (int r = 0; r < 3; r++)
        x[r] = read_row(image, row + r, column);
#pragma unroll
    for (int p = 0; p < QUAD; p++)
#pragma unroll
        for (int k = 0; k < N; k++) {
            const float slope = load(dy[p].at[k]);
            sums.at[9 * IC][k] += slope;
#pragma unroll
            for (int tap = 0; tap < 9 * IC; tap++)
                sums.at[tap][k] =
                    fmaf(x[tap / (3 * IC)].at(p * IC + tap % (3 * IC)), slope, sums.at[tap][k]);
        }
}

/* dy of one output; 0 where y is not positive. `y` NULL: as it is. */
template <typename T, int N>
static __device__ channels_of<T, N> read_slopes(const T *dy, const T *y, int channels, bool whole) {
    channels_of<T, N> slope = read_channels<T, N>(dy, channels, whole);
    if (!y) return slope;
    const channels_of<T, N> output = read_channels<T, N>(y, channels, whole);
#pragma unroll
    for (int k = 0; k < N; k++)
        if (!(load(output.at[k]) > 0)) slope.at[k] = T();
    return slope;
}

template <typename T, int IC, int N>
static __device__ void add_tile(filter_sums<IC, N> &sums, const stem_image<IC> &image, const T *dy,
                                const T *y, const stem_shape &s, const stem_tile &t, int channel) {
    const int across = (t.w + QUAD - 1) / QUAD;
    for (int q = (int)threadIdx.y; q < across * t.h; q += (int)blockDim.y) {
        const int row = q / across, column = q % across * QUAD;
        const size_t position =
            (size_t)(t.n * s.oh + t.y + row) * (size_t)s.ow + (size_t)(t.x + column);
        const size_t from = position * (size_t)s.oc + (size_t)channel;
        channels_of<T, N> slope[QUAD];
#pragma unroll
        for (int p = 0; p < QUAD; p++) {
            const size_t at = from + (size_t)p * (size_t)s.oc;
            slope[p] = column + p < t.w
                           ? read_slopes<T, N>(dy + at, y ? y + at : NULL, s.oc - channel, s.whole)
                           : channels_of<T, N>();
        }
        add_quad(sums, image, row, column, slope);
    }
}

/* Adds the sums of a block's threads and writes them as part[tap][oc]. Lanes with the same channels
 * are a power of two, `groups`, apart. */
template <int IC, int N>
static __device__ void finish_sums(float *part, const filter_sums<IC, N> &sums, int first, int oc,
                                   int thread) {
    __shared__ float of_warp[FILTER_BLOCK / WARP][CHUNK];
    const int groups = (int)blockDim.x, group = (int)threadIdx.x, channels = groups * N;
#pragma unroll
    for (int tap = 0; tap < 9 * IC + 1; tap++) {
#pragma unroll
        for (int k = 0; k < N; k++) {
            float sum = sums.at[tap][k];
            for (int far = WARP / 2; far >= groups; far /= 2)
                sum += __shfl_xor_sync(ALL_LANES, sum, far);
            if (thread % WARP < groups) of_warp[thread / WARP][group * N + k] = sum;
        }
        __syncthreads();
        if (thread < channels && first + thread < oc) {
            float sum = 0;
            for (int i = 0; i < FILTER_BLOCK / WARP; i++)
                sum += of_warp[i][thread];
            part[(size_t)tap * (size_t)oc + (size_t)(first + thread)] = sum;
        }
        __syncthreads();
    }
}

template <typename T, int IC>
static __global__ void __launch_bounds__(FILTER_BLOCK, IC == 1 ? 3 : 1)
    stem_filter_kernel(float *parts, const T *dy, const T *y, const T *x, stem_shape s) {
    enum { N = filter_width<T, IC>::N };
    __shared__ stem_image<IC> image;
    const int thread = (int)(threadIdx.y * blockDim.x + threadIdx.x);
    const int first = (int)blockIdx.y * CHUNK, channel = first + (int)threadIdx.x * N;
    const int units = s.n * s.tiles_h * s.tiles_w;
    filter_sums<IC, N> sums;
#pragma unroll
    for (int tap = 0; tap < 9 * IC + 1; tap++)
#pragma unroll
        for (int k = 0; k < N; k++)
            sums.at[tap][k] = 0;
    for (int unit = (int)blockIdx.x; unit < units; unit += (int)gridDim.x) {
        const stem_tile t = tile_at(s, unit);
        load_tile<T, IC>(&image, x, s, t, thread, FILTER_BLOCK);
        __syncthreads();
        if (channel < s.oc) add_tile(sums, image, dy, y, s, t, channel);
        __syncthreads();
    }
    finish_sums(parts + (size_t)blockIdx.x * (size_t)((9 * IC + 1) * s.oc), sums, first, s.oc,
                thread);
}

/* dw[k][tap], and db[k] as tap number `taps`: the sums of all parts, WARP sums per block. */
static __global__ void __launch_bounds__(WARP *SUM_ROWS)
    stem_filter_reduce_kernel(float *dw, float *db, const float *parts, int count, int taps, int oc,
                              bool accumulate) {
    __shared__ float of_row[SUM_ROWS][WARP];
    const int size = (taps + 1) * oc, i = (int)(blockIdx.x * WARP + threadIdx.x);
    float sum = 0;
    for (int part = (int)threadIdx.y; i < size && part < count; part += SUM_ROWS)
        sum += parts[(size_t)part * (size_t)size + (size_t)i];
    of_row[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    const int tap = i / oc, k = i % oc;
    float *to = tap < taps ? &dw[(size_t)k * (size_t)taps + (size_t)tap] : db + k;
    if (threadIdx.y > 0 || i >= size || (tap == taps && !db)) return;
    for (int row = 1; row < SUM_ROWS; row++)
        sum += of_row[row][threadIdx.x];
    *to = accumulate ? *to + sum : sum;
}

int cuda_stem_filter(cuda_stream stream, float *dw, float *db, cuda_tensor dy, cuda_tensor y,
                     cuda_tensor x, cuda_stem f, bool accumulate, cuda_workspace buffer) {
    float *parts = (float *)buffer.data;
    const int taps = 9 * x.c;
    const size_t size = (size_t)(taps + 1) * (size_t)dy.c, most = CUDA_WORKSPACE_BYTES / 4 / size;
    if (count_of(dy) == 0) return 0;
    if (dy.number != x.number) return (int)cudaErrorInvalidValue;
    if (most == 0) return (int)cudaErrorInvalidValue; /* tens of thousands of channels */
    if (y.data && y.number != dy.number) return (int)cudaErrorInvalidValue;
    const stem_shape any = shape_of(dy, x, f, 1);
    const unsigned count = blocks_for((size_t)(any.n * any.tiles_h * any.tiles_w), 1,
                                      most < PARTS ? (unsigned)most : (unsigned)PARTS);
    TRY(with_number(x.number, [&](auto zero) {
        typedef decltype(zero) T;
        return with_channels(x.c, [&](auto ic) {
            enum { IC = decltype(ic)::N, N = filter_width<T, IC>::N };
            stem_shape s = shape_of(dy, x, f, N);
            s.whole = s.whole && is_aligned(y.data);
            const dim3 grid(count, (unsigned)((s.oc + CHUNK - 1) / CHUNK));
            return launch(stem_filter_kernel<T, IC>, grid,
                          stem_block(s.oc < CHUNK ? s.oc : CHUNK, N, FILTER_BLOCK), stream, parts,
                          (const T *)dy.data, (const T *)y.data, (const T *)x.data, s);
        });
    }));
    return launch(stem_filter_reduce_kernel, blocks_for(size, WARP), dim3(WARP, SUM_ROWS), stream,
                  dw, db, (const float *)parts, (int)count, taps, dy.c, accumulate);
}
