/* The optimiser over flat vectors, in three launches: the sums of squares of the gradient per
 * block; the norm, its check and the advance of the state, which the update does not read; one pass
 * over all weights. The order in which the norm is summed depends on the count only. */
#include "kernels/body/optimizer.h"

#include "kernels/cuda/grid.cuh"

enum { QUAD = 4, SQUARES_BLOCKS = 1024 };

/* What the check passes to the update. */
struct optimize_workspace {
    body_update u;
    int held_back;
    double squares[SQUARES_BLOCKS];
};
static_assert(sizeof(optimize_workspace) <= CUDA_WORKSPACE_BYTES, "the workspace is too small");

/* Four numbers of any storage type, read or written at once. */
template <typename T> struct alignas(QUAD * sizeof(T)) quad { T at[QUAD]; };

/* The sum over a block; valid in thread 0. */
static __device__ double block_sum(double x) {
    __shared__ double of_warp[BLOCK / WARP];
    x = warp_sum(x);
    if (threadIdx.x % WARP == 0) of_warp[threadIdx.x / WARP] = x;
    __syncthreads();
    double sum = 0;
    for (int i = 0; i < BLOCK / WARP; i++)
        sum += of_warp[i];
    return sum;
}

static __global__ void gradient_norm_kernel(optimize_workspace *buffer, const float *g,
                                            size_t count, bool aligned) {
    const size_t stride = (size_t)gridDim.x * BLOCK,
                 mine = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    const size_t quads = aligned ? count / QUAD : 0;
    double sum = 0;
    for (size_t i = mine; i < quads; i += stride) {
        const quad<float> four = ((const quad<float> *)g)[i];
#pragma unroll
        for (int k = 0; k < QUAD; k++)
            sum += (double)four.at[k] * (double)four.at[k];
    }
    for (size_t i = quads * QUAD + mine; i < count; i += stride)
        sum += (double)g[i] * (double)g[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) buffer->squares[blockIdx.x] = sum;
}

static __global__ void optimizer_check_kernel(optimize_workspace *buffer, int blocks,
                                              body_rule rule, const double *rates, body_step *state,
                                              int rows) {
    double sum = 0;
    for (int i = (int)threadIdx.x; i < blocks; i += BLOCK)
        sum += buffer->squares[i];
    sum = block_sum(sum);
    if (threadIdx.x > 0) return;
    if (rates) state->learning_rate = rates[state->tick];
    buffer->held_back = body_step_check(state, sqrt(sum));
    buffer->u = body_update_make(&rule, state);
    body_step_advance(state, rule.beta_1, rule.beta_2, buffer->held_back, rows);
}

/* A weight and its optimiser state. */
struct weight_state {
    float w, m, v, average;
};

/* Updates one weight; if the new one or a moment is not finite, keeps the old ones and returns
 * false. */
template <int KIND>
static __device__ bool update_one(weight_state *s, float g, float decay, const body_update &u,
                                  bool moment, int nesterov) {
    const float kept = fmaf(-decay, s->w, s->w), slope = g * u.gradient_scale;
    float m = KIND == BODY_SGD && !moment ? 0 : s->m, v = s->v;
    const float moved = KIND == BODY_SGD ? body_sgd(kept, slope, &m, nesterov, &u)
                                         : body_adam(kept, slope, &m, &v, &u);
    const bool finite = 0 * moved + (KIND == BODY_SGD ? 0 : 0 * v) == 0;
    if (finite) s->w = moved, s->m = m, s->v = v;
    s->average = body_ema(s->average, s->w, &u);
    return finite;
}

/* The i-th group of four of a vector of `count` numbers; NULL: zeros. */
static __device__ quad<float> read(const float *from, size_t i, size_t count, bool aligned) {
    quad<float> four = {{0, 0, 0, 0}};
    if (!from) return four;
    if (aligned && i * QUAD + QUAD <= count) return ((const quad<float> *)from)[i];
#pragma unroll
    for (int k = 0; k < QUAD; k++)
        if (i * QUAD + k < count) four.at[k] = from[i * QUAD + k];
    return four;
}

template <typename T>
static __device__ void write(T *to, const quad<float> &four, size_t i, size_t count, bool aligned) {
    quad<T> out;
    if (!to) return;
#pragma unroll
    for (int k = 0; k < QUAD; k++)
        store(&out.at[k], four.at[k]);
    if (aligned && i * QUAD + QUAD <= count) {
        ((quad<T> *)to)[i] = out;
        return;
    }
#pragma unroll
    for (int k = 0; k < QUAD; k++)
        if (i * QUAD + k < count) to[i * QUAD + k] = out.at[k];
}

/* H: storage type of the half-precision copy. */
template <int KIND, typename H>
static __global__ void __launch_bounds__(BLOCK)
    adam_sgd_update_kernel(optimize_workspace *buffer, cuda_update a, bool aligned) {
    if (buffer->held_back) return;
    const body_update u = buffer->u;
    const size_t quads = (a.count + QUAD - 1) / QUAD, stride = (size_t)gridDim.x * BLOCK;
    bool finite = true;
    for (size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x; i < quads; i += stride) {
        const quad<float> g = read(a.g, i, a.count, aligned);
        quad<float> w = read(a.w, i, a.count, aligned);
        quad<float> m = read(a.m, i, a.count, aligned);
        quad<float> v = read(KIND == BODY_SGD ? NULL : a.v, i, a.count, aligned);
        quad<float> average = read(a.average, i, a.count, aligned);
#pragma unroll
        for (int k = 0; k < QUAD; k++) {
            weight_state s = {w.at[k], m.at[k], v.at[k], average.at[k]};
            const float decay = i * QUAD + k < a.decayed ? u.decay : 0;
            finite &= update_one<KIND>(&s, g.at[k], decay, u, a.m != NULL, a.rule.nesterov);
            w.at[k] = s.w, m.at[k] = s.m, v.at[k] = s.v, average.at[k] = s.average;
        }
        write(a.w, w, i, a.count, aligned);
        write(a.m, m, i, a.count, aligned);
        write(KIND == BODY_SGD ? (float *)NULL : a.v, v, i, a.count, aligned);
        write(a.average, average, i, a.count, aligned);
        write((H *)a.half, w, i, a.count, aligned);
    }
    if (!finite) a.state->bad = 1; /* all threads write the same value */
}

int cuda_optimize(cuda_stream stream, const cuda_update *a, int rows, cuda_workspace memory) {
    optimize_workspace *buffer = (optimize_workspace *)memory.data;
    const size_t quads = (a->count + QUAD - 1) / QUAD;
    const bool aligned = is_aligned(a->w) && is_aligned(a->g) && is_aligned(a->m) &&
                         is_aligned(a->v) && is_aligned(a->average) && is_aligned(a->half);
    const unsigned blocks = blocks_for(quads, BLOCK, SQUARES_BLOCKS);
    TRY(launch(gradient_norm_kernel, blocks, BLOCK, stream, buffer, a->g, a->count,
               is_aligned(a->g)));
    TRY(launch(optimizer_check_kernel, 1, BLOCK, stream, buffer, (int)blocks, a->rule, a->rates,
               a->state, rows));
    return with_number(a->half_number, [&](auto zero) {
        typedef decltype(zero) H;
        return launch(a->rule.kind == BODY_SGD ? adam_sgd_update_kernel<BODY_SGD, H>
                                               : adam_sgd_update_kernel<BODY_ADAM, H>,
                      blocks_for(quads, BLOCK), BLOCK, stream, buffer, *a, aligned);
    });
}
