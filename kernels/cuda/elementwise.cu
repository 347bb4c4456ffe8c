/* Activations, sums, products, scaling and conversion of storage: mostly one kernel that maps
 * elements, and the formulas for it. */
#include "kernels/body/activation.h"
#include "kernels/body/rectify.h"

#include "kernels/cuda/sheet.cuh"

template <int IN> struct sources { const void *at[IN]; };

/* y[i] = f(in[0][i], in[1][i], ...). A thread reads all operands of AHEAD packs before it computes,
 * which keeps enough reads in flight and allows y to be one of the sources. */
enum { AHEAD = 2 };

template <typename T, int V, int IN, typename F>
static __global__ void elementwise_kernel(T *y, sources<IN> in, size_t count, F f) {
    const size_t near = (size_t)blockDim.x * V, stride = (size_t)gridDim.x * near * AHEAD;
    for (size_t i = (size_t)blockIdx.x * near * AHEAD + (size_t)threadIdx.x * V; i < count;
         i += stride) {
        few<T, V> v[AHEAD][IN];
#pragma unroll
        for (int a = 0; a < AHEAD; a++)
#pragma unroll
            for (int k = 0; k < IN; k++)
                if (i + (size_t)a * near < count)
                    v[a][k] = fetch<T, V>((const T *)in.at[k] + i + (size_t)a * near);
#pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            if (i + (size_t)a * near >= count) break;
            float out[V];
#pragma unroll
            for (int j = 0; j < V; j++) {
                float arguments[IN];
#pragma unroll
                for (int k = 0; k < IN; k++)
                    arguments[k] = load(v[a][k].at[j]);
                out[j] = f(arguments);
            }
            store_few<T, V>(y + i + (size_t)a * near, out);
        }
    }
}

template <typename T, int V, int IN, typename F>
static int map_part(cuda_stream stream, cuda_tensor y, sources<IN> in, size_t first, size_t count,
                    F f) {
    if (count == 0) return 0;
    for (int k = 0; k < IN; k++)
        in.at[k] = (const T *)in.at[k] + first;
    return launch(elementwise_kernel<T, V, IN, F>, blocks_for(count / V / AHEAD + 1, BLOCK), BLOCK,
                  stream, (T *)y.data + first, in, count, f);
}

/* Whole packs first, then the few elements after them. */
template <int IN, typename F>
static int map_all(cuda_stream stream, cuda_tensor y, sources<IN> in, F f) {
    return with_number(y.number, [&](auto zero) {
        typedef decltype(zero) T;
        const size_t count = count_of(y);
        bool aligned = is_aligned(y.data);
        for (int k = 0; k < IN; k++)
            aligned = aligned && is_aligned(in.at[k]);
        const size_t packed = aligned ? count / pack<T>::N * pack<T>::N : 0;
        TRY((map_part<T, pack<T>::N, IN, F>(stream, y, in, 0, packed, f)));
        return map_part<T, 1, IN, F>(stream, y, in, packed, count - packed, f);
    });
}

/* f of the first IN numbers, added to the one after them. */
template <int IN, typename F> struct adding {
    F f;
    __device__ float operator()(const float *v) const { return v[IN] + f(v); }
};

/* y (+)= f(in...). */
template <int IN, typename F>
static int map(cuda_stream stream, cuda_tensor y, sources<IN> in, F f, bool accumulate) {
    if (!accumulate) return map_all<IN, F>(stream, y, in, f);
    sources<IN + 1> more;
    for (int k = 0; k < IN; k++)
        more.at[k] = in.at[k];
    more.at[IN] = y.data;
    return map_all<IN + 1, adding<IN, F>>(stream, y, more, adding<IN, F>{f});
}

/* ---- activations: ReLU is compiled in, the rarer ones are selected at run time ---- */

enum { ANY = -1 };

template <int ACT> struct activated {
    int act;
    float alpha;
    __device__ float operator()(const float *v) const {
        return body_activate(v[0], ACT == ANY ? act : ACT, alpha);
    }
};

int cuda_activation_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, int act,
                            float alpha) {
    const sources<1> in = {{x.data}};
    if (act == BODY_RELU) return map(stream, y, in, activated<BODY_RELU>{act, alpha}, false);
    return map(stream, y, in, activated<ANY>{act, alpha}, false);
}

/* dy times the slope, which is computed from the output where possible, else from the input. */
template <int ACT> struct sloped {
    int act;
    float alpha;
    bool from_output;
    __device__ float operator()(const float *v) const {
        return v[0] * body_activation_slope(from_output ? 0 : v[1], from_output ? v[1] : 0,
                                            ACT == ANY ? act : ACT, alpha);
    }
};

static bool follows_from_output(int act) {
#define FROM_OUTPUT(id, name, from_output) from_output,
    static const bool table[] = {BODY_ACTIVATIONS(FROM_OUTPUT)};
#undef FROM_OUTPUT
    return table[act];
}

int cuda_activation_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor x,
                             cuda_tensor y, int act, float alpha, bool accumulate) {
    const bool from_output = follows_from_output(act);
    const sources<2> in = {{dy.data, from_output ? y.data : x.data}};
    if (act == BODY_RELU)
        return map(stream, dx, in, sloped<BODY_RELU>{act, alpha, true}, accumulate);
    return map(stream, dx, in, sloped<ANY>{act, alpha, from_output}, accumulate);
}

/* ---- formulas ---- */

struct masked {
    __device__ float operator()(const float *v) const { return v[1] > 0 ? v[0] : 0; }
};
struct summed {
    __device__ float operator()(const float *v) const { return v[0] + v[1]; }
};
struct multiplied {
    __device__ float operator()(const float *v) const { return v[0] * v[1]; }
};
struct rescaled {
    float scale, shift;
    __device__ float operator()(const float *v) const { return fmaf(v[0], scale, shift); }
};

int cuda_relu_mask(cuda_stream stream, cuda_tensor dst, cuda_tensor src, cuda_tensor relu_mask,
                   bool accumulate) {
    return map(stream, dst, sources<2>{{src.data, relu_mask.data}}, masked{}, accumulate);
}

int cuda_add(cuda_stream stream, cuda_tensor y, cuda_tensor a, cuda_tensor b) {
    return map(stream, y, sources<2>{{a.data, b.data}}, summed{}, false);
}

int cuda_rescale(cuda_stream stream, cuda_tensor y, cuda_tensor x, float scale, float shift,
                 bool accumulate) {
    return map(stream, y, sources<1>{{x.data}}, rescaled{scale, shift}, accumulate);
}

/* ---- ReLU with parameters, and the maximum of several values ---- */

struct rectified {
    body_rectifier r;
    __device__ float operator()(const float *v) const { return body_rectify(v[0], r); }
};
struct rectified_slope {
    body_rectifier r;
    __device__ float operator()(const float *v) const { return v[0] * body_rectify_slope(v[1], r); }
};
struct greater {
    __device__ float operator()(const float *v) const { return body_greater(v[0], v[1]); }
};

int cuda_rectify_forward(cuda_stream stream, cuda_tensor y, cuda_tensor x, body_rectifier r) {
    return map(stream, y, sources<1>{{x.data}}, rectified{r}, false);
}

int cuda_rectify_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor x,
                          body_rectifier r, bool accumulate) {
    return map(stream, dx, sources<2>{{dy.data, x.data}}, rectified_slope{r}, accumulate);
}

int cuda_maximum(cuda_stream stream, cuda_tensor y, cuda_tensor a, cuda_tensor b) {
    return map(stream, y, sources<2>{{a.data, b.data}}, greater{}, false);
}

/* dx (+)= dy where x.at[which] is the first that equals y. */
template <typename T>
static __global__ void maximum_backward_kernel(T *dx, const T *dy, const T *y,
                                               sources<BODY_MAXIMUM_INPUTS> x, int which,
                                               size_t count, bool accumulate) {
    const size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        const float max = load(y[i]);
        bool wins = load(((const T *)x.at[which])[i]) == max;
        for (int k = 0; k < which; k++)
            wins = wins && load(((const T *)x.at[k])[i]) != max;
        const float back = wins ? load(dy[i]) : 0;
        store(&dx[i], accumulate ? load(dx[i]) + back : back);
    }
}

int cuda_maximum_backward(cuda_stream stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor y,
                          const cuda_tensor *x, int which, bool accumulate) {
    sources<BODY_MAXIMUM_INPUTS> of = {};
    for (int i = 0; i <= which; i++)
        of.at[i] = x[i].data;
    if (count_of(dx) == 0) return 0;
    return with_number(dx.number, [&](auto zero) {
        typedef decltype(zero) T;
        return launch(maximum_backward_kernel<T>, blocks_for(count_of(dx), BLOCK), BLOCK, stream,
                      (T *)dx.data, (const T *)dy.data, (const T *)y.data, of, which, count_of(dx),
                      accumulate);
    });
}

/* ---- copies between storage types ---- */

template <typename D, typename S, int V>
static __global__ void copy_kernel(D *dst, const S *src, size_t count, bool accumulate) {
    const size_t stride = (size_t)gridDim.x * blockDim.x * V;
    for (size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * V; i < count; i += stride) {
        float value[V], old[V];
        load_few<S, V>(value, src + i);
        if (accumulate) {
            load_few<D, V>(old, dst + i);
            for (int v = 0; v < V; v++)
                value[v] = old[v] + value[v];
        }
        store_few<D, V>(dst + i, value);
    }
}

int cuda_copy(cuda_stream stream, cuda_tensor dst, cuda_tensor src, bool accumulate) {
    enum { EIGHT = 8 }; /* one 16-byte access of a 16-bit tensor, two of an f32 one */
    const size_t count = count_of(src);
    const bool aligned = is_aligned(dst.data) && is_aligned(src.data);
    const size_t packed = aligned ? count / EIGHT * EIGHT : 0, rest = count - packed;
    return with_number(dst.number, [&](auto to) {
        typedef decltype(to) D;
        return with_number(src.number, [&](auto from) {
            typedef decltype(from) S;
            D *d = (D *)dst.data;
            const S *s = (const S *)src.data;
            if (packed)
                TRY(launch(copy_kernel<D, S, EIGHT>, blocks_for(packed / EIGHT, BLOCK), BLOCK,
                           stream, d, s, packed, accumulate));
            if (!rest) return 0;
            return launch(copy_kernel<D, S, 1>, blocks_for(rest, BLOCK), BLOCK, stream, d + packed,
                          s + packed, rest, accumulate);
        });
    });
}

/* ---- products ---- */

/* y[n,h,w,c] = a[n,h,w,c] * b[n,c]; an image has `pixels` pixels. */
template <typename T, int V>
static __global__ void broadcast_kernel(T *y, const T *a, const T *b, size_t rows, int pixels,
                                        int c) {
    const int c0 = sheet_channel<V>();
    if (c0 >= c) return;
    for (size_t row = sheet_row(); row < rows; row += sheet_step()) {
        const size_t at = row * (size_t)c + (size_t)c0;
        const size_t n = rows >> 32 ? row / (unsigned)pixels : (unsigned)row / (unsigned)pixels;
        float left[V], right[V];
        load_few<T, V>(left, a + at);
        load_few<T, V>(right, b + n * (size_t)c + (size_t)c0);
        for (int v = 0; v < V; v++)
            left[v] = left[v] * right[v];
        store_few<T, V>(y + at, left);
    }
}

static bool is_broadcast(cuda_tensor a, cuda_tensor b) {
    return (size_t)a.h * (size_t)a.w != (size_t)b.h * (size_t)b.w;
}

int cuda_multiply(cuda_stream stream, cuda_tensor y, cuda_tensor a, cuda_tensor b) {
    if (!is_broadcast(a, b))
        return map(stream, y, sources<2>{{a.data, b.data}}, multiplied{}, false);
    if (count_of(a) == 0) return 0;
    const size_t rows = count_of(a) / (size_t)a.c;
    return with_width(
        a.number, has_packs(a) && has_packs(b) && has_packs(y), [&](auto zero, auto wide) {
            typedef decltype(zero) T;
            enum { V = decltype(wide)::N };
            const sheet s = sheet_of(rows, a.c / V);
            return launch(broadcast_kernel<T, V>, s.grid, s.block, stream, (T *)y.data,
                          (const T *)a.data, (const T *)b.data, rows, a.h * a.w, a.c);
        });
}

/* Both gradients of a product with b[n,c]. A thread owns one channel of one image and adds up its
 * pixels in order, as the CPU does; it reads eight pixels ahead. */
template <typename T>
static __global__ void broadcast_gradient_kernel(T *da, T *db, const T *dy, const T *a, const T *b,
                                                 int n, int pixels, int c, bool accumulate_a,
                                                 bool accumulate_b) {
    enum { EIGHT = 8 };
    const int k = sheet_channel<1>();
    if (k >= c) return;
    for (size_t image = sheet_row(); image < (size_t)n; image += sheet_step()) {
        const size_t small = image * (size_t)c + (size_t)k;
        const size_t first = image * (size_t)pixels * (size_t)c + (size_t)k;
        const float factor = load(b[small]);
        float sum = db && accumulate_b ? load(db[small]) : 0;
        for (int p = 0; p < pixels; p += EIGHT) {
            float g[EIGHT], other[EIGHT];
#pragma unroll
            for (int i = 0; i < EIGHT; i++) {
                const size_t at = first + (size_t)(p + i) * (size_t)c;
                const bool inside = p + i < pixels;
                g[i] = inside ? load(dy[at]) : 0;
                other[i] = inside && db ? load(a[at]) : 0;
            }
#pragma unroll
            for (int i = 0; i < EIGHT; i++) {
                if (p + i >= pixels) break;
                if (db) sum += g[i] * other[i];
                if (!da) continue;
                T *to = &da[first + (size_t)(p + i) * (size_t)c];
                store(to, accumulate_a ? load(*to) + g[i] * factor : g[i] * factor);
            }
        }
        if (db) store(&db[small], sum);
    }
}

int cuda_multiply_backward(cuda_stream stream, cuda_tensor da, cuda_tensor db, cuda_tensor dy,
                           cuda_tensor a, cuda_tensor b, bool accumulate_a, bool accumulate_b) {
    if (!is_broadcast(a, b)) {
        if (da.data)
            TRY(map(stream, da, sources<2>{{dy.data, b.data}}, multiplied{}, accumulate_a));
        if (!db.data) return 0;
        return map(stream, db, sources<2>{{dy.data, a.data}}, multiplied{}, accumulate_b);
    }
    if (count_of(dy) == 0) return 0;
    return with_number(dy.number, [&](auto zero) {
        typedef decltype(zero) T;
        const sheet s = sheet_of((size_t)dy.n, dy.c);
        return launch(broadcast_gradient_kernel<T>, s.grid, s.block, stream, (T *)da.data,
                      (T *)db.data, (const T *)dy.data, (const T *)a.data, (const T *)b.data, dy.n,
                      dy.h * dy.w, dy.c, accumulate_a, accumulate_b);
    });
}
