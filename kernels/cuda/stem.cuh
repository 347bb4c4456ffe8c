/* Shared by the kernels of stem_conv.cu: the partition of the output into tiles, and the part of
 * the image under a tile in shared memory, as floats and with zeros around it, so that the inner
 * loops need no border checks. */
#ifndef KERNELS_CUDA_STEM_CUH
#define KERNELS_CUDA_STEM_CUH

#include "kernels/cuda/grid.cuh"

enum {
    TILE_H = 16,
    TILE_W = 64,
    QUAD = 4,              /* adjacent outputs that a thread computes at a time */
    PITCH = TILE_W + QUAD, /* pixels from row to row of the tile */
    CHUNK = 64             /* output channels of a block */
};

struct stem_shape {
    int n, ih, iw, oh, ow, oc, pad_top, pad_left;
    int tile_w, tiles_h, tiles_w; /* tiles of an image; they are TILE_H high */
    bool whole;                   /* the channels are whole, aligned packs */
};

/* One tile: its image, first output and size. */
struct stem_tile {
    int n, y, x, h, w;
};

static inline __device__ stem_tile tile_at(const stem_shape &s, int unit) {
    const int across = unit % s.tiles_w, rest = unit / s.tiles_w;
    stem_tile t;
    t.n = rest / s.tiles_h;
    t.y = rest % s.tiles_h * TILE_H;
    t.x = across * s.tile_w;
    t.h = min(TILE_H, s.oh - t.y);
    t.w = min(s.tile_w, s.ow - t.x);
    return t;
}

template <int IC> struct alignas(16) stem_image { float at[(TILE_H + 2) * PITCH * IC]; };

/* Copies the pixels under a tile to shared memory with all `size` threads of a block; the caller
 * synchronises. */
template <typename T, int IC>
static __device__ void load_tile(stem_image<IC> *to, const T *x, const stem_shape &s,
                                 const stem_tile &t, int thread, int size) {
    const T *image = x + (size_t)t.n * (size_t)(s.ih * s.iw * IC);
    const int left = (t.x - s.pad_left) * IC, end = s.iw * IC;
    for (int i = thread; i < (t.h + 2) * PITCH * IC; i += size) {
        const int row = t.y - s.pad_top + i / (PITCH * IC), column = left + i % (PITCH * IC);
        const bool inside = row >= 0 && row < s.ih && column >= 0 && column < end;
        to->at[i] = inside ? load(image[row * end + column]) : 0.0f;
    }
}

/* The pixels that one row of the kernel needs for QUAD outputs. */
template <int IC> struct stem_row {
    enum { N = ((QUAD + 2) * IC + 3) / 4 };
    pack<float> of[N];
    __device__ float at(int i) const { return of[i / 4].at[i % 4]; }
};

template <int IC>
static __device__ stem_row<IC> read_row(const stem_image<IC> &image, int row, int column) {
    stem_row<IC> x;
    const pack<float> *from = (const pack<float> *)&image.at[(row * PITCH + column) * IC];
#pragma unroll
    for (int i = 0; i < stem_row<IC>::N; i++)
        x.of[i] = from[i];
    return x;
}

/* The shape of a block: across, a power of two of packs of channels; down, outputs. */
static inline dim3 stem_block(int channels, int pack_size, unsigned size) {
    unsigned groups = 1;
    while ((int)groups * pack_size < channels)
        groups *= 2;
    return dim3(groups, size / groups);
}

/* The number of input channels as a type: with_channels(c, [&](auto ic) { … decltype(ic)::N … }).
 */
template <int C> struct stem_channels {
    enum { N = C };
};
template <typename F> static int with_channels(int channels, F work) {
    switch (channels) {
    case 1:
        return work(stem_channels<1>());
    case 2:
        return work(stem_channels<2>());
    case 3:
        return work(stem_channels<3>());
    case 4:
        return work(stem_channels<4>());
    default:
        return (int)cudaErrorInvalidValue;
    }
}

static inline stem_shape shape_of(cuda_tensor y, cuda_tensor x, cuda_stem f, int pack_size) {
    stem_shape s;
    s.n = x.n, s.ih = x.h, s.iw = x.w;
    s.oh = y.h, s.ow = y.w, s.oc = y.c;
    s.pad_top = f.pad_top, s.pad_left = f.pad_left;
    s.tiles_h = (s.oh + TILE_H - 1) / TILE_H;
    s.tiles_w = (s.ow + TILE_W - 1) / TILE_W;
    s.tile_w = s.tiles_w ? (s.ow + s.tiles_w - 1) / s.tiles_w : 0;
    s.whole = s.oc % pack_size == 0 && is_aligned(y.data);
    return s;
}

#endif
