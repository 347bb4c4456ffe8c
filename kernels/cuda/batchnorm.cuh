/* Shared by batchnorm.cu and batchnorm_pool.cu: the vectors of a normalisation, and the second
 * kernel of its gradient sums. */
#ifndef KERNELS_CUDA_BATCHNORM_CUH
#define KERNELS_CUDA_BATCHNORM_CUH

#include "kernels/body/batchnorm.h"
#include "kernels/cuda/sums.cuh"

/* The vectors that x is normalised with. */
struct normaliser {
    const float *gamma, *beta, *mean, *std; /* std: the inverse std; frozen: the variance */
    float epsilon;
    bool frozen;
};

static normaliser norm_of(const cuda_batchnorm *b, bool frozen) {
    const normaliser k = {b->gamma,
                          b->beta,
                          frozen ? b->running_mean : b->mean,
                          frozen ? b->running_variance : b->inverse_std,
                          b->epsilon,
                          frozen};
    return k;
}

static __device__ float inverse_of(const normaliser &k, int c) {
    return k.frozen ? body_inverse_std(k.std[c], k.epsilon) : k.std[c];
}

/* y = x * scale + shift for V channels. */
template <int V> struct affine { float scale[V], shift[V]; };

template <int V> static __device__ affine<V> affine_of(const normaliser &k, int c0) {
    affine<V> l;
#pragma unroll
    for (int v = 0; v < V; v++) {
        const float gamma = k.gamma ? k.gamma[c0 + v] : 1, beta = k.beta ? k.beta[c0 + v] : 0;
        l.scale[v] = body_bn_scale(gamma, inverse_of(k, c0 + v));
        l.shift[v] = body_bn_shift(beta, k.mean[c0 + v], l.scale[v]);
    }
    return l;
}

/* Channels of a thread at most in backward and around pooling windows. It keeps up to six numbers
 * for each, and a pack of eight 16-bit numbers would take so many registers that only two blocks
 * run on a multiprocessor. BACKWARD_BLOCKS: four on each of 132. */
enum { CHANNELS_MOST = 4, BACKWARD_BLOCKS = 4 * 132 };

static constexpr int channels_of(int wide) {
    return wide < CHANNELS_MOST ? wide : CHANNELS_MOST;
}

/* Writes dbeta and dgamma, and to `means` both divided by the number of rows. */
static __global__ void batchnorm_gradient_reduce_kernel(cuda_batchnorm b, normaliser k,
                                                        float *means, const float *partial,
                                                        unsigned parts, size_t rows, int c) {
    double total[2];
    finish_sums<2>(total, partial, parts, c);
    const int at = (int)(blockIdx.x * FINISH_ACROSS + threadIdx.x);
    if (threadIdx.y != 0 || at >= c) return;
    const double product = total[1] * (double)inverse_of(k, at);
    if (b.dbeta) b.dbeta[at] = (float)total[0];
    if (b.dgamma) b.dgamma[at] = (float)product;
    means[at] = (float)(total[0] / (double)rows);
    means[c + at] = (float)(product / (double)rows);
}

#endif
