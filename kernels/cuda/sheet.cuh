/* Tensors as 2D sheets: channels across, rows (the pixels of all images) down. A thread owns a few
 * channels, 16 bytes of them where alignment allows, and walks down the rows, so that values per
 * channel stay in registers and no element needs a division. */
#ifndef KERNELS_CUDA_SHEET_CUH
#define KERNELS_CUDA_SHEET_CUH

#include "kernels/cuda/grid.cuh"

/* V adjacent numbers; one 16-byte access if they fill it. */
template <typename T, int V> struct alignas(V * sizeof(T) < 16 ? V * sizeof(T) : 16) few {
    T at[V];
};

/* Reads without converting: 16-bit numbers take half the registers until they are used. */
template <typename T, int V> static __device__ few<T, V> fetch(const T *from) {
    return *(const few<T, V> *)from;
}

template <typename T, int V> static __device__ void load_few(float (&to)[V], const T *from) {
    const few<T, V> raw = fetch<T, V>(from);
#pragma unroll
    for (int v = 0; v < V; v++)
        to[v] = load(raw.at[v]);
}

template <typename T, int V> static __device__ void store_few(T *to, const float (&from)[V]) {
    few<T, V> raw;
#pragma unroll
    for (int v = 0; v < V; v++)
        store(&raw.at[v], from[v]);
    *(few<T, V> *)to = raw;
}

/* The number of elements that a thread handles at a time, as a type. */
template <int V> struct width {
    enum { N = V };
};

/* Calls `work` with a value of the storage type and a width: that of a pack if `whole`, else 1.
 *     return with_width(x.number, whole, [&](auto zero, auto wide) {
 *         typedef decltype(zero) T; enum { V = decltype(wide)::N }; ... return code; }); */
template <typename F> static int with_width(int number, bool whole, F work) {
    return with_number(number, [&](auto zero) {
        typedef decltype(zero) T;
        return whole ? work(zero, width<pack<T>::N>()) : work(zero, width<1>());
    });
}

/* Can the channels of this tensor be accessed in packs? */
static inline bool has_packs(cuda_tensor t) {
    return is_aligned(t.data) && t.c % (t.number == CUDA_F32 ? 4 : 8) == 0;
}

/* Enough blocks for several waves on the largest GPU. With more rows, threads loop instead, which
 * amortises what they load per channel. */
enum { SHEET_ACROSS = 32, SHEET_BLOCKS = 4224 };

struct sheet {
    dim3 grid, block;
};

/* `units` threads across, `rows` down. Depends on the shape only, so that sums have the same order
 * on every GPU. */
static inline sheet sheet_of(size_t rows, int units, unsigned most = SHEET_BLOCKS) {
    unsigned across = 1;
    while (across < SHEET_ACROSS && across < (unsigned)units)
        across *= 2;
    const unsigned down = BLOCK / across, tiles = ((unsigned)units + across - 1) / across;
    const unsigned limit = most / tiles > 1 ? most / tiles : 1;
    sheet s;
    s.block = dim3(across, down);
    s.grid = dim3(tiles, blocks_for(rows, down, limit < 65535 ? limit : 65535));
    return s;
}

/* This thread's first channel, its first row, and the distance to its next row. */
template <int V> static __device__ int sheet_channel() {
    return (int)(blockIdx.x * blockDim.x + threadIdx.x) * V;
}
static __device__ inline size_t sheet_row() {
    return (size_t)blockIdx.y * blockDim.y + threadIdx.y;
}
static __device__ inline size_t sheet_step() {
    return (size_t)gridDim.y * blockDim.y;
}

/* A row as image, line and column. */
struct position {
    int n, h, w;
};

static inline __host__ __device__ position position_of(size_t row, int height, int width) {
    const size_t line = row / (size_t)width;
    position p;
    p.w = (int)(row - line * (size_t)width);
    p.n = (int)(line / (size_t)height);
    p.h = (int)(line - (size_t)p.n * (size_t)height);
    return p;
}

/* Advances by `step` with two comparisons instead of two divisions. */
static inline __host__ __device__ void advance(position *p, position step, int height, int width) {
    p->w += step.w;
    if (p->w >= width) {
        p->w -= width;
        p->h++;
    }
    p->h += step.h;
    if (p->h >= height) {
        p->h -= height;
        p->n++;
    }
    p->n += step.n;
}

/* The step of the threads of a sheet over images of this size. */
static inline position step_of(const sheet &s, int height, int width) {
    return position_of((size_t)s.grid.y * s.block.y, height, width);
}

#endif
