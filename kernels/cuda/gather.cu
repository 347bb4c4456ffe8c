/* From 8-bit pixels to the network's input in one pass: gather, warp, mix, normalise. The random
 * parameters of a sample are drawn once, in parallel by different warps; then every thread computes
 * 16 bytes of the output. Images that fit are copied to shared memory, because a warp reads
 * scattered bytes. */
#include "kernels/cuda/grid.cuh"

#include "kernels/body/augment.h"

enum {
    IMAGE_BYTES = 8192, /* the largest image kept in shared memory, where there are two for mixup */
    PACKS_PER_BLOCK = 2048
};

/* The random parameters of a block's sample and of the one it is mixed with. */
struct gather_draw {
    body_warp own, other;
    float weight; /* of the sample itself; 1: not mixed */
};

struct gather_row {
    const uint32_t *order;
    uint32_t seed;
    uint64_t step;
    int partner; /* row of `order` that the sample is mixed with */
    bool mixes;
};

static __device__ gather_row find_row(const cuda_gather_args &g, int row) {
    gather_row p;
    p.seed = g.state ? g.state->seed : 0;
    p.step = g.state ? g.state->step : 0;
    p.order = g.order + (g.follows ? g.state->cursor : 0);
    const int distance =
        g.augment && g.ranges.mixup > 0 ? body_mixup_distance(p.seed, p.step, g.batch) : 0;
    p.mixes = distance > 0;
    /* the partner is chosen in the global batch, but `order` starts at row 0 of this call */
    const uint64_t n = g.first + (uint64_t)row + (uint64_t)distance;
    p.partner = p.mixes ? (int)(n % (uint64_t)g.batch) - (int)g.first : row;
    return p;
}

static __device__ void draw(gather_draw *d, const cuda_gather_args &g, const gather_row &p, int row,
                            int h, int w) {
    const uint64_t n = g.first + (uint64_t)row;
    const uint64_t m = g.first + (uint64_t)(int64_t)p.partner;
    if (threadIdx.x == 0)
        d->weight = p.mixes ? body_mixup_weight(&g.ranges, p.seed, p.step, n) : 1.0f;
    if (threadIdx.x == WARP)
        d->own =
            g.viewed || !g.augment ? g.view : body_draw_warp(&g.ranges, p.seed, p.step, n, h, w);
    if (threadIdx.x == 2 * WARP && p.mixes)
        d->other = g.viewed ? g.view : body_draw_warp(&g.ranges, p.seed, p.step, m, h, w);
}

/* Copies an image to shared memory, 16 bytes at a time if its address and size are aligned. */
static __device__ void load_image(pack<uint8_t> *to, const uint8_t *from, int bytes) {
    enum { N = pack<uint8_t>::N };
    if (((uintptr_t)from & (N - 1)) == 0 && bytes % N == 0) {
        for (int i = (int)threadIdx.x; i < bytes / N; i += BLOCK)
            to[i] = ((const pack<uint8_t> *)from)[i];
        return;
    }
    for (int i = (int)threadIdx.x; i < bytes; i += BLOCK)
        ((uint8_t *)to)[i] = from[i];
}

static __device__ void write_targets(float *out, const cuda_gather_args &g, const gather_row &p,
                                     int row, float weight) {
    const float *own = g.targets + (size_t)p.order[row] * (size_t)g.classes;
    const float *other = g.targets + (size_t)p.order[p.partner] * (size_t)g.classes;
    const float smooth = g.label_smoothing, floor = smooth / (float)g.classes;
    for (int k = (int)threadIdx.x; k < g.classes; k += BLOCK) {
        const float t = weight < 1 ? fmaf(own[k] - other[k], weight, other[k]) : own[k];
        out[k] = smooth > 0 ? fmaf(t, 1 - smooth, floor) : t;
    }
}

/* The value 0..255 of one output pixel, mixed with the partner's. */
static __device__ float pixel(const uint8_t *own, const uint8_t *other, const gather_draw &d,
                              bool warps, int x, int y, int c, int h, int w, int channels) {
    if (!warps) return own[(y * w + x) * channels + c];
    const float v = body_warp_pixel(own, &d.own, x, y, c, h, w, channels);
    if (d.weight >= 1) return v;
    const float u = body_warp_pixel(other, &d.other, x, y, c, h, w, channels);
    return fmaf(v - u, d.weight, u);
}

/* A block computes PACKS_PER_BLOCK packs of one row; `whole`: rows consist of aligned packs. */
template <typename T, bool SHARED>
static __global__ void __launch_bounds__(BLOCK)
    augment_gather_kernel(T *to, float *targets, cuda_gather_args g, int h, int w, int c,
                          bool whole) {
    enum { N = pack<T>::N, CAPACITY = SHARED ? IMAGE_BYTES / 16 : 1 };
    __shared__ gather_draw d;
    __shared__ pack<uint8_t> bytes[2][CAPACITY];
    const int row = (int)blockIdx.x, size = h * w * c, packs = (size + N - 1) / N;
    const gather_row p = find_row(g, row);
    const uint8_t *own = g.pixels + (size_t)p.order[row] * (size_t)size;
    const uint8_t *other = g.pixels + (size_t)p.order[p.partner] * (size_t)size;
    draw(&d, g, p, row, h, w);
    if (SHARED) load_image(bytes[0], own, size);
    __syncthreads();
    const bool mixed = d.weight < 1;
    if (SHARED && mixed) load_image(bytes[1], other, size);
    __syncthreads();
    if (SHARED) own = (const uint8_t *)bytes[0], other = (const uint8_t *)bytes[1];
    if (targets && blockIdx.y == 0)
        write_targets(targets + (size_t)row * (size_t)g.classes, g, p, row, d.weight);

    const int end = min(packs, (int)(blockIdx.y + 1) * PACKS_PER_BLOCK);
    for (int i = (int)blockIdx.y * PACKS_PER_BLOCK + (int)threadIdx.x; i < end; i += BLOCK) {
        const int position = i * N / c;
        int k = i * N % c, x = position % w, y = position / w;
        pack<T> out;
#pragma unroll
        for (int j = 0; j < N; j++) {
            const float v = y < h ? pixel(own, other, d, g.augment || g.viewed, x, y, k, h, w, c)
                                  : 0.0f; /* past the last pixel */
            store(&out.at[j], fmaf(v, g.scale[k], g.shift[k]));
            if (++k < c) continue;
            k = 0;
            if (++x < w) continue;
            x = 0;
            y++;
        }
        T *at = to + (size_t)row * (size_t)size + (size_t)i * N;
        if (whole) {
            *(pack<T> *)at = out;
            continue;
        }
#pragma unroll
        for (int j = 0; j < N; j++)
            if (i * N + j < size) at[j] = out.at[j];
    }
}

int cuda_gather(cuda_stream stream, cuda_tensor x, float *targets, const cuda_gather_args *g) {
    const int size = x.h * x.w * x.c;
    if (count_of(x) == 0) return 0;
    return with_number(x.number, [&](auto zero) {
        typedef decltype(zero) T;
        enum { N = pack<T>::N };
        const unsigned packs = ((unsigned)size + N - 1) / N;
        const dim3 grid((unsigned)x.n, (packs + PACKS_PER_BLOCK - 1) / PACKS_PER_BLOCK);
        return launch(size <= IMAGE_BYTES ? augment_gather_kernel<T, true>
                                          : augment_gather_kernel<T, false>,
                      grid, BLOCK, stream, (T *)x.data, targets, *g, x.h, x.w, x.c,
                      size % N == 0 && is_aligned(x.data));
    });
}
