/* The bias of a linear operator: its addition with an activation, and its gradient. */
#include "kernels/body/activation.h"

#include "kernels/cuda/sums.cuh"

/* ACT: the activation, known at compile time; ANY: the one in `act`. */
enum { ANY = -1 };

template <typename T, typename B, int V, int ACT>
static __global__ void bias_kernel(T *y, const B *bias, size_t rows, int c, int act, float alpha) {
    const int c0 = sheet_channel<V>();
    if (c0 >= c) return;
    float shift[V];
#pragma unroll
    for (int v = 0; v < V; v++)
        shift[v] = bias ? load(bias[c0 + v]) : 0;
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        T *at = y + row * (size_t)c + (size_t)c0;
        float value[V];
        load_few<T, V>(value, at);
#pragma unroll
        for (int v = 0; v < V; v++) {
            const float sum = bias ? value[v] + shift[v] : value[v];
            value[v] = body_activate(sum, ACT == ANY ? act : ACT, alpha);
        }
        store_few<T, V>(at, value);
    }
}

template <typename T, typename B, int V>
static int add_bias(cuda_stream stream, cuda_tensor y, const void *bias, int act, float alpha) {
    const size_t rows = count_of(y) / (size_t)y.c;
    const sheet s = sheet_of(rows, y.c / V);
    return launch(act == BODY_RELU     ? bias_kernel<T, B, V, BODY_RELU>
                  : act == BODY_LINEAR ? bias_kernel<T, B, V, BODY_LINEAR>
                                       : bias_kernel<T, B, V, ANY>,
                  s.grid, s.block, stream, (T *)y.data, (const B *)bias, rows, y.c, act, alpha);
}

int cuda_bias_activation_of(cuda_stream stream, cuda_tensor y, const void *bias, int number,
                            int act, float alpha) {
    if (count_of(y) == 0 || (!bias && act == BODY_LINEAR)) return 0;
    const bool same = !bias || number == y.number;
    if (!same && y.number != CUDA_F32) return (int)cudaErrorInvalidValue;
    return with_width(y.number, has_packs(y), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        if (same) return add_bias<T, T, V>(stream, y, bias, act, alpha);
        if (number == CUDA_BF16) return add_bias<float, bf16, V>(stream, y, bias, act, alpha);
        return add_bias<float, f16, V>(stream, y, bias, act, alpha);
    });
}

int cuda_bias_activation(cuda_stream stream, cuda_tensor y, const void *bias, int act,
                         float alpha) {
    return cuda_bias_activation_of(stream, y, bias, y.number, act, alpha);
}

template <typename T, int V>
static __global__ void bias_gradient_kernel(float *db, const T *dy, size_t rows, int c,
                                            bool accumulate, float *partial, unsigned *tickets) {
    const int c0 = sheet_channel<V>();
    const size_t step = sheet_step();
    float total[1][V] = {{0}};
    for (size_t row = sheet_row(); c0 < c && row < rows;) {
        float sum[V] = {0};
        for (int i = 0; i < SUM_RUN && row < rows; i += SUM_AHEAD, row += SUM_AHEAD * step) {
            few<T, V> value[SUM_AHEAD];
#pragma unroll
            for (size_t a = 0; a < SUM_AHEAD; a++)
                if (row + a * step < rows)
                    value[a] = fetch<T, V>(dy + (row + a * step) * (size_t)c + (size_t)c0);
#pragma unroll
            for (size_t a = 0; a < SUM_AHEAD; a++)
#pragma unroll
                for (int v = 0; v < V; v++)
                    if (row + a * step < rows) sum[v] += load(value[a].at[v]);
        }
#pragma unroll
        for (int v = 0; v < V; v++)
            total[0][v] += sum[v];
    }
    block_sums<V, 1>(partial, total, c0, c);
    finish_last<V>(db, partial, c, accumulate, tickets);
}

int cuda_bias_gradient(cuda_stream stream, float *db, cuda_tensor dy, bool accumulate,
                       cuda_workspace buffer) {
    if (count_of(dy) == 0) return 0;
    if (!sums_fit<1>(dy.c)) return cudaErrorInvalidValue;
    const size_t rows = count_of(dy) / (size_t)dy.c;
    return with_width(dy.number, has_packs(dy), [&](auto zero, auto wide) {
        typedef decltype(zero) T;
        enum { V = decltype(wide)::N };
        const sheet s = sums_sheet<1>(rows, dy.c, dy.c / V);
        return launch(bias_gradient_kernel<T, V>, s.grid, s.block, stream, db, (const T *)dy.data,
                      rows, dy.c, accumulate, (float *)buffer.data, buffer.tickets);
    });
}
