/* The backend interface: what a device must implement. Code above it is device-independent.
 *
 * Conventions of every slot:
 *   - outputs come first; tensors are views, `shape.n` is the number of rows to work on;
 *   - "writes" overwrites the output, "accumulates" adds when `accumulate` is true, else writes;
 *   - activations are in the layout that `channel_block` names; parameters of a linear operator are
 *     in that operator's own layout, all other parameters and all states are plain vectors;
 *   - input and output may be the same tensor only where a slot says so;
 *   - nothing is allocated in a compute slot; *_create and *_prepare may allocate.
 * Every slot must be set: mien_backend_open checks it. A device that does not support an operation
 * fails with UNSUPPORTED. */
#ifndef HOST_BACKEND_OPS_H
#define HOST_BACKEND_OPS_H

#include <stdbool.h>

#include "host/base/status.h"
#include "include/mien/backend.h"
#include "include/mien/tensor.h"
#include "kernels/body/activation.h"
#include "kernels/body/augment.h"
#include "kernels/body/optimizer.h"
#include "kernels/body/copy_box.h"
#include "kernels/body/pool.h"
#include "kernels/body/rectify.h"
#include "kernels/body/step.h"

typedef struct mien_ops mien_ops;
typedef struct mien_linear mien_linear; /* a convolution or dense operator bound to its shapes */

struct mien_backend {
    const mien_ops *ops;
    mien_dtype dtype; /* of activations, their gradients and the weights in passes */
    /* of parameters, their gradients, states, statistics and targets: F32, or F64 in the reference
     * backend */
    mien_dtype param_dtype;
    mien_compute compute; /* never AUTO */
    void *impl;           /* the backend's own */
    int team;             /* threads that it is prepared for; 0: any number */
    char description[224];
    char
        arithmetic[224]; /* what decides the bits: the description without threads; "": all of it */
    char gpu[96], driver[32], library[96]; /* a GPU's name, the CUDA version of its driver, the
                                              libraries that compute; "" where there is none */
};

/* A linear operator's passes, and the ways to compute one. */
typedef enum mien_direction {
    MIEN_FORWARD,
    MIEN_DATA,   /* gradient of the input */
    MIEN_FILTER, /* gradient of the weights */
    MIEN_DIRECTIONS
} mien_direction;
typedef enum mien_algorithm {
    MIEN_AUTOMATIC, /* as measured on this machine, else by the backend's table */
    MIEN_DIRECT,
    MIEN_WINOGRAD,
    MIEN_BY_TABLE, /* ignoring measurements; only in a request */
    MIEN_ALGORITHMS = MIEN_BY_TABLE
} mien_algorithm;

/* "forward", "data", "filter"; "automatic", "direct", "winograd". */
const char *mien_direction_name(int direction);
const char *mien_algorithm_name(int algorithm);

/* A convolution (correlation, NHWC, kernel HWIO) or, with dense = true, y = x W + b on [n,1,1,c].
 * With groups the kernel is [h][w][in.c / groups][out.c]: output channels in order, out.c / groups
 * of each group. Transposed, forward is the data gradient of the convolution from `out` to `in`:
 * strides and pads are those of that convolution, the kernel is [h][w][out.c][in.c]. */
typedef struct mien_linear_desc {
    const char *name; /* the layer's, for messages; must outlive the operator */
    bool dense;
    mien_shape in, out; /* n ignored */
    int kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, pad_bottom, pad_right;
    int dilation_h, dilation_w, groups; /* 0 is 1 */
    bool transposed;                    /* of one group */
    bool bias;
    int activation; /* enum body_activation whose slope follows from the output; LINEAR for none */
    float alpha;
    bool adds; /* forward adds to what y holds, before the activation; see linear_can_add */
    bool training;
    int rows; /* inference: no batch has more; 0: not known */
    bool needs_dx;
    bool masks_dx;       /* backward_data is given a ReLU mask */
    bool accumulates_dx; /* used in some step: needs scratch memory */
    bool accumulates_dw; /* the rows come in micro-batches, of a multiple of two slices */
    /* training on the CPU: the rows of a slice. One thread works on each, and their weight
     * gradients are added up in order, so that threads and micro-batches do not change a bit. 0:
     * all rows are one */
    int slice;
    mien_algorithm algorithm[MIEN_DIRECTIONS]; /* one that is not supported becomes DIRECT */
    /* where the backend has lanes: the new operator is for one thread and may run beside others
     * like it. It uses what this one derives from its weights: in inference when they are uploaded,
     * in training by linear_weights_for. NULL: it derives it itself, and all threads work on it */
    mien_linear *shares;
} mien_linear_desc;

static inline int mien_linear_groups(const mien_linear_desc *d) {
    return d->groups > 1 ? d->groups : 1;
}

static inline int mien_linear_dilation_h(const mien_linear_desc *d) {
    return d->dilation_h > 1 ? d->dilation_h : 1;
}

static inline int mien_linear_dilation_w(const mien_linear_desc *d) {
    return d->dilation_w > 1 ? d->dilation_w : 1;
}

/* Without groups, dilation and transposition: what the specialised loops support. */
static inline bool mien_linear_is_simple(const mien_linear_desc *d) {
    return mien_linear_groups(d) == 1 && mien_linear_dilation_h(d) == 1 &&
           mien_linear_dilation_w(d) == 1 && !d->transposed;
}

static inline size_t mien_linear_weights(const mien_linear_desc *d) {
    return (size_t)(d->kernel_h * d->kernel_w) * (size_t)(d->in.c / mien_linear_groups(d)) *
           (size_t)d->out.c;
}

typedef struct mien_pool {
    bool average;
    int kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
} mien_pool;

/* Bytes of an element of max pooling's index: 1 for windows of at most 255 positions, else 2. */
static inline size_t mien_pool_index_bytes(const mien_pool *p) {
    return (size_t)body_pool_index_bytes(p->kernel_h, p->kernel_w);
}

/* Batch normalisation's vectors, each [c] of param_dtype. */
typedef struct mien_batchnorm {
    const void *gamma, *beta; /* NULL: 1 and 0 */
    void *running_mean, *running_variance;
    void *mean, *inverse_std; /* of the batch, kept for backward */
    void *dgamma, *dbeta;     /* NULL: not needed */
    float momentum, epsilon;
    /* in backend memory: momentum is body_warm_decay(momentum, warm->step). NULL: momentum */
    const body_step *warm;
    int activation; /* fused after it: LINEAR or RELU */
    /* added before the activation: y = activation(normalised x + residual). Of x's shape and
     * layout; backward checks only whether it is NULL. NULL: none */
    const mien_tensor *residual;
    /* backward: the residual's gradient, dy masked by the activation; accumulates. NULL: not needed
     */
    const mien_tensor *dresidual;
    bool accumulate_dresidual;
    const struct mien_norm_pool *pool; /* only where the backend pools_norm; NULL: none */
} mien_batchnorm;

/* Where dropout's mask comes from. */
typedef struct mien_dropout {
    double rate;
    uint32_t stream;        /* RNG_DROPOUT + the layer's number */
    const body_step *state; /* in backend memory */
    uint64_t first;         /* index of row 0 in the global batch */
    bool channels;          /* one draw per channel of an image, not per element */
    /* backward: the output of a ReLU before the dropout, whose slope is applied, too. Of x's shape
     * and layout; not with `channels`. NULL: none */
    const mien_tensor *relu;
} mien_dropout;

/* What max pooling fuses in training: the gradient of a ReLU before it (none goes back where the
 * result is not positive) and a dropout after it. */
typedef struct mien_pool_tail {
    bool relu_mask;
    const mien_dropout *dropout; /* NULL: none */
    /* backward, with `relu_mask`, where the backend sums_bias: [c] of param_dtype, the bias
     * gradient of the operator before that ReLU; accumulates. NULL: not needed */
    void *dbias;
    bool accumulate_dbias;
} mien_pool_tail;

/* Max pooling that batch normalisation runs after its activation: y and dy have the pooled shape,
 * and the normalised image is stored nowhere. Not with a residual, nor `frozen` in backward. */
typedef struct mien_norm_pool {
    const mien_pool *window;     /* adjacent windows inside the image; an index of one byte */
    void *index;                 /* of y's elements, as of pool_forward with a ReLU mask */
    const mien_dropout *dropout; /* after the pooling; NULL: none */
} mien_norm_pool;

/* A data set in backend memory and what a batch reads from it. */
typedef struct mien_gather {
    const uint8_t *pixels; /* [count][h][w][c] */
    const void *targets;   /* [count][classes], param_dtype */
    const uint32_t *order; /* row → sample, from row 0 of this call on; mixup's partners are before
                              and after it, so all rows of the global batch must be present */
    bool follows;          /* row 0 is order[state->cursor] instead of order[0] */
    int classes;
    int batch;          /* rows of the global batch */
    uint64_t first;     /* index of row 0 in it */
    const float *scale; /* [c]: x = pixel * scale + shift */
    const float *shift; /* [c] */
    bool augment;       /* false: pixels as they are, or through `view` */
    body_augment ranges;
    const body_warp *view; /* on the host: one fixed warp for all rows (test-time views), or NULL */
    float label_smoothing;
    const body_step *state; /* in backend memory */
} mien_gather;

/* A convolution or dense operator of int8 inference: value = integer * scale. */
typedef struct mien_int8_desc {
    mien_linear_desc linear;
    const float *w_scale; /* [out.c], copied; NULL: it computes in f32 and only y is int8 */
    float x_scale, y_scale;
    mien_dtype x, y;       /* U8 or I8 as the operator reads and writes; y also F32 */
    bool x_f32;            /* x is f32 in the backend's layout: it is quantised first */
    const mien_pool *pool; /* max pooling in its pass, if it `pools`: y is pooled. NULL: none */
    struct mien_int8_linear *shares; /* as in mien_linear_desc; it must be loaded already */
} mien_int8_desc;

typedef struct mien_int8_linear mien_int8_linear;

/* int8 inference. int8 tensors are NHWC (block = c) whatever the backend's layout; the conventions
 * are those of the other slots. Operators own their weights, in the format that the library chooses
 * for each batch size. */
typedef struct mien_int8_ops {
    /* Whether this device computes int8 exactly, and faster than f32. */
    bool (*available)(const mien_backend *);
    /* Whether an operator that computes in f32 can write int8 (w_scale NULL). */
    bool (*writes_int8)(const mien_backend *, const mien_linear_desc *);
    /* Whether an operator that computes in int8 can pool the int8 that it writes, by adjacent
     * windows inside the image. */
    bool (*pools)(const mien_backend *, const mien_linear_desc *, const mien_pool *);
    mien_status (*create)(mien_backend *, const mien_int8_desc *, mien_int8_linear **);
    void (*free)(mien_int8_linear *);
    mien_status (*prepare)(mien_int8_linear *, int n);
    size_t (*scratch_bytes)(const mien_int8_linear *);
    /* HWIO (dense: in x out) and [out.c] on the host; may allocate. The weights are rounded to
     * multiples of w_scale. */
    mien_status (*load)(mien_int8_linear *, const float *hwio, const float *bias);
    /* y = activation(x * w + b); writes. */
    mien_status (*forward)(mien_int8_linear *, const mien_tensor *y, const mien_tensor *x,
                           void *scratch);
    mien_status (*max_pool)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                            const mien_pool *);
} mien_int8_ops;

/* What an update reads and writes; all in backend memory. */
typedef struct mien_update {
    void *w;             /* param_dtype, [count]; `decayed` of them come first */
    const void *g;       /* like w */
    void *m, *v;         /* moments, NULL when the rule has none */
    void *average;       /* NULL, or the moving average of w */
    void *half;          /* NULL, or w in the backend's dtype: written too */
    const double *rates; /* learning rate of every step of the epoch; state->tick counts them */
    size_t decayed, count;
    const body_rule *rule; /* on the host */
    body_step *state;
} mien_update;

/* Work recorded once and replayed with one call. Recording does not run it; it must not wait,
 * allocate or copy to the host, and what changes between replays must be in backend memory. */
typedef struct mien_capture mien_capture;
typedef struct mien_capture_ops {
    mien_status (*begin)(mien_backend *);
    /* Must follow `begin`, also when recording failed: then *out is NULL. */
    mien_status (*end)(mien_backend *, mien_capture **out);
    mien_status (*replay)(mien_backend *, mien_capture *);
    void (*free)(mien_backend *, mien_capture *);
} mien_capture_ops;

struct mien_ops {
    const char *name;
    const mien_int8_ops *int8;       /* NULL: not supported; the network runs in f32 */
    const mien_capture_ops *capture; /* NULL: not supported; kernels are launched one by one */
    bool sums_bias;     /* pool_backward fills mien_pool_tail.dbias; linear_backward_filter takes db
                           NULL for an operator with a bias */
    bool copies_beside; /* copy_beside makes use of its `landing` */
    bool pools_norm;    /* batch normalisation takes a mien_batchnorm.pool */
    void (*close)(mien_backend *);

    /* memory */
    mien_status (*alloc)(mien_backend *, size_t bytes, void **out); /* 64-byte aligned, zeroed */
    void (*free)(mien_backend *, void *);
    mien_status (*copy_in)(mien_backend *, void *dst, const void *host, size_t bytes);
    mien_status (*copy_out)(mien_backend *, void *host, const void *src, size_t bytes);
    /* copy_in for what the next step reads; where the backend copies_beside, it need not wait for
     * the work queued so far. The bytes land in `landing`, backend memory that nothing else uses,
     * and move to dst when that work is done. NULL: as copy_in. Not to be recorded. */
    mien_status (*copy_beside)(mien_backend *, void *dst, void *landing, const void *host,
                               size_t bytes);
    mien_status (*zero)(mien_backend *, void *dst, size_t bytes);
    /* f32 NHWC on the host ↔ a tensor in the backend's layout and dtype; not for a step. */
    mien_status (*upload)(mien_backend *, const mien_tensor *dst, const float *nhwc);
    mien_status (*download)(mien_backend *, float *nhwc, const mien_tensor *src);
    mien_status (*sync)(mien_backend *);
    /* Bytes of backend memory: available and in total. */
    void (*memory)(mien_backend *, size_t *available, size_t *total);
    /* Timestamps in the order of the work: `timestamp` records number i, `timestamps` waits and
     * gives the seconds from number 0 to each of the first `count`. */
    mien_status (*timestamp)(mien_backend *, int i);
    mien_status (*timestamps)(mien_backend *, double *seconds, int count);
    /* A named part of the work, for a profiler's time line; `name` may be NULL. */
    void (*range_push)(mien_backend *, const char *group, const char *name);
    void (*range_pop)(mien_backend *);
    /* Rows that the convolutions process at a time, so that activations between two layers stay in
     * the caches; 0: all. */
    int (*micro_batch)(const mien_backend *);
    /* Threads that may each run passes of a plan of their own, of the same backend, at the same
     * time; 0: no two may. */
    int (*lanes)(const mien_backend *);
    /* The channel block of activations of this shape. */
    int (*channel_block)(const mien_backend *, mien_shape);

    /* convolution and dense */
    mien_status (*linear_create)(mien_backend *, const mien_linear_desc *, mien_linear **);
    void (*linear_free)(mien_linear *);
    /* Prepares for batches of n rows; every n used in a step must have been prepared. */
    mien_status (*linear_prepare)(mien_linear *, int n);
    mien_algorithm (*linear_algorithm)(const mien_linear *, mien_direction);
    /* What computes a pass of the largest prepared n, for the run's record: "winograd", or a
     * library's engine with its settings. */
    void (*linear_engine)(const mien_linear *, mien_direction, char *text, size_t size);
    size_t (*linear_weight_bytes)(const mien_linear *);  /* in the operator's layout */
    size_t (*linear_scratch_bytes)(const mien_linear *); /* the largest of all prepared n */
    /* The weights have changed: whatever was derived from them is out of date. */
    void (*linear_weights_changed)(mien_linear *);
    /* Derives from the weights now what passes in one direction need: before several operators that
     * share this one's run at the same time. */
    void (*linear_weights_for)(mien_linear *, mien_direction, const void *w);
    /* HWIO (dense: in x out) f32 on the host ↔ weights in the operator's layout */
    mien_status (*weights_upload)(mien_linear *, void *dst, const float *hwio);
    mien_status (*weights_download)(mien_linear *, float *hwio, const void *src);
    /* Whether a description may set `adds`. */
    bool (*linear_can_add)(const mien_backend *, const mien_linear_desc *);
    /* In this and the following slots w and b are of the backend's dtype (see `cast`).
     * y = activation(x * w + b), with `adds` activation(y + x * w + b); writes. */
    mien_status (*linear_forward)(mien_linear *, const mien_tensor *y, const mien_tensor *x,
                                  const void *w, const void *b, void *scratch);
    /* dx accumulates; dy is the gradient before the activation (see activation_backward). With a
     * `relu_mask` (like dx; the ReLU output that the operator read) dx is 0 where it is not
     * positive: dx is then the gradient before that ReLU. */
    mien_status (*linear_backward_data)(mien_linear *, const mien_tensor *dx, const mien_tensor *dy,
                                        const void *w, const mien_tensor *relu_mask, void *scratch,
                                        bool accumulate);
    /* dw and db (NULL without bias) accumulate. */
    mien_status (*linear_backward_filter)(mien_linear *, void *dw, void *db, const mien_tensor *dy,
                                          const mien_tensor *x, void *scratch, bool accumulate);
    /* Whether filter_masked supports a description. */
    bool (*linear_can_mask_filter)(const mien_backend *, const mien_linear_desc *);
    /* linear_backward_filter of an operator with ReLU, where dy is the gradient after that ReLU: it
     * counts as 0 where y, the operator's output, is not positive. */
    mien_status (*linear_filter_masked)(mien_linear *, void *dw, void *db, const mien_tensor *dy,
                                        const mien_tensor *y, const mien_tensor *x, void *scratch,
                                        bool accumulate);

    /* elementwise; y may be x, dx may be dy */
    mien_status (*activation_forward)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                                      int activation, float alpha);
    /* x may be NULL where the slope follows from y; accumulates. */
    mien_status (*activation_backward)(mien_backend *, const mien_tensor *dx, const mien_tensor *dy,
                                       const mien_tensor *x, const mien_tensor *y, int activation,
                                       float alpha, bool accumulate);
    /* Forward and backward are the same masked scaling; accumulates. */
    mien_status (*dropout)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                           const mien_dropout *, bool accumulate);
    /* y = x + N(0, rate^2); drawn for each element. */
    mien_status (*noise)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                         const mien_dropout *);
    mien_status (*add)(mien_backend *, const mien_tensor *y, const mien_tensor *a,
                       const mien_tensor *b);
    /* dst (+)= src in the order of NHWC: any shapes with equal counts per row, any layouts. */
    mien_status (*copy)(mien_backend *, const mien_tensor *dst, const mien_tensor *src,
                        bool accumulate);
    /* y = a * b; b has a's shape or [n,1,1,c]. */
    mien_status (*multiply)(mien_backend *, const mien_tensor *y, const mien_tensor *a,
                            const mien_tensor *b);
    /* da = dy * b and db = sum(dy * a) over the broadcast positions; both accumulate; NULL: skip.
     */
    mien_status (*multiply_backward)(mien_backend *, const mien_tensor *da, const mien_tensor *db,
                                     const mien_tensor *dy, const mien_tensor *a,
                                     const mien_tensor *b, bool accumulate_a, bool accumulate_b);
    /* y = x * scale + shift; accumulates (the backward of scaling is scaling). */
    mien_status (*rescale)(mien_backend *, const mien_tensor *y, const mien_tensor *x, float scale,
                           float shift, bool accumulate);
    /* ReLU with a limit, a slope and a threshold; its derivative follows from x; backward
     * accumulates. */
    mien_status (*rectify_forward)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                                   const body_rectifier *);
    mien_status (*rectify_backward)(mien_backend *, const mien_tensor *dx, const mien_tensor *dy,
                                    const mien_tensor *x, const body_rectifier *, bool accumulate);
    /* y = max(a, b), of equal shapes. */
    mien_status (*maximum)(mien_backend *, const mien_tensor *y, const mien_tensor *a,
                           const mien_tensor *b);
    /* dx (+)= dy where x[which] equals y and no input before it does. `x` holds at least which + 1
     * of the inputs, at most BODY_MAXIMUM_INPUTS, whose maximum is y. */
    mien_status (*maximum_backward)(mien_backend *, const mien_tensor *dx, const mien_tensor *dy,
                                    const mien_tensor *y, const mien_tensor *x, int which,
                                    bool accumulate);
    /* alpha, of param_dtype, has a number for each position and channel, or one along shared axes.
     */
    mien_status (*prelu_forward)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                                 const void *alpha, body_alpha shape);
    mien_status (*prelu_backward)(mien_backend *, const mien_tensor *dx, const mien_tensor *dy,
                                  const mien_tensor *x, const void *alpha, body_alpha shape,
                                  bool accumulate);
    /* The gradient of alpha, summed over the rows and the shared axes; accumulates. */
    mien_status (*prelu_filter)(mien_backend *, void *dalpha, const mien_tensor *dy,
                                const mien_tensor *x, body_alpha shape, bool accumulate);

    /* data movement; any layouts */
    /* dst (+)= src inside a box; the rest of dst is unchanged. */
    mien_status (*copy_box)(mien_backend *, const mien_tensor *dst, const mien_tensor *src,
                            const body_box *, bool accumulate);
    /* y (+)= x with its axes permuted; backward is the inverse permutation. */
    mien_status (*permute_axes)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                                body_axes, bool accumulate);
    /* Resizing: the nearest pixel, or bilinear; half-pixel centres, no antialiasing. Backward
     * accumulates. */
    mien_status (*resample_forward)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                                    bool bilinear);
    mien_status (*resample_backward)(mien_backend *, const mien_tensor *dx, const mien_tensor *dy,
                                     bool bilinear, bool accumulate);

    /* pooling; `index` [y's elements of mien_pool_index_bytes] stores which element won, or that no
     * gradient goes back; index and tail are for max pooling only */
    mien_status (*pool_forward)(mien_backend *, const mien_tensor *y, void *index,
                                const mien_tensor *x, const mien_pool *, const mien_pool_tail *);
    mien_status (*pool_backward)(mien_backend *, const mien_tensor *dx, const mien_tensor *dy,
                                 const void *index, const mien_pool *, const mien_pool_tail *,
                                 bool accumulate);

    /* batch normalisation */
    mien_status (*batchnorm_train)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                                   const mien_batchnorm *);
    mien_status (*batchnorm_infer)(mien_backend *, const mien_tensor *y, const mien_tensor *x,
                                   const mien_batchnorm *);
    /* dx (NULL: skip) accumulates, dgamma and dbeta are written: the statistics are those of one
     * whole batch. y is needed when an activation is fused: with a residual, its sign follows from
     * y alone. `frozen`: forward was batchnorm_infer. */
    mien_status (*batchnorm_backward)(mien_backend *, const mien_tensor *dx, const mien_tensor *dy,
                                      const mien_tensor *x, const mien_tensor *y,
                                      const mien_batchnorm *, bool frozen, bool accumulate);

    /* over the channels of every pixel */
    mien_status (*softmax)(mien_backend *, const mien_tensor *y, const mien_tensor *x);
    mien_status (*softmax_backward)(mien_backend *, const mien_tensor *dx, const mien_tensor *dy,
                                    const mien_tensor *y, bool accumulate);
    /* Rows of [n,1,1,classes]. dlogits (NULL in evaluation) = gradient of the mean over `batch`
     * rows; adds loss, rows and correct answers to *state (backend memory), sets its flag when the
     * loss is not finite. */
    mien_status (*softmax_xent)(mien_backend *, const mien_tensor *dlogits,
                                const mien_tensor *logits, const mien_tensor *targets,
                                const void *class_weight, int batch, body_step *state);

    /* data: x and targets of rows of a batch */
    mien_status (*gather)(mien_backend *, const mien_tensor *x, const mien_tensor *targets,
                          const mien_gather *);

    /* order[i] = index[p[i]], p being the permutation of 0..n-1 that the stream RNG_SHUFFLE draws
     * for (seed, epoch): a stable sort by random word. All in backend memory; `keys` is a buffer of
     * mien_permute_capacity(n) numbers; order may not be index. */
    mien_status (*permute)(mien_backend *, uint32_t *order, const uint32_t *index, size_t n,
                           uint64_t *keys, uint32_t seed, uint64_t epoch);

    /* half = params, rounded to the backend's dtype; only called where dtype is not param_dtype. */
    mien_status (*cast)(mien_backend *, void *half, const void *params, size_t count);
    /* The flat optimiser over what mien_update names. Checks gradients and weights for NaN and
     * infinity: a bad gradient leaves the weights unchanged and lowers the loss scale or, where it
     * cannot be lowered, sets state->bad. Advances *state past a batch of `rows`. */
    mien_status (*optimize)(mien_backend *, const mien_update *, int rows);
    /* Sums over ranks, in place; with one rank it does nothing. */
    mien_status (*all_reduce)(mien_backend *, void *data, size_t count);
};

/* To be raised when a type in this file changes: a module of another version is not loaded. */
enum { MIEN_OPS_VERSION = 11 };

static inline size_t mien_dtype_bytes(mien_dtype dtype) {
    static const unsigned char bytes[] = {4, 8, 2, 1, 1, 2};
    return bytes[dtype];
}

/* Rows first, first + 1, … of a tensor. */
static inline mien_tensor mien_tensor_rows(const mien_tensor *t, int first, int rows) {
    mien_tensor part = *t;
    part.shape.n = rows;
    part.data =
        (char *)t->data + (size_t)first * mien_shape_sample(t->shape) * mien_dtype_bytes(t->dtype);
    return part;
}

/* A power of two, so that a device can use a sorting network. */
static inline size_t mien_permute_capacity(size_t n) {
    size_t capacity = 1;
    while (capacity < n)
        capacity *= 2;
    return capacity;
}

#endif
