/* The CPU's loops over the kernel bodies. CPU_KERNELS lists every loop once; it generates the
 * prototypes of each build (x86-64-v2, v3, v4 and the double reference) and the table that the
 * backend calls through. OpenMP threads split the outer loop; no result depends on their number. */
#ifndef KERNELS_CPU_CPU_H
#define KERNELS_CPU_CPU_H

#include <stdbool.h>

#include "kernels/body/activation.h"
#include "kernels/body/augment.h"
#include "kernels/body/batchnorm.h"
#include "kernels/body/dropout.h"
#include "kernels/body/optimizer.h"
#include "kernels/body/copy_box.h"
#include "kernels/body/pool.h"
#include "kernels/body/rectify.h"
#include "kernels/body/resample.h"
#include "kernels/body/softmax_xent.h"

/* Rows, image and channels of a tensor with channels in blocks of `block` (see tensor.h). */
typedef struct cpu_dims {
    int n, h, w, c, block;
} cpu_dims;

typedef struct cpu_window {
    int kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
} cpu_window;

/* Where a dropout mask comes from; `first` is the index of row 0 in the global batch. */
typedef struct cpu_mask {
    double rate;
    uint32_t seed, stream;
    uint64_t step, first;
} cpu_mask;

/* Calls work(context, index) for every index below `count`, in any order and by several threads. */
typedef void (*cpu_each)(int count, void (*work)(void *context, int index), void *context);

/* Parameters and statistics, [c] each; gamma and beta may be NULL. */
typedef struct cpu_batchnorm {
    const real *gamma, *beta, *mean;
    const real *std; /* frozen: the running variance, else 1 / std of the batch */
    real epsilon;
    int act; /* BODY_LINEAR or the fused BODY_RELU */
    bool frozen;
    /* added before the activation: y = act(normalised x + residual); NULL: none */
    const real *residual;
    const real *y;   /* backward: the output, for the ReLU's sign; NULL: recomputed from x */
    real *dresidual; /* backward: the residual's gradient; NULL: not needed */
    bool accumulate_dresidual;
    cpu_each each; /* NULL: the OpenMP team */
} cpu_batchnorm;

/* Plain convolution: x [n,ih,iw,ic] and y [n,oh,ow,oc] in NHWC, w in HWIO, with groups
 * [kernel_h][kernel_w][ic / groups][oc]. */
typedef struct cpu_conv {
    int n, ih, iw, ic, oh, ow, oc;
    cpu_window window;
    int dilation_h, dilation_w, groups; /* for the plain loops only; at least 1 */
} cpu_conv;

/* Limits of conv_stem_u8: output channels in multiples of LANES, at most TAPS taps (kernel area x
 * input channels). Its weights are [channels / LANES][taps][LANES]. */
enum { CPU_STEM_LANES = 16, CPU_STEM_TAPS = 128 };

/* Elements of a line of its input with the padding, and of its scratch memory for each thread. */
static inline size_t cpu_stem_line(const cpu_conv *c) {
    return (size_t)(((c->ow - 1) * c->window.stride_w + c->window.kernel_w) * c->ic);
}

static inline size_t cpu_stem_capacity(const cpu_conv *c) {
    return ((size_t)c->window.kernel_h * cpu_stem_line(c) + 15) & ~(size_t)15;
}

typedef struct cpu_gather {
    const uint8_t *pixels;
    const real *targets;
    const uint32_t *order; /* of the batch: the cursor is already added */
    int classes, batch;
    uint64_t first;
    const float *scale, *shift;
    bool augment;
    body_augment ranges;
    const body_warp *view; /* NULL, or one warp for every row */
    float label_smoothing;
    uint32_t seed;
    uint64_t step;
    cpu_each each; /* NULL: the OpenMP team */
} cpu_gather;

/* mien_update with types. */
typedef struct cpu_update {
    real *w;
    const real *g;
    real *m, *v, *average;
    const double *rates;
    size_t decayed, count;
    const body_rule *rule;
    body_step *state;
    cpu_each each; /* NULL: the OpenMP team */
} cpu_update;

/* A 3x3 convolution of stride 1 for Winograd's algorithm, activations in blocks of LANES channels.
 * `winograd_size` or `winograd_filter_size` sets `lanes` and the fields after it. */
typedef struct cpu_winograd {
    int n, ih, iw, ic, oh, ow, oc, pad_top, pad_left;
    bool flipped;     /* a data gradient: the weights passed are those of the forward convolution */
    int lanes;        /* channels in a block; the sizes must be multiples of it */
    int tiles, group; /* 4x4 output tiles in total and per group */
    int shares;       /* threads that share the outputs of a group: many, where tiles are few */
    /* weight gradient: the rows of a slice, set by the caller (0: all), where a slice has
     * sums of its own and where all threads share them; which it is; tiles of a slice; sets of sums
     * and their elements; threads that have buffers */
    int slice, shared_slice;
    bool shared;
    int share, parts, threads;
    size_t sums;
    size_t capacity, scratch; /* elements per thread, bytes in total */
} cpu_winograd;

/* An int8 convolution or dense layer (kernel 1x1 of a 1x1 image) by 16-bit products: x in NHWC, of
 * uint8 or int8; y likewise or real, (sum + bias) * scale of each output. `int8_size` or
 * `int8_winograd_size` sets `tiles` and the fields after it. */
typedef struct cpu_int8 {
    cpu_conv conv;
    bool dense, x_signed, y_signed, y_real, relu;
    bool pooled;              /* Winograd: y is the largest of each two by two pixels */
    bool vnni;                /* Winograd: the CPU multiplies and adds pairs in one instruction */
    const real *bias, *scale; /* [oc] */
    int tiles, group;         /* Winograd: 4x4 output tiles in total and per group */
    size_t weights;           /* 16-bit numbers of the packed weights */
    size_t capacity, scratch; /* elements per thread, bytes in total */
} cpu_int8;

/* A 3x3 convolution that reads an image: x [n,ih,iw,ic] in NHWC with few channels, y in blocks of
 * LANES, weights in HWIO. The weight gradient is for stride 1. `stem_size` sets `lanes` and the
 * fields after it. */
typedef struct cpu_stem {
    int n, ih, iw, ic, oh, ow, oc, stride, pad_top, pad_left;
    int slice;                /* weight gradient: rows of a slice, set by the caller; 0: all */
    int lanes, parts;         /* channels in a block of y; sets of sums, of a slice each */
    size_t capacity, scratch; /* elements per thread, bytes in total */
} cpu_stem;

/* A pointwise convolution of stride 1: x [n][ic / x_block][area][x_block], y likewise, where a
 * block may be all channels. `pointwise_size` sets the pixels that an image needs at least and the
 * elements of the packed weights. */
typedef struct cpu_pointwise {
    int n, area, ic, oc, x_block, y_block;
    int fewest;
    size_t weights;
} cpu_pointwise;

/* Applied to a convolution's result before it is written, in this order. */
typedef struct cpu_epilogue {
    const real *bias;      /* [oc] or NULL */
    bool accumulate;       /* the old content of y is added */
    bool relu, relu6;      /* relu6: at most 6, too */
    const real *relu_mask; /* NULL, or like y: where it is not positive the result is 0 */
} cpu_epilogue;

#define CPU_KERNELS(X)                                                                             \
    X(activation_forward, (real * y, const real *x, size_t count, int act, real alpha))            \
    X(activation_backward, (real * dx, const real *dy, const real *x, const real *y, size_t count, \
                            int act, real alpha, bool accumulate))                                 \
    X(add, (real * y, const real *a, const real *b, size_t count))                                 \
    X(accumulate, (real * dst, const real *src, size_t count))                                     \
    X(copy, (void *dst, const void *src, size_t bytes))                                            \
    X(zero, (void *dst, size_t bytes))                                                             \
    X(relayout, (real * dst, int dst_block, const real *src, cpu_dims src_dims, bool accumulate))  \
    X(rescale, (real * y, const real *x, size_t count, real scale, real shift, bool accumulate))   \
    X(multiply, (real * y, const real *a, const real *b, cpu_dims d, bool broadcast))              \
    X(multiply_backward, (real * da, real * db, const real *dy, const real *a, const real *b,      \
                          cpu_dims d, bool broadcast, bool accumulate_a, bool accumulate_b))       \
    X(dropout,                                                                                     \
      (real * y, const real *x, const real *relu, cpu_dims d, const cpu_mask *m, bool accumulate)) \
    X(dropout_channels, (real * y, const real *x, cpu_dims d, const cpu_mask *m, bool accumulate)) \
    X(noise, (real * y, const real *x, cpu_dims d, const cpu_mask *m))                             \
    X(copy_box, (real * dst, cpu_dims dd, const real *src, cpu_dims sd, const body_box *box,       \
                 bool accumulate))                                                                 \
    X(reshape, (real * dst, cpu_dims dd, const real *src, cpu_dims sd, bool accumulate))           \
    X(permute_axes,                                                                                \
      (real * y, cpu_dims yd, const real *x, cpu_dims xd, body_axes axes, bool accumulate))        \
    X(resample_forward, (real * y, const real *x, cpu_dims yd, cpu_dims xd, bool bilinear))        \
    X(resample_backward,                                                                           \
      (real * dx, const real *dy, cpu_dims xd, cpu_dims yd, bool bilinear, bool accumulate))       \
    X(rectify_forward, (real * y, const real *x, size_t count, body_rectifier r))                  \
    X(rectify_backward,                                                                            \
      (real * dx, const real *dy, const real *x, size_t count, body_rectifier r, bool accumulate)) \
    X(maximum, (real * y, const real *a, const real *b, size_t count))                             \
    X(maximum_backward, (real * dx, const real *dy, const real *y, const real *const *x,           \
                         int which, size_t count, bool accumulate))                                \
    X(prelu_forward, (real * y, const real *x, cpu_dims d, const real *alpha, body_alpha shape))   \
    X(prelu_backward, (real * dx, const real *dy, const real *x, cpu_dims d, const real *alpha,    \
                       body_alpha shape, bool accumulate))                                         \
    X(prelu_filter, (real * dalpha, const real *dy, const real *x, cpu_dims d, body_alpha shape,   \
                     bool accumulate))                                                             \
    X(max_pool_forward, (real * y, void *index, const real *x, cpu_dims xd, cpu_dims yd,           \
                         cpu_window p, bool relu_mask, const cpu_mask *mask))                      \
    X(max_pool_backward, (real * dx, const real *dy, const void *index, cpu_dims xd, cpu_dims yd,  \
                          cpu_window p, double rate, bool accumulate))                             \
    X(average_pool_forward, (real * y, const real *x, cpu_dims xd, cpu_dims yd, cpu_window p))     \
    X(average_pool_backward,                                                                       \
      (real * dx, const real *dy, cpu_dims xd, cpu_dims yd, cpu_window p, bool accumulate))        \
    X(batchnorm_statistics,                                                                        \
      (real * mean, real * inverse_std, real * running_mean, real * running_variance,              \
       const real *x, cpu_dims d, real momentum, real epsilon, cpu_each each))                     \
    X(batchnorm_apply, (real * y, const real *x, cpu_dims d, const cpu_batchnorm *b))              \
    X(batchnorm_backward, (real * dx, real * dgamma, real * dbeta, const real *dy, const real *x,  \
                           cpu_dims d, const cpu_batchnorm *b, bool accumulate))                   \
    X(softmax, (real * y, const real *x, cpu_dims d))                                              \
    X(softmax_backward, (real * dx, const real *dy, const real *y, cpu_dims d, bool accumulate))   \
    X(softmax_xent,                                                                                \
      (real * dlogits, const real *logits, const real *targets, const real *class_weight,          \
       int rows, int classes, int batch, body_step *state))                                        \
    X(gather, (real * x, real * targets, int rows, cpu_dims d, const cpu_gather *g))               \
    X(optimize, (const cpu_update *u, int rows))                                                   \
    X(permute, (uint32_t * order, const uint32_t *index, size_t n, uint64_t *keys, uint32_t seed,  \
                uint64_t epoch))                                                                   \
    X(winograd_size, (cpu_winograd * d, int threads))                                              \
    X(winograd_weights, (real * u, const real *hwio, const cpu_winograd *d))                       \
    X(winograd_forward, (real * y, const real *x, const real *u, const cpu_winograd *d,            \
                         const cpu_epilogue *e, real *scratch))                                    \
    X(winograd_filter_size, (cpu_winograd * d, int threads))                                       \
    X(winograd_filter, (real * dw, real * db, const real *dy, const real *x,                       \
                        const cpu_winograd *d, bool accumulate, real *scratch))                    \
    X(stem_size, (cpu_stem * d, int threads))                                                      \
    X(stem_forward, (real * y, const real *x, const real *w, const cpu_stem *d,                    \
                     const cpu_epilogue *e, real *scratch))                                        \
    X(stem_filter, (real * dw, real * db, const real *dy, const real *x, const cpu_stem *d,        \
                    bool accumulate, real *scratch))                                               \
    X(pointwise_size, (cpu_pointwise * d))                                                         \
    X(pointwise_pack, (real * to, const real *hwio, const cpu_pointwise *d))                       \
    X(pointwise_forward, (real * y, const real *x, const real *w, const cpu_pointwise *d,          \
                          const cpu_epilogue *e, int threads))                                     \
    X(conv_forward, (real * y, const real *x, const real *w, const real *b, const cpu_conv *c))    \
    X(conv_backward_data,                                                                          \
      (real * dx, const real *dy, const real *w, const cpu_conv *c, bool accumulate))              \
    X(conv_backward_filter,                                                                        \
      (real * dw, real * db, const real *dy, const real *x, const cpu_conv *c, bool accumulate))   \
    X(peak_multiply_add, (real * sink, long long rounds, double *flops))                           \
    X(peak_copy, (real * dst, const real *src, size_t count))                                      \
    X(quantise, (uint8_t * q, const real *x, cpu_dims d, real inverse, bool is_signed))            \
    X(max_pool_int8,                                                                               \
      (uint8_t * y, const uint8_t *x, cpu_dims xd, cpu_dims yd, cpu_window p, bool is_signed))     \
    X(conv_stem_u8, (uint8_t * y, const real *x, const real *w, const real *b, const cpu_conv *c,  \
                     real inverse, bool is_signed, real *scratch))                                 \
    X(int8_size, (cpu_int8 * d, int threads))                                                      \
    X(int8_pack, (int16_t * to, const int8_t *hwio, const cpu_int8 *d))                            \
    X(int8_direct,                                                                                 \
      (void *y, const uint8_t *x, const int16_t *w, const cpu_int8 *d, int16_t *scratch))          \
    X(int8_dense,                                                                                  \
      (void *y, const uint8_t *x, const int16_t *w, const cpu_int8 *d, int16_t *scratch))          \
    X(int8_winograd_size, (cpu_int8 * d, int threads))                                             \
    X(int8_winograd_pack, (int16_t * to, const int8_t *hwio, const cpu_int8 *d, bool *exact))      \
    X(int8_winograd,                                                                               \
      (void *y, const uint8_t *x, const int16_t *w, const cpu_int8 *d, int16_t *scratch))

typedef struct cpu_kernels {
#define CPU_FIELD(name, args) void(*name) args;
    CPU_KERNELS(CPU_FIELD)
#undef CPU_FIELD
} cpu_kernels;

/* CPU_BUILD is the suffix of this build: v2, v3, v4 or f64. */
#define CPU_JOIN_(a, b) a##_##b
#define CPU_JOIN(a, b)  CPU_JOIN_(a, b)

#ifdef CPU_BUILD
#define CPU(name)                 CPU_JOIN(cpu_##name, CPU_BUILD)
#define CPU_PROTOTYPE(name, args) void CPU(name) args;
CPU_KERNELS(CPU_PROTOTYPE)
#undef CPU_PROTOTYPE
#endif

#ifdef MIEN_REAL_DOUBLE
extern const cpu_kernels cpu_kernels_f64;
#else
extern const cpu_kernels cpu_kernels_v2, cpu_kernels_v3, cpu_kernels_v4;
#endif

static inline void cpu_do_each(cpu_each each, int count, void (*work)(void *context, int index),
                               void *context) {
    if (each) {
        each(count, work, context);
        return;
    }
#pragma omp parallel for schedule(static)
    for (int i = 0; i < count; i++)
        work(context, i);
}

/* Where row n, channel block b of a tensor starts. */
static inline size_t cpu_plane(cpu_dims d, int n, int b) {
    return ((size_t)n * (size_t)(d.c / d.block) + (size_t)b) * (size_t)d.h * (size_t)d.w *
           (size_t)d.block;
}

#endif
