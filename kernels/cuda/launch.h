/* The launchers of the CUDA kernels in plain C: calling them needs no CUDA header. The kernels loop
 * over the same bodies as kernels/cpu; each section names the .cu file.
 *
 *   - tensors are NHWC in device memory; outputs come first, after the stream;
 *   - nothing waits, allocates or adds floats atomically: the same call gives the same bits;
 *   - every launcher returns a cudaError_t as an int, 0 if the launch was accepted;
 *   - empty tensors launch nothing. */
#ifndef KERNELS_CUDA_LAUNCH_H
#define KERNELS_CUDA_LAUNCH_H

#include <stdbool.h>

#include "kernels/body/activation.h"
#include "kernels/body/augment.h"
#include "kernels/body/optimizer.h"
#include "kernels/body/copy_box.h"
#include "kernels/body/rectify.h"
#include "kernels/body/step.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CUstream_st *cuda_stream; /* = cudaStream_t */

/* Storage types; arithmetic is in float. */
enum cuda_number { CUDA_F32, CUDA_BF16, CUDA_F16 };

typedef struct cuda_tensor {
    void *data;
    int number; /* enum cuda_number */
    int n, h, w, c;
} cuda_tensor;

typedef struct cuda_window {
    int kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
} cuda_window;

/* What a dropout mask is drawn from; seed and step are read from *state on the device. */
typedef struct cuda_mask {
    double rate;
    uint32_t stream;
    uint64_t first; /* index of row 0 in the global batch */
    const body_step *state;
} cuda_mask;

/* Device memory for one stream. `data`: for partial sums, at least CUDA_WORKSPACE_BYTES, 256-byte
 * aligned; a launcher may use all of it until the kernels it launched are done. `tickets`:
 * CUDA_TICKETS counters of the blocks that are done, 0 between kernels. One allocation of
 * CUDA_WORKSPACE_TOTAL bytes holds both. */
enum {
    CUDA_WORKSPACE_BYTES = 8 << 20,
    CUDA_TICKETS = 32768,
    CUDA_WORKSPACE_TOTAL = CUDA_WORKSPACE_BYTES + 4 * CUDA_TICKETS
};
typedef struct cuda_workspace {
    void *data;
    unsigned *tickets;
} cuda_workspace;

/* ---- elementwise.cu ---- y may be x, dx may be dy */
int cuda_activation_forward(cuda_stream, cuda_tensor y, cuda_tensor x, int act, float alpha);
/* dx (+)= dy * slope; x.data may be NULL where the slope follows from y. */
int cuda_activation_backward(cuda_stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor x,
                             cuda_tensor y, int act, float alpha, bool accumulate);
/* dst (+)= src where relu_mask > 0, else 0; dst may be src. */
int cuda_relu_mask(cuda_stream, cuda_tensor dst, cuda_tensor src, cuda_tensor relu_mask,
                   bool accumulate);
int cuda_add(cuda_stream, cuda_tensor y, cuda_tensor a, cuda_tensor b);
/* dst (+)= src: the same number of elements in the same order; storage types may differ. */
int cuda_copy(cuda_stream, cuda_tensor dst, cuda_tensor src, bool accumulate);
/* b has a's shape or [n,1,1,c]. */
int cuda_multiply(cuda_stream, cuda_tensor y, cuda_tensor a, cuda_tensor b);
/* da (+)= dy * b and db (+)= dy * a, summed over the pixels if b is broadcast; data NULL: skip. */
int cuda_multiply_backward(cuda_stream, cuda_tensor da, cuda_tensor db, cuda_tensor dy,
                           cuda_tensor a, cuda_tensor b, bool accumulate_a, bool accumulate_b);
int cuda_rescale(cuda_stream, cuda_tensor y, cuda_tensor x, float scale, float shift,
                 bool accumulate);
int cuda_rectify_forward(cuda_stream, cuda_tensor y, cuda_tensor x, body_rectifier);
int cuda_rectify_backward(cuda_stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor x,
                          body_rectifier, bool accumulate);
int cuda_maximum(cuda_stream, cuda_tensor y, cuda_tensor a, cuda_tensor b);
/* dx (+)= dy where x[which] is the first of x[which + 1] that equals y. */
int cuda_maximum_backward(cuda_stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor y,
                          const cuda_tensor *x, int which, bool accumulate);

/* ---- prelu.cu ---- alpha: floats [shape.h][shape.w][shape.c] */
int cuda_prelu_forward(cuda_stream, cuda_tensor y, cuda_tensor x, const float *alpha,
                       body_alpha shape);
int cuda_prelu_backward(cuda_stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor x,
                        const float *alpha, body_alpha shape, bool accumulate);
/* dalpha (+)= sum of dy * x where x < 0. */
int cuda_prelu_filter(cuda_stream, float *dalpha, cuda_tensor dy, cuda_tensor x, body_alpha shape,
                      bool accumulate, cuda_workspace);

/* ---- copy_box.cu ---- */
/* dst (+)= src inside the box. */
int cuda_copy_box(cuda_stream, cuda_tensor dst, cuda_tensor src, body_box, bool accumulate);
/* y (+)= x with its axes permuted. */
int cuda_permute_axes(cuda_stream, cuda_tensor y, cuda_tensor x, body_axes, bool accumulate);

/* ---- resample.cu ---- nearest pixel or bilinear, half-pixel centres */
int cuda_resample_forward(cuda_stream, cuda_tensor y, cuda_tensor x, bool bilinear);
int cuda_resample_backward(cuda_stream, cuda_tensor dx, cuda_tensor dy, bool bilinear,
                           bool accumulate);

/* ---- bias.cu ---- */
/* y = act(y + bias[c]), after a library call that could not fuse it. bias: [y.c] numbers stored
 * like y; NULL: none. */
int cuda_bias_activation(cuda_stream, cuda_tensor y, const void *bias, int act, float alpha);
/* The same with a bias stored as `number`, that of y or, where y is in floats, another one. */
int cuda_bias_activation_of(cuda_stream, cuda_tensor y, const void *bias, int number, int act,
                            float alpha);
/* db[c] (+)= sum of dy over all pixels of all rows. */
int cuda_bias_gradient(cuda_stream, float *db, cuda_tensor dy, bool accumulate, cuda_workspace);

/* ---- pad.cu ---- */
/* y = 0 except y[n, h+top, w+left, c] = x[n, h, w, c]; no axis of y is smaller than x's. */
int cuda_pad(cuda_stream, cuda_tensor y, cuda_tensor x, int top, int left);
/* Its adjoint: y (+)= x[n, h+top, w+left, c], or 0 where relu_mask (shaped like y) is not positive;
 * relu_mask.data NULL: no mask. */
int cuda_crop(cuda_stream, cuda_tensor y, cuda_tensor x, int top, int left, cuda_tensor relu_mask,
              bool accumulate);

/* ---- dropout.cu ---- y (+)= x * mask / (1 - rate), times the slope of a ReLU whose output was
 * `relu`; data NULL: none */
int cuda_dropout(cuda_stream, cuda_tensor y, cuda_tensor x, cuda_tensor relu, cuda_mask,
                 bool accumulate);
/* The same with one draw per channel of an image. */
int cuda_dropout_channels(cuda_stream, cuda_tensor y, cuda_tensor x, cuda_mask, bool accumulate);
/* y = x + N(0, rate^2) */
int cuda_noise(cuda_stream, cuda_tensor y, cuda_tensor x, cuda_mask);

/* ---- max_pool.cu ---- index as in kernels/cpu/max_pool.c: the position in the clipped window,
 * 0xFF (or 0xFFFF, see body_pool_index_bytes) where no gradient goes back. mask NULL: no fused
 * dropout. */
int cuda_max_pool_forward(cuda_stream, cuda_tensor y, void *index, cuda_tensor x, cuda_window,
                          bool relu_mask, const cuda_mask *mask);
/* dbias [c] (+)= sum of the gradients that go back; NULL: skip. */
int cuda_max_pool_backward(cuda_stream, cuda_tensor dx, float *dbias, cuda_tensor dy,
                           const void *index, cuda_window, double rate, bool accumulate,
                           bool accumulate_dbias, cuda_workspace);
/* ---- average_pool.cu ---- */
int cuda_average_pool_forward(cuda_stream, cuda_tensor y, cuda_tensor x, cuda_window);
int cuda_average_pool_backward(cuda_stream, cuda_tensor dx, cuda_tensor dy, cuda_window,
                               bool accumulate);

/* ---- batchnorm.cu ---- vectors are [c] floats; gamma, beta NULL: 1 and 0 */
typedef struct cuda_batchnorm {
    const float *gamma, *beta;
    float *running_mean, *running_variance;
    float *mean, *inverse_std; /* of the batch; backward reads them unless frozen */
    float *dgamma, *dbeta;     /* overwritten; NULL: skip */
    float momentum, epsilon;
    const body_step *warm; /* momentum is body_warm_decay(momentum, warm->step); NULL: momentum */
    int act;               /* BODY_LINEAR or BODY_RELU */
    /* like x and y; data NULL: none */
    cuda_tensor residual;      /* forward: added before the activation */
    cuda_tensor y, dresidual;  /* backward: the output, if there was a residual; its gradient */
    bool accumulate_dresidual; /* false: overwrites it */
} cuda_batchnorm;
/* Statistics of the batch and running averages. */
int cuda_batchnorm_statistics(cuda_stream, cuda_tensor x, const cuda_batchnorm *, cuda_workspace);
/* The same, then y = act(normalised x + residual). */
int cuda_batchnorm_train(cuda_stream, cuda_tensor y, cuda_tensor x, const cuda_batchnorm *,
                         cuda_workspace);
int cuda_batchnorm_infer(cuda_stream, cuda_tensor y, cuda_tensor x, const cuda_batchnorm *);
/* dx.data NULL: skip. The ReLU mask is read from the batchnorm's y, or, without it, recomputed from
 * x. */
int cuda_batchnorm_backward(cuda_stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor x,
                            const cuda_batchnorm *, bool frozen, bool accumulate, cuda_workspace);

/* ---- batchnorm_pool.cu ---- normalisation, activation and max pooling of adjacent windows inside
 * the image, strides as large as the window, of at most 255 positions; no residual */
/* y = maxima of act(normalised x), with the bits of the separate passes; the statistics, those of
 * cuda_batchnorm_statistics or (frozen) the running ones. index, mask: as for max pooling. */
int cuda_batchnorm_pool_forward(cuda_stream, cuda_tensor y, uint8_t *index, cuda_tensor x,
                                const cuda_batchnorm *, cuda_window, const cuda_mask *mask,
                                bool frozen);
/* dx.data NULL: skip. dy is shaped like y; x is read, neither y nor the activation. */
int cuda_batchnorm_pool_backward(cuda_stream, cuda_tensor dx, cuda_tensor dy, const uint8_t *index,
                                 cuda_tensor x, const cuda_batchnorm *, cuda_window, double rate,
                                 bool accumulate, cuda_workspace);

/* ---- loss.cu ---- over the channels of every pixel */
/* y stored like x, or in floats */
int cuda_softmax(cuda_stream, cuda_tensor y, cuda_tensor x);
int cuda_softmax_backward(cuda_stream, cuda_tensor dx, cuda_tensor dy, cuda_tensor y,
                          bool accumulate);
/* Rows [n,1,1,classes]; dlogits.data NULL: no gradient. Adds loss, rows and correct answers to
 * *state; the gradient is that of the mean over `batch` rows times the loss scale in *state.
 * dlogits is stored like logits, or in 16 bits where logits are floats. */
int cuda_softmax_xent(cuda_stream, cuda_tensor dlogits, cuda_tensor logits, const float *targets,
                      const float *class_weight, int batch, body_step *state, cuda_workspace);

/* ---- gather.cu ---- */
typedef struct cuda_gather_args {
    const uint8_t *pixels;
    const float *targets;
    const uint32_t *order;
    bool follows; /* the rows start at order[state->cursor], not at order[0] */
    int classes, batch;
    uint64_t first;
    const float *scale, *shift; /* [c] */
    bool augment, viewed;
    body_augment ranges;
    body_warp view; /* the warp of all images if `viewed` */
    float label_smoothing;
    const body_step *state; /* NULL: seed 0, step 0 */
} cuda_gather_args;
/* targets NULL: skip. */
int cuda_gather(cuda_stream, cuda_tensor x, float *targets, const cuda_gather_args *);

/* ---- optimize.cu ---- */
typedef struct cuda_update {
    float *w;
    const float *g;
    float *m, *v, *average; /* NULL if the rule has none */
    void *half;             /* a copy of w stored as `half_number`; NULL: none */
    int half_number;
    const double *rates;
    size_t decayed, count;
    body_rule rule;
    body_step *state;
} cuda_update;
/* Gradient norm and its check, the update, and the advance of *state (body/step.h). */
int cuda_optimize(cuda_stream, const cuda_update *, int rows, cuda_workspace);

/* ---- permute.cu ---- */
/* order = index shuffled by seed and epoch. `keys` is scratch: the next power of two >= n. */
int cuda_permute(cuda_stream, uint32_t *order, const uint32_t *index, size_t n, uint64_t *keys,
                 uint32_t seed, uint64_t epoch);

/* ---- dense.cu ---- y = x w + bias; tensors are rows [n,1,1,c], w [x.c][y.c] is stored like x */
enum { CUDA_DENSE_FEW = 32 }; /* outputs up to which these kernels were designed to be fast */
/* y stored like x or as floats; bias: [y.c] stored like x, or NULL. */
int cuda_dense_forward(cuda_stream, cuda_tensor y, cuda_tensor x, const void *w, const void *bias,
                       int act, float alpha);
/* dx (+)= ..., then 0 where relu_mask, stored like dx, is not positive; NULL: no mask. */
int cuda_dense_data(cuda_stream, cuda_tensor dx, cuda_tensor dy, const void *w,
                    const void *relu_mask, bool accumulate);
/* dw, db (NULL: skip) (+)= ..., in floats */
int cuda_dense_filter(cuda_stream, float *dw, float *db, cuda_tensor dy, cuda_tensor x,
                      bool accumulate, cuda_workspace);

/* Does the module hold code that runs on this card? 0, or the error that any launch would give. */
int cuda_has_code(void);

/* ---- grouped.cu ---- grouped convolution */
typedef struct cuda_grouped {
    cuda_window window;
    int dilation_h, dilation_w, groups;
} cuda_grouped;
/* w [kernel_h][kernel_w][x.c / groups][y.c] and bias [y.c] (NULL: none) stored like x; y stored
 * like x or as floats. */
int cuda_grouped_forward(cuda_stream, cuda_tensor y, cuda_tensor x, const void *w, const void *bias,
                         cuda_grouped, bool relu);
/* dx (+)= ..., then 0 where relu_mask, stored like dx, is not positive; NULL: no mask. */
int cuda_grouped_data(cuda_stream, cuda_tensor dx, cuda_tensor dy, const void *w,
                      const void *relu_mask, cuda_grouped, bool accumulate);
/* dw (+)= ..., in floats */
int cuda_grouped_filter(cuda_stream, float *dw, cuda_tensor dy, cuda_tensor x, cuda_grouped,
                        bool accumulate, cuda_workspace);

/* ---- stem_conv.cu ---- 3x3 convolution with stride 1 of an image with few channels */
typedef struct cuda_stem {
    int pad_top, pad_left;
    bool relu;
} cuda_stem;
enum { CUDA_STEM_CHANNELS = 4 };
/* x [n,h,w,ic] with ic <= CUDA_STEM_CHANNELS, w [oc][3][3][ic] and bias [oc] (NULL: none) stored
 * like x. */
int cuda_stem_forward(cuda_stream, cuda_tensor y, cuda_tensor x, const void *w, const void *bias,
                      cuda_stem);
/* dw, db (NULL: skip) (+)= ..., dy stored like x; dy counts as 0 where y, stored like it, is not
 * positive; y.data NULL: all of it counts */
int cuda_stem_filter(cuda_stream, float *dw, float *db, cuda_tensor dy, cuda_tensor y,
                     cuda_tensor x, cuda_stem, bool accumulate, cuda_workspace);

#ifdef __cplusplus
}
#endif
#endif
