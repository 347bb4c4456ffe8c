/* Inverted dropout: four elements share one Philox block, as on the CPU. */
#include "kernels/body/dropout.h"

#include "kernels/cuda/grid.cuh"

template <typename T>
static __global__ void dropout_kernel(T *y, const T *x, size_t count, uint64_t first,
                                      cuda_mask mask, bool accumulate) {
    const uint32_t threshold = body_dropout_threshold(mask.rate);
    const float scale = (float)(1 / (1 - mask.rate));
    const uint32_t seed = mask.state->seed;
    const uint64_t step = mask.state->step;
    /* threads own whole blocks of the generator: `first` may lie inside of one */
    const uint64_t base = first & ~(uint64_t)3;
    const uint64_t blocks = (first + count - base + 3) / 4;
    const uint64_t stride = (uint64_t)gridDim.x * blockDim.x;
    for (uint64_t b = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; b < blocks; b += stride) {
        const rng_block words = rng_at(seed, mask.stream, step, base / 4 + b);
        for (int k = 0; k < 4; k++) {
            const uint64_t at = base + 4 * b + (uint64_t)k;
            if (at < first || at >= first + count) continue;
            const size_t i = (size_t)(at - first);
            const float dropped = body_dropout(load(x[i]), words.word[k], threshold, scale);
            store(&y[i], accumulate ? load(y[i]) + dropped : dropped);
        }
    }
}

int cuda_dropout(cuda_stream stream, cuda_tensor y, cuda_tensor x, cuda_mask mask,
                 bool accumulate) {
    const size_t count = count_of(x);
    const uint64_t first = mask.first * (uint64_t)x.h * (uint64_t)x.w * (uint64_t)x.c;
    if (count == 0) return 0;
    return with_number(x.number, [&](auto zero) {
        typedef decltype(zero) T;
        return launch(dropout_kernel<T>, blocks_for(count / 4 + 1, BLOCK), BLOCK, stream,
                      (T *)y.data, (const T *)x.data, count, first, mask, accumulate);
    });
}
