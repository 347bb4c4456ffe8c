/* Slots of ops.h over the launchers of kernels/cuda: unpack the tensors, call, check. */
#include "host/backend/cuda/cuda.h"

static cuda_stream stream_of(const mien_backend *b) {
    return cuda_of(b)->stream;
}

static cuda_workspace buffer_of(const mien_backend *b) {
    return cuda_of(b)->buffer;
}

/* Returns the launcher's code as a status; `what` names the kernel. */
#define LAUNCHED(code, what)                                                                       \
    return mien_cuda_check((cudaError_t)(code), "the kernel of " what, __FILE__, __LINE__)

static mien_status glue_activation_forward(mien_backend *b, const mien_tensor *y,
                                           const mien_tensor *x, int activation, float alpha) {
    LAUNCHED(cuda_activation_forward(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x),
                                     activation, alpha),
             "activation");
}

static mien_status glue_activation_backward(mien_backend *b, const mien_tensor *dx,
                                            const mien_tensor *dy, const mien_tensor *x,
                                            const mien_tensor *y, int activation, float alpha,
                                            bool accumulate) {
    LAUNCHED(cuda_activation_backward(stream_of(b), mien_cuda_tensor(dx), mien_cuda_tensor(dy),
                                      mien_cuda_tensor(x), mien_cuda_tensor(y), activation, alpha,
                                      accumulate),
             "activation's gradient");
}

static cuda_mask mask_of(const mien_dropout *d) {
    return (cuda_mask){d->rate, d->stream, d->first, d->state};
}

static mien_status glue_dropout(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                const mien_dropout *drop, bool accumulate) {
    if (drop->channels)
        LAUNCHED(cuda_dropout_channels(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x),
                                       mask_of(drop), accumulate),
                 "spatial dropout");
    LAUNCHED(cuda_dropout(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x),
                          mien_cuda_tensor(drop->relu), mask_of(drop), accumulate),
             "dropout");
}

static mien_status glue_noise(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                              const mien_dropout *from) {
    LAUNCHED(cuda_noise(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x), mask_of(from)),
             "noise");
}

static mien_status glue_add(mien_backend *b, const mien_tensor *y, const mien_tensor *p,
                            const mien_tensor *q) {
    LAUNCHED(cuda_add(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(p), mien_cuda_tensor(q)),
             "add");
}

static mien_status glue_copy(mien_backend *b, const mien_tensor *dst, const mien_tensor *src,
                             bool accumulate) {
    if (dst->data == src->data && !accumulate) return MIEN_OK;
    LAUNCHED(cuda_copy(stream_of(b), mien_cuda_tensor(dst), mien_cuda_tensor(src), accumulate),
             "copy");
}

static mien_status glue_multiply(mien_backend *b, const mien_tensor *y, const mien_tensor *p,
                                 const mien_tensor *q) {
    LAUNCHED(
        cuda_multiply(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(p), mien_cuda_tensor(q)),
        "multiply");
}

static mien_status glue_multiply_backward(mien_backend *b, const mien_tensor *da,
                                          const mien_tensor *db, const mien_tensor *dy,
                                          const mien_tensor *p, const mien_tensor *q,
                                          bool accumulate_a, bool accumulate_b) {
    LAUNCHED(cuda_multiply_backward(stream_of(b), mien_cuda_tensor(da), mien_cuda_tensor(db),
                                    mien_cuda_tensor(dy), mien_cuda_tensor(p), mien_cuda_tensor(q),
                                    accumulate_a, accumulate_b),
             "multiply's gradients");
}

static mien_status glue_rescale(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                float scale, float shift, bool accumulate) {
    LAUNCHED(cuda_rescale(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x), scale, shift,
                          accumulate),
             "rescale");
}

static mien_status glue_rectify_forward(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                        const body_rectifier *r) {
    LAUNCHED(cuda_rectify_forward(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x), *r),
             "relu");
}

static mien_status glue_rectify_backward(mien_backend *b, const mien_tensor *dx,
                                         const mien_tensor *dy, const mien_tensor *x,
                                         const body_rectifier *r, bool accumulate) {
    LAUNCHED(cuda_rectify_backward(stream_of(b), mien_cuda_tensor(dx), mien_cuda_tensor(dy),
                                   mien_cuda_tensor(x), *r, accumulate),
             "relu's gradient");
}

static mien_status glue_maximum(mien_backend *b, const mien_tensor *y, const mien_tensor *p,
                                const mien_tensor *q) {
    LAUNCHED(
        cuda_maximum(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(p), mien_cuda_tensor(q)),
        "maximum");
}

static mien_status glue_maximum_backward(mien_backend *b, const mien_tensor *dx,
                                         const mien_tensor *dy, const mien_tensor *y,
                                         const mien_tensor *x, int which, bool accumulate) {
    cuda_tensor of[BODY_MAXIMUM_INPUTS];
    for (int i = 0; i <= which; i++)
        of[i] = mien_cuda_tensor(&x[i]);
    LAUNCHED(cuda_maximum_backward(stream_of(b), mien_cuda_tensor(dx), mien_cuda_tensor(dy),
                                   mien_cuda_tensor(y), of, which, accumulate),
             "maximum's gradient");
}

static mien_status glue_prelu_forward(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                      const void *alpha, body_alpha shape) {
    LAUNCHED(
        cuda_prelu_forward(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x), alpha, shape),
        "prelu");
}

static mien_status glue_prelu_backward(mien_backend *b, const mien_tensor *dx,
                                       const mien_tensor *dy, const mien_tensor *x,
                                       const void *alpha, body_alpha shape, bool accumulate) {
    LAUNCHED(cuda_prelu_backward(stream_of(b), mien_cuda_tensor(dx), mien_cuda_tensor(dy),
                                 mien_cuda_tensor(x), alpha, shape, accumulate),
             "prelu's input gradient");
}

static mien_status glue_prelu_filter(mien_backend *b, void *dalpha, const mien_tensor *dy,
                                     const mien_tensor *x, body_alpha shape, bool accumulate) {
    LAUNCHED(cuda_prelu_filter(stream_of(b), dalpha, mien_cuda_tensor(dy), mien_cuda_tensor(x),
                               shape, accumulate, buffer_of(b)),
             "prelu's parameter gradient");
}

static mien_status glue_copy_box(mien_backend *b, const mien_tensor *dst, const mien_tensor *src,
                                 const body_box *box, bool accumulate) {
    LAUNCHED(
        cuda_copy_box(stream_of(b), mien_cuda_tensor(dst), mien_cuda_tensor(src), *box, accumulate),
        "copy_box");
}

static mien_status glue_permute_axes(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                     body_axes axes, bool accumulate) {
    LAUNCHED(
        cuda_permute_axes(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x), axes, accumulate),
        "permute");
}

static mien_status glue_resample_forward(mien_backend *b, const mien_tensor *y,
                                         const mien_tensor *x, bool bilinear) {
    LAUNCHED(
        cuda_resample_forward(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x), bilinear),
        "resizing");
}

static mien_status glue_resample_backward(mien_backend *b, const mien_tensor *dx,
                                          const mien_tensor *dy, bool bilinear, bool accumulate) {
    LAUNCHED(cuda_resample_backward(stream_of(b), mien_cuda_tensor(dx), mien_cuda_tensor(dy),
                                    bilinear, accumulate),
             "resizing's gradient");
}

static cuda_window window_of(const mien_pool *p) {
    return (cuda_window){p->kernel_h, p->kernel_w, p->stride_h,
                         p->stride_w, p->pad_top,  p->pad_left};
}

static mien_status glue_pool_forward(mien_backend *b, const mien_tensor *y, void *index,
                                     const mien_tensor *x, const mien_pool *p,
                                     const mien_pool_tail *tail) {
    const cuda_tensor to = mien_cuda_tensor(y), from = mien_cuda_tensor(x);
    if (p->average)
        LAUNCHED(cuda_average_pool_forward(stream_of(b), to, from, window_of(p)),
                 "average pooling");
    cuda_mask mask;
    if (tail->dropout) mask = mask_of(tail->dropout);
    LAUNCHED(cuda_max_pool_forward(stream_of(b), to, index, from, window_of(p), tail->relu_mask,
                                   tail->dropout ? &mask : NULL),
             "max pooling");
}

static mien_status glue_pool_backward(mien_backend *b, const mien_tensor *dx, const mien_tensor *dy,
                                      const void *index, const mien_pool *p,
                                      const mien_pool_tail *tail, bool accumulate) {
    const cuda_tensor to = mien_cuda_tensor(dx), from = mien_cuda_tensor(dy);
    if (p->average)
        LAUNCHED(cuda_average_pool_backward(stream_of(b), to, from, window_of(p), accumulate),
                 "average pooling's gradient");
    LAUNCHED(cuda_max_pool_backward(stream_of(b), to, tail->dbias, from, index, window_of(p),
                                    tail->dropout ? tail->dropout->rate : 0, accumulate,
                                    tail->accumulate_dbias, buffer_of(b)),
             "max pooling's gradient");
}

static cuda_batchnorm norm_of(const mien_batchnorm *n) {
    return (cuda_batchnorm){.gamma = n->gamma,
                            .beta = n->beta,
                            .running_mean = n->running_mean,
                            .running_variance = n->running_variance,
                            .mean = n->mean,
                            .inverse_std = n->inverse_std,
                            .dgamma = n->dgamma,
                            .dbeta = n->dbeta,
                            .momentum = n->momentum,
                            .epsilon = n->epsilon,
                            .warm = n->warm,
                            .act = n->activation,
                            .residual = mien_cuda_tensor(n->residual),
                            .dresidual = mien_cuda_tensor(n->dresidual),
                            .accumulate_dresidual = n->accumulate_dresidual};
}

/* Normalises with the statistics of the batch or, frozen, the running ones, and pools. */
static int pool_norm(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                     const mien_batchnorm *n, const cuda_batchnorm *norm, bool frozen) {
    cuda_mask mask;
    if (n->pool->dropout) mask = mask_of(n->pool->dropout);
    return cuda_batchnorm_pool_forward(stream_of(b), mien_cuda_tensor(y), n->pool->index,
                                       mien_cuda_tensor(x), norm, window_of(n->pool->window),
                                       n->pool->dropout ? &mask : NULL, frozen);
}

static mien_status glue_batchnorm_train(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                        const mien_batchnorm *n) {
    const cuda_batchnorm norm = norm_of(n);
    if (n->pool) {
        const int code =
            cuda_batchnorm_statistics(stream_of(b), mien_cuda_tensor(x), &norm, buffer_of(b));
        LAUNCHED(code ? code : pool_norm(b, y, x, n, &norm, false),
                 "batch normalisation and max pooling");
    }
    LAUNCHED(cuda_batchnorm_train(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x), &norm,
                                  buffer_of(b)),
             "batch normalisation");
}

static mien_status glue_batchnorm_infer(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                        const mien_batchnorm *n) {
    const cuda_batchnorm norm = norm_of(n);
    if (n->pool)
        LAUNCHED(pool_norm(b, y, x, n, &norm, true), "batch normalisation and max pooling");
    LAUNCHED(cuda_batchnorm_infer(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x), &norm),
             "batch normalisation");
}

static mien_status glue_batchnorm_backward(mien_backend *b, const mien_tensor *dx,
                                           const mien_tensor *dy, const mien_tensor *x,
                                           const mien_tensor *y, const mien_batchnorm *n,
                                           bool frozen, bool accumulate) {
    cuda_batchnorm norm = norm_of(n);
    if (n->pool)
        LAUNCHED(cuda_batchnorm_pool_backward(
                     stream_of(b), mien_cuda_tensor(dx), mien_cuda_tensor(dy), n->pool->index,
                     mien_cuda_tensor(x), &norm, window_of(n->pool->window),
                     n->pool->dropout ? n->pool->dropout->rate : 0, accumulate, buffer_of(b)),
                 "batch normalisation's and max pooling's gradient");
    /* without a residual the ReLU's sign is recomputed from x: less to read */
    if (n->residual) norm.y = mien_cuda_tensor(y);
    LAUNCHED(cuda_batchnorm_backward(stream_of(b), mien_cuda_tensor(dx), mien_cuda_tensor(dy),
                                     mien_cuda_tensor(x), &norm, frozen, accumulate, buffer_of(b)),
             "batch normalisation's gradient");
}

static mien_status glue_softmax(mien_backend *b, const mien_tensor *y, const mien_tensor *x) {
    LAUNCHED(cuda_softmax(stream_of(b), mien_cuda_tensor(y), mien_cuda_tensor(x)), "softmax");
}

static mien_status glue_softmax_backward(mien_backend *b, const mien_tensor *dx,
                                         const mien_tensor *dy, const mien_tensor *y,
                                         bool accumulate) {
    LAUNCHED(cuda_softmax_backward(stream_of(b), mien_cuda_tensor(dx), mien_cuda_tensor(dy),
                                   mien_cuda_tensor(y), accumulate),
             "softmax's gradient");
}

static mien_status glue_softmax_xent(mien_backend *b, const mien_tensor *dlogits,
                                     const mien_tensor *logits, const mien_tensor *targets,
                                     const void *class_weight, int batch, body_step *state) {
    LAUNCHED(cuda_softmax_xent(stream_of(b), mien_cuda_tensor(dlogits), mien_cuda_tensor(logits),
                               targets->data, class_weight, batch, state, buffer_of(b)),
             "the loss");
}

static mien_status glue_gather(mien_backend *b, const mien_tensor *x, const mien_tensor *targets,
                               const mien_gather *g) {
    cuda_gather_args args = {.pixels = g->pixels,
                             .targets = g->targets,
                             .order = g->order,
                             .follows = g->follows,
                             .classes = g->classes,
                             .batch = g->batch,
                             .first = g->first,
                             .scale = g->scale,
                             .shift = g->shift,
                             .augment = g->augment,
                             .viewed = g->view != NULL,
                             .ranges = g->ranges,
                             .label_smoothing = g->label_smoothing,
                             .state = g->state};
    if (g->view) args.view = *g->view;
    LAUNCHED(cuda_gather(stream_of(b), mien_cuda_tensor(x), targets ? targets->data : NULL, &args),
             "augmentation");
}

static mien_status glue_permute(mien_backend *b, uint32_t *order, const uint32_t *index, size_t n,
                                uint64_t *keys, uint32_t seed, uint64_t epoch) {
    LAUNCHED(cuda_permute(stream_of(b), order, index, n, keys, seed, epoch), "the shuffle");
}

static mien_status glue_cast(mien_backend *b, void *half, const void *params, size_t count) {
    const int most = 1 << 30; /* a tensor's sizes are ints */
    for (size_t at = 0; at < count; at += (size_t)most) {
        const int n = count - at < (size_t)most ? (int)(count - at) : most;
        const cuda_tensor from = {(float *)params + at, CUDA_F32, 1, 1, 1, n};
        const cuda_tensor to = {
            (char *)half + at * mien_dtype_bytes(b->dtype), mien_cuda_number(b->dtype), 1, 1, 1, n};
        CUDA_TRY(cuda_copy(stream_of(b), to, from, false), "rounding the weights");
    }
    return MIEN_OK;
}

static mien_status glue_optimize(mien_backend *b, const mien_update *u, int rows) {
    const cuda_update update = {.w = u->w,
                                .g = u->g,
                                .m = u->m,
                                .v = u->v,
                                .average = u->average,
                                .half = u->half,
                                .half_number = mien_cuda_number(b->dtype),
                                .rates = u->rates,
                                .decayed = u->decayed,
                                .count = u->count,
                                .rule = *u->rule,
                                .state = u->state};
    LAUNCHED(cuda_optimize(stream_of(b), &update, rows, buffer_of(b)), "the optimiser");
}

static mien_status glue_all_reduce(mien_backend *b, void *data, size_t count) {
    (void)b, (void)data, (void)count; /* one rank: the data is the sum already */
    return MIEN_OK;
}

void mien_cuda_glue_slots(mien_ops *ops) {
    ops->activation_forward = glue_activation_forward;
    ops->activation_backward = glue_activation_backward;
    ops->dropout = glue_dropout;
    ops->noise = glue_noise;
    ops->add = glue_add;
    ops->copy = glue_copy;
    ops->multiply = glue_multiply;
    ops->multiply_backward = glue_multiply_backward;
    ops->rescale = glue_rescale;
    ops->rectify_forward = glue_rectify_forward;
    ops->rectify_backward = glue_rectify_backward;
    ops->maximum = glue_maximum;
    ops->maximum_backward = glue_maximum_backward;
    ops->prelu_forward = glue_prelu_forward;
    ops->prelu_backward = glue_prelu_backward;
    ops->prelu_filter = glue_prelu_filter;
    ops->copy_box = glue_copy_box;
    ops->permute_axes = glue_permute_axes;
    ops->resample_forward = glue_resample_forward;
    ops->resample_backward = glue_resample_backward;
    ops->pool_forward = glue_pool_forward;
    ops->pool_backward = glue_pool_backward;
    ops->batchnorm_train = glue_batchnorm_train;
    ops->batchnorm_infer = glue_batchnorm_infer;
    ops->batchnorm_backward = glue_batchnorm_backward;
    ops->softmax = glue_softmax;
    ops->softmax_backward = glue_softmax_backward;
    ops->softmax_xent = glue_softmax_xent;
    ops->gather = glue_gather;
    ops->permute = glue_permute;
    ops->cast = glue_cast;
    ops->optimize = glue_optimize;
    ops->all_reduce = glue_all_reduce;
}
