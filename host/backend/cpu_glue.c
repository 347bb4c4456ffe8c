/* Slots of ops.h over the loops of kernels/cpu: unpack the tensors, call. Compiled twice, for float
 * and for the double reference backend of the tests. */
#include "host/backend/cpu.h"

#include <string.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/crew.h"
#include "host/base/memory.h"

static const cpu_kernels *kernels(const mien_backend *b) {
    return cpu_of(b)->kernels;
}

static size_t count_of(const mien_tensor *t) {
    return mien_shape_count(t->shape);
}

static mien_status glue_alloc(mien_backend *b, size_t bytes, void **out) {
    (void)b;
    MIEN_TRY(mien_new_aligned(out, bytes));
    memset(*out, 0, bytes);
    return MIEN_OK;
}

static void glue_free(mien_backend *b, void *data) {
    (void)b;
    mien_free(data);
}

static mien_status glue_copy(mien_backend *b, void *dst, const void *src, size_t bytes) {
    (void)b;
    memcpy(dst, src, bytes);
    return MIEN_OK;
}

static mien_status glue_copy_beside(mien_backend *b, void *dst, void *landing, const void *host,
                                    size_t bytes) {
    (void)landing;
    return glue_copy(b, dst, host, bytes);
}

static mien_status glue_zero(mien_backend *b, void *dst, size_t bytes) {
    kernels(b)->zero(dst, bytes);
    return MIEN_OK;
}

/* Index of logical element (n, p, c); p is the pixel. */
static size_t element(cpu_dims d, int n, int p, int c) {
    return cpu_plane(d, n, c / d.block) + (size_t)p * (size_t)d.block + (size_t)(c % d.block);
}

static mien_status glue_upload(mien_backend *b, const mien_tensor *dst, const float *nhwc) {
    (void)b;
    const cpu_dims d = cpu_dims_of(dst);
    real *to = dst->data;
    for (int n = 0; n < d.n; n++)
        for (int p = 0; p < d.h * d.w; p++)
            for (int c = 0; c < d.c; c++)
                to[element(d, n, p, c)] = *nhwc++;
    return MIEN_OK;
}

static mien_status glue_download(mien_backend *b, float *nhwc, const mien_tensor *src) {
    (void)b;
    const cpu_dims d = cpu_dims_of(src);
    const real *from = src->data;
    for (int n = 0; n < d.n; n++)
        for (int p = 0; p < d.h * d.w; p++)
            for (int c = 0; c < d.c; c++)
                *nhwc++ = (float)from[element(d, n, p, c)];
    return MIEN_OK;
}

static mien_status glue_sync(mien_backend *b) {
    (void)b;
    return MIEN_OK;
}

static void glue_memory(mien_backend *b, size_t *available, size_t *total) {
    (void)b;
    *available = mien_memory_available();
    *total = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
}

/* Slots are synchronous: the current time is the time in the order of the work. */
static mien_status glue_timestamp(mien_backend *b, int i) {
    if (i < 0 || i >= CPU_TIMESTAMPS)
        return MIEN_FAIL(UNSUPPORTED, "more than %d timestamps", CPU_TIMESTAMPS);
    cpu_of(b)->timestamps[i] = mien_seconds();
    return MIEN_OK;
}

static mien_status glue_timestamps(mien_backend *b, double *seconds, int count) {
    for (int i = 0; i < count; i++)
        seconds[i] = cpu_of(b)->timestamps[i] - cpu_of(b)->timestamps[0];
    return MIEN_OK;
}

static void glue_range_push(mien_backend *b, const char *group, const char *name) {
    (void)b, (void)group, (void)name; /* perf and similar profilers see the functions themselves */
}

static void glue_range_pop(mien_backend *b) {
    (void)b;
}

/* Eight images per thread are enough work between two barriers and still fit the caches. A multiple
 * of two slices, see mien_linear_desc. */
static int glue_micro_batch(const mien_backend *b) {
    enum { UNIT = 16, EACH = 8 };
    const int rows = EACH * cpu_of(b)->threads;
    return (rows + UNIT - 1) / UNIT * UNIT;
}

/* The loops and oneDNN keep no state between calls but the operators'; see crew.h for the teams. */
static int glue_lanes(const mien_backend *b) {
    return cpu_of(b)->engine ? cpu_of(b)->threads : 0;
}

/* Channels that do not fill blocks stay NHWC; for 1x1 images both layouts are the same memory. */
static int glue_channel_block(const mien_backend *b, mien_shape s) {
    const int block = cpu_of(b)->block;
    return block && s.h * s.w > 1 && s.c % block == 0 ? block : s.c;
}

static mien_status glue_activation_forward(mien_backend *b, const mien_tensor *y,
                                           const mien_tensor *x, int activation, float alpha) {
    kernels(b)->activation_forward(y->data, x->data, count_of(y), activation, alpha);
    return MIEN_OK;
}

static mien_status glue_activation_backward(mien_backend *b, const mien_tensor *dx,
                                            const mien_tensor *dy, const mien_tensor *x,
                                            const mien_tensor *y, int activation, float alpha,
                                            bool accumulate) {
    kernels(b)->activation_backward(dx->data, dy->data, x ? x->data : NULL, y->data, count_of(dy),
                                    activation, alpha, accumulate);
    return MIEN_OK;
}

static cpu_mask mask_of(const mien_dropout *d) {
    return (cpu_mask){d->rate, d->state->seed, d->stream, d->state->step, d->first};
}

static mien_status glue_dropout(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                const mien_dropout *drop, bool accumulate) {
    const cpu_mask mask = mask_of(drop);
    if (drop->channels)
        kernels(b)->dropout_channels(y->data, x->data, cpu_dims_of(x), &mask, accumulate);
    else
        kernels(b)->dropout(y->data, x->data, drop->relu ? drop->relu->data : NULL, cpu_dims_of(x),
                            &mask, accumulate);
    return MIEN_OK;
}

static mien_status glue_noise(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                              const mien_dropout *from) {
    const cpu_mask mask = mask_of(from);
    kernels(b)->noise(y->data, x->data, cpu_dims_of(x), &mask);
    return MIEN_OK;
}

static mien_status glue_add(mien_backend *b, const mien_tensor *y, const mien_tensor *p,
                            const mien_tensor *q) {
    kernels(b)->add(y->data, p->data, q->data, count_of(y));
    return MIEN_OK;
}

static bool is_flat(const mien_tensor *t) {
    return t->shape.h * t->shape.w == 1;
}

/* A plain copy where both layouts are the same memory (also NHWC to rows of a flattened tensor),
 * else a change of layout or shape. */
static mien_status glue_copy_tensor(mien_backend *b, const mien_tensor *dst, const mien_tensor *src,
                                    bool accumulate) {
    const size_t count = count_of(src);
    if (!is_flat(dst) && !is_flat(src) &&
        (dst->shape.h != src->shape.h || dst->shape.w != src->shape.w)) {
        kernels(b)->reshape(dst->data, cpu_dims_of(dst), src->data, cpu_dims_of(src), accumulate);
        return MIEN_OK;
    }
    /* the side that is not flattened has the image's shape; a flattened one is in NHWC order */
    const bool flat = is_flat(dst);
    const cpu_dims image = cpu_dims_of(flat ? src : dst);
    const int src_block = flat ? src->block : (is_flat(src) ? image.c : src->block);
    const int dst_block = flat ? image.c : dst->block;
    cpu_dims from = image;
    from.block = src_block;
    if (src_block != dst_block)
        kernels(b)->relayout(dst->data, dst_block, src->data, from, accumulate);
    else if (accumulate)
        kernels(b)->accumulate(dst->data, src->data, count);
    else if (dst->data != src->data)
        kernels(b)->copy(dst->data, src->data, count * sizeof(real));
    return MIEN_OK;
}

static bool broadcasts(const mien_tensor *a, const mien_tensor *b) {
    return b->shape.h * b->shape.w == 1 && a->shape.h * a->shape.w > 1;
}

static mien_status glue_multiply(mien_backend *b, const mien_tensor *y, const mien_tensor *p,
                                 const mien_tensor *q) {
    kernels(b)->multiply(y->data, p->data, q->data, cpu_dims_of(p), broadcasts(p, q));
    return MIEN_OK;
}

static mien_status glue_multiply_backward(mien_backend *b, const mien_tensor *da,
                                          const mien_tensor *db, const mien_tensor *dy,
                                          const mien_tensor *p, const mien_tensor *q,
                                          bool accumulate_a, bool accumulate_b) {
    kernels(b)->multiply_backward(da ? da->data : NULL, db ? db->data : NULL, dy->data, p->data,
                                  q->data, cpu_dims_of(p), broadcasts(p, q), accumulate_a,
                                  accumulate_b);
    return MIEN_OK;
}

static mien_status glue_rescale(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                float scale, float shift, bool accumulate) {
    kernels(b)->rescale(y->data, x->data, count_of(y), scale, shift, accumulate);
    return MIEN_OK;
}

static mien_status glue_rectify_forward(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                        const body_rectifier *r) {
    kernels(b)->rectify_forward(y->data, x->data, count_of(y), *r);
    return MIEN_OK;
}

static mien_status glue_rectify_backward(mien_backend *b, const mien_tensor *dx,
                                         const mien_tensor *dy, const mien_tensor *x,
                                         const body_rectifier *r, bool accumulate) {
    kernels(b)->rectify_backward(dx->data, dy->data, x->data, count_of(dy), *r, accumulate);
    return MIEN_OK;
}

static mien_status glue_maximum(mien_backend *b, const mien_tensor *y, const mien_tensor *p,
                                const mien_tensor *q) {
    kernels(b)->maximum(y->data, p->data, q->data, count_of(y));
    return MIEN_OK;
}

static mien_status glue_maximum_backward(mien_backend *b, const mien_tensor *dx,
                                         const mien_tensor *dy, const mien_tensor *y,
                                         const mien_tensor *x, int which, bool accumulate) {
    const real *data[BODY_MAXIMUM_INPUTS];
    for (int i = 0; i <= which; i++)
        data[i] = x[i].data;
    kernels(b)->maximum_backward(dx->data, dy->data, y->data, data, which, count_of(dy),
                                 accumulate);
    return MIEN_OK;
}

static mien_status glue_prelu_forward(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                      const void *alpha, body_alpha shape) {
    kernels(b)->prelu_forward(y->data, x->data, cpu_dims_of(x), alpha, shape);
    return MIEN_OK;
}

static mien_status glue_prelu_backward(mien_backend *b, const mien_tensor *dx,
                                       const mien_tensor *dy, const mien_tensor *x,
                                       const void *alpha, body_alpha shape, bool accumulate) {
    kernels(b)->prelu_backward(dx->data, dy->data, x->data, cpu_dims_of(x), alpha, shape,
                               accumulate);
    return MIEN_OK;
}

static mien_status glue_prelu_filter(mien_backend *b, void *dalpha, const mien_tensor *dy,
                                     const mien_tensor *x, body_alpha shape, bool accumulate) {
    kernels(b)->prelu_filter(dalpha, dy->data, x->data, cpu_dims_of(x), shape, accumulate);
    return MIEN_OK;
}

static mien_status glue_copy_box(mien_backend *b, const mien_tensor *dst, const mien_tensor *src,
                                 const body_box *box, bool accumulate) {
    kernels(b)->copy_box(dst->data, cpu_dims_of(dst), src->data, cpu_dims_of(src), box, accumulate);
    return MIEN_OK;
}

static mien_status glue_permute_axes(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                     body_axes axes, bool accumulate) {
    kernels(b)->permute_axes(y->data, cpu_dims_of(y), x->data, cpu_dims_of(x), axes, accumulate);
    return MIEN_OK;
}

/* A 1x1 image is stored NHWC; viewed in the other tensor's blocks it is the same memory. */
static cpu_dims dims_like(const mien_tensor *t, const mien_tensor *other) {
    cpu_dims d = cpu_dims_of(t);
    if (is_flat(t)) d.block = other->block;
    return d;
}

static mien_status glue_resample_forward(mien_backend *b, const mien_tensor *y,
                                         const mien_tensor *x, bool bilinear) {
    kernels(b)->resample_forward(y->data, x->data, dims_like(y, x), dims_like(x, y), bilinear);
    return MIEN_OK;
}

static mien_status glue_resample_backward(mien_backend *b, const mien_tensor *dx,
                                          const mien_tensor *dy, bool bilinear, bool accumulate) {
    kernels(b)->resample_backward(dx->data, dy->data, dims_like(dx, dy), dims_like(dy, dx),
                                  bilinear, accumulate);
    return MIEN_OK;
}

static cpu_window window_of(const mien_pool *p) {
    const cpu_window w = {p->kernel_h, p->kernel_w, p->stride_h,
                          p->stride_w, p->pad_top,  p->pad_left};
    return w;
}

/* A pooled 1x1 output is stored NHWC; viewed in the input's blocks it is the same memory. */
static cpu_dims pooled_dims(const mien_tensor *y, const mien_tensor *x) {
    cpu_dims d = cpu_dims_of(y);
    d.block = x->block;
    return d;
}

static mien_status glue_pool_forward(mien_backend *b, const mien_tensor *y, void *index,
                                     const mien_tensor *x, const mien_pool *p,
                                     const mien_pool_tail *tail) {
    const mien_dropout *drop = tail->dropout;
    cpu_mask mask;
    if (drop) mask = mask_of(drop);
    if (p->average)
        kernels(b)->average_pool_forward(y->data, x->data, cpu_dims_of(x), pooled_dims(y, x),
                                         window_of(p));
    else
        kernels(b)->max_pool_forward(y->data, index, x->data, cpu_dims_of(x), pooled_dims(y, x),
                                     window_of(p), tail->relu_mask, drop ? &mask : NULL);
    return MIEN_OK;
}

static mien_status glue_pool_backward(mien_backend *b, const mien_tensor *dx, const mien_tensor *dy,
                                      const void *index, const mien_pool *p,
                                      const mien_pool_tail *tail, bool accumulate) {
    if (p->average)
        kernels(b)->average_pool_backward(dx->data, dy->data, cpu_dims_of(dx), pooled_dims(dy, dx),
                                          window_of(p), accumulate);
    else
        kernels(b)->max_pool_backward(dx->data, dy->data, index, cpu_dims_of(dx),
                                      pooled_dims(dy, dx), window_of(p),
                                      tail->dropout ? tail->dropout->rate : 0, accumulate);
    return MIEN_OK;
}

/* y: the output, for backward; else NULL. */
static cpu_batchnorm batchnorm_of(const mien_batchnorm *n, const mien_tensor *y, bool frozen) {
    return (cpu_batchnorm){.gamma = n->gamma,
                           .beta = n->beta,
                           .mean = frozen ? n->running_mean : n->mean,
                           .std = frozen ? n->running_variance : n->inverse_std,
                           .epsilon = n->epsilon,
                           .act = n->activation,
                           .frozen = frozen,
                           .residual = n->residual ? n->residual->data : NULL,
                           .y = n->residual && y ? y->data : NULL,
                           .dresidual = n->dresidual ? n->dresidual->data : NULL,
                           .accumulate_dresidual = n->accumulate_dresidual,
                           .each = mien_each};
}

static mien_status glue_batchnorm_train(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                        const mien_batchnorm *n) {
    const cpu_dims d = cpu_dims_of(x);
    const cpu_batchnorm norm = batchnorm_of(n, NULL, false);
    const double momentum =
        n->warm ? body_warm_decay(n->momentum, n->warm->step) : (double)n->momentum;
    kernels(b)->batchnorm_statistics(n->mean, n->inverse_std, n->running_mean, n->running_variance,
                                     x->data, d, (real)momentum, n->epsilon, mien_each);
    kernels(b)->batchnorm_apply(y->data, x->data, d, &norm);
    return MIEN_OK;
}

static mien_status glue_batchnorm_infer(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                                        const mien_batchnorm *n) {
    const cpu_batchnorm norm = batchnorm_of(n, NULL, true);
    kernels(b)->batchnorm_apply(y->data, x->data, cpu_dims_of(x), &norm);
    return MIEN_OK;
}

static mien_status glue_batchnorm_backward(mien_backend *b, const mien_tensor *dx,
                                           const mien_tensor *dy, const mien_tensor *x,
                                           const mien_tensor *y, const mien_batchnorm *n,
                                           bool frozen, bool accumulate) {
    /* without a residual the ReLU's sign is recomputed from x: less to read */
    const cpu_batchnorm norm = batchnorm_of(n, y, frozen);
    kernels(b)->batchnorm_backward(dx ? dx->data : NULL, n->dgamma, n->dbeta, dy->data, x->data,
                                   cpu_dims_of(x), &norm, accumulate);
    return MIEN_OK;
}

static mien_status glue_softmax(mien_backend *b, const mien_tensor *y, const mien_tensor *x) {
    kernels(b)->softmax(y->data, x->data, cpu_dims_of(x));
    return MIEN_OK;
}

static mien_status glue_softmax_backward(mien_backend *b, const mien_tensor *dx,
                                         const mien_tensor *dy, const mien_tensor *y,
                                         bool accumulate) {
    kernels(b)->softmax_backward(dx->data, dy->data, y->data, cpu_dims_of(y), accumulate);
    return MIEN_OK;
}

static mien_status glue_softmax_xent(mien_backend *b, const mien_tensor *dlogits,
                                     const mien_tensor *logits, const mien_tensor *targets,
                                     const void *class_weight, int batch, body_step *state) {
    kernels(b)->softmax_xent(dlogits ? dlogits->data : NULL, logits->data, targets->data,
                             class_weight, logits->shape.n, logits->shape.c, batch, state);
    return MIEN_OK;
}

static mien_status glue_gather(mien_backend *b, const mien_tensor *x, const mien_tensor *targets,
                               const mien_gather *g) {
    const cpu_gather args = {
        .pixels = g->pixels,
        .targets = g->targets,
        .order = g->order + (g->follows ? g->state->cursor : 0),
        .classes = g->classes,
        .batch = g->batch,
        .first = g->first,
        .scale = g->scale,
        .shift = g->shift,
        .augment = g->augment,
        .ranges = g->ranges,
        .view = g->view,
        .label_smoothing = g->label_smoothing,
        .seed = g->state ? g->state->seed : 0,
        .step = g->state ? g->state->step : 0,
        .each = mien_each,
    };
    kernels(b)->gather(x->data, targets ? targets->data : NULL, x->shape.n, cpu_dims_of(x), &args);
    return MIEN_OK;
}

static mien_status glue_permute(mien_backend *b, uint32_t *order, const uint32_t *index, size_t n,
                                uint64_t *keys, uint32_t seed, uint64_t epoch) {
    kernels(b)->permute(order, index, n, keys, seed, epoch);
    return MIEN_OK;
}

static mien_status glue_cast(mien_backend *b, void *half, const void *params, size_t count) {
    (void)half, (void)params, (void)count;
    return MIEN_FAIL(UNSUPPORTED, "backend '%s' has no half-precision copy of the weights",
                     b->ops->name);
}

static mien_status glue_optimize(mien_backend *b, const mien_update *u, int rows) {
    const cpu_update update = {.w = u->w,
                               .g = u->g,
                               .m = u->m,
                               .v = u->v,
                               .average = u->average,
                               .rates = u->rates,
                               .decayed = u->decayed,
                               .count = u->count,
                               .rule = u->rule,
                               .state = u->state,
                               .each = mien_each};
    kernels(b)->optimize(&update, rows);
    return MIEN_OK;
}

/* A pass over dy costs little here: it is still in the caches. */
static bool glue_can_mask_filter(const mien_backend *b, const mien_linear_desc *d) {
    (void)b, (void)d;
    return false;
}

static mien_status glue_filter_masked(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                      const mien_tensor *y, const mien_tensor *x, void *scratch,
                                      bool accumulate) {
    (void)op, (void)dw, (void)db, (void)dy, (void)y, (void)x, (void)scratch, (void)accumulate;
    return MIEN_FAIL(UNSUPPORTED, "the CPU applies a ReLU's slope before the weights' gradient");
}

static mien_status glue_all_reduce(mien_backend *b, void *data, size_t count) {
    (void)b, (void)data, (void)count; /* one rank: the data is the sum already */
    return MIEN_OK;
}

void CPU_REAL_NAME(mien_cpu_glue)(mien_ops *ops) {
    ops->alloc = glue_alloc;
    ops->free = glue_free;
    ops->copy_in = glue_copy;
    ops->copy_out = glue_copy;
    ops->copy_beside = glue_copy_beside;
    ops->zero = glue_zero;
    ops->upload = glue_upload;
    ops->download = glue_download;
    ops->sync = glue_sync;
    ops->memory = glue_memory;
    ops->timestamp = glue_timestamp;
    ops->timestamps = glue_timestamps;
    ops->range_push = glue_range_push;
    ops->range_pop = glue_range_pop;
    ops->micro_batch = glue_micro_batch;
    ops->lanes = glue_lanes;
    ops->channel_block = glue_channel_block;
    ops->linear_can_mask_filter = glue_can_mask_filter;
    ops->linear_filter_masked = glue_filter_masked;
    ops->activation_forward = glue_activation_forward;
    ops->activation_backward = glue_activation_backward;
    ops->dropout = glue_dropout;
    ops->noise = glue_noise;
    ops->add = glue_add;
    ops->copy = glue_copy_tensor;
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
