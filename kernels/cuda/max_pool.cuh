/* The winner of a max pooling window: shared by max_pool.cu and batchnorm_pool.cu. */
#ifndef KERNELS_CUDA_MAX_POOL_CUH
#define KERNELS_CUDA_MAX_POOL_CUH

#include "kernels/cuda/draw.cuh"
#include "kernels/cuda/windows.cuh"

enum { NOWHERE = -1 }; /* of an int; stored as the largest number of the index's type */

template <typename I> static __device__ bool is_nowhere(I position) {
    return position == (I)NOWHERE;
}

/* The largest value so far of each of V channels, and its position in the window. */
template <int V> struct winner {
    float best[V];
    int at[V];
};

template <int V>
static __device__ void challenge(winner<V> *win, const float (&candidate)[V], int at) {
#pragma unroll
    for (int v = 0; v < V; v++) {
        const bool beats = body_pool_beats(candidate[v], win->best[v]);
        win->best[v] = beats ? candidate[v] : win->best[v];
        win->at[v] = beats ? at : win->at[v];
    }
}

/* No gradient goes back through a ReLU before the pooling where it gave 0. */
template <int V> static __device__ void mask_winner(winner<V> *win) {
#pragma unroll
    for (int v = 0; v < V; v++)
        win->at[v] = win->best[v] > 0 ? win->at[v] : NOWHERE;
}

/* The dropout after the pooling; `at` is the index of the first element in the global batch. */
template <int V>
static __device__ void drop_winner(winner<V> *win, const drawing &d, uint32_t seed, uint64_t step,
                                   uint64_t at) {
    uint32_t word[V];
    draw_words<V>(word, d, seed, step, at);
#pragma unroll
    for (int v = 0; v < V; v++) {
        win->best[v] = body_dropout(win->best[v], word[v], d.threshold, d.scale);
        win->at[v] = word[v] >= d.threshold ? win->at[v] : NOWHERE;
    }
}

template <typename T, typename I, int V>
static __device__ void store_winner(T *y, I *index, const winner<V> &win) {
    few<I, V> positions;
#pragma unroll
    for (int v = 0; v < V; v++)
        positions.at[v] = (I)win.at[v];
    store_few<T, V>(y, win.best);
    *(few<I, V> *)index = positions;
}

#endif
