/* Convolutions by cuDNN. What its engines do not support is worked around in scratch memory:
 * padding that differs between sides and, in 16 bits, channels that are not a multiple of 8 become
 * zeros of larger tensors. The network's tensors are not affected. */
#include <stdio.h>

#include "host/backend/cuda/dnn.h"
#include "host/base/memory.h"

/* LOGITS_MAX: logits in a row */
enum { PIECE = 256, CHANNELS = 8, LOGITS_MAX = 4096 };

/* The plans of one batch size. */
typedef struct conv_variant {
    int n;
    dnn_plan pass[MIEN_DIRECTIONS];
    dnn_plan masked; /* of MIEN_DATA, with the ReLU mask; empty if unused or slower */
} conv_variant;

typedef struct conv {
    mien_linear linear;
    mien_shape x, y;       /* as cuDNN sees them, n = 0 */
    int pad_h, pad_w;      /* on both sides */
    int top, left;         /* offset of the image in the larger x */
    bool wider_x, wider_y; /* x, y are larger than the network's */
    bool wider_w;          /* so are the weights */
    conv_variant *variants;
    size_t count, capacity;
} conv;

static conv *conv_of(const mien_linear *op) {
    return (conv *)op;
}

static bool takes(const mien_cuda *cuda, const mien_linear_desc *d) {
    (void)cuda;
    return !d->dense && !d->adds && !d->transposed && mien_linear_groups(d) == 1;
}

/* ---- shapes ---- */

static bool same_image(mien_shape a, mien_shape b) {
    return a.h == b.h && a.w == b.w && a.c == b.c;
}

/* Whether a padding of `pad` on both sides gives `out` positions; `kernel` is the kernel's span.
 * Pixels after the last window do not matter. */
static bool even(int in, int kernel, int stride, int pad, int out) {
    const int span = in + 2 * pad - kernel;
    return span >= 0 && span / stride + 1 == out;
}

/* The size of an image that contains its own padding. */
static int padded(int in, int kernel, int stride, int pad, int out) {
    const int read = (out - 1) * stride + kernel;
    return read > in + pad ? read : in + pad;
}

static int whole_channels(int c) {
    return (c + CHANNELS - 1) / CHANNELS * CHANNELS;
}

static void arrange(conv *c) {
    const mien_linear_desc *d = &c->linear.desc;
    const int span_h = (d->kernel_h - 1) * mien_linear_dilation_h(d) + 1;
    const int span_w = (d->kernel_w - 1) * mien_linear_dilation_w(d) + 1;
    c->x = d->in;
    c->y = d->out;
    c->pad_h = d->pad_top;
    c->pad_w = d->pad_left;
    if (!even(d->in.h, span_h, d->stride_h, d->pad_top, d->out.h) ||
        !even(d->in.w, span_w, d->stride_w, d->pad_left, d->out.w)) {
        c->x.h = padded(d->in.h, span_h, d->stride_h, d->pad_top, d->out.h);
        c->x.w = padded(d->in.w, span_w, d->stride_w, d->pad_left, d->out.w);
        c->top = d->pad_top;
        c->left = d->pad_left;
        c->pad_h = c->pad_w = 0;
    }
    if (c->linear.backend->dtype != MIEN_F32) {
        c->x.c = whole_channels(c->x.c);
        c->y.c = whole_channels(c->y.c);
    }
    c->wider_x = !same_image(c->x, d->in);
    c->wider_y = !same_image(c->y, d->out);
    c->wider_w = c->x.c != d->in.c || c->y.c != d->out.c;
}

static dnn_problem problem_of(const conv *c, int n, mien_direction direction) {
    const mien_linear_desc *d = &c->linear.desc;
    dnn_problem p = {.direction = direction,
                     .compute = c->linear.cuda->compute,
                     .x = c->x,
                     .y = c->y,
                     .kernel_h = d->kernel_h,
                     .kernel_w = d->kernel_w,
                     .stride_h = d->stride_h,
                     .stride_w = d->stride_w,
                     .dilation_h = mien_linear_dilation_h(d),
                     .dilation_w = mien_linear_dilation_w(d),
                     .pad_h = c->pad_h,
                     .pad_w = c->pad_w};
    p.x.n = p.y.n = n;
    return p;
}

/* ---- scratch memory ---- */

/* Copies that a pass makes of its tensors. */
typedef struct staging {
    bool has[DNN_UIDS];
    bool cuts[DNN_UIDS]; /* the copy is also cropped to the network's size, */
    void *cut;           /* its address */
    void *workspace;
} staging;

static size_t whole_pieces(size_t bytes) {
    return (bytes + PIECE - 1) / PIECE * PIECE;
}

/* Points `at` to the copies; returns the bytes needed in all. */
static size_t lay_out(const dnn_plan *plan, staging *s, dnn_pointers *at, char *scratch) {
    const uintptr_t start = whole_pieces((uintptr_t)scratch); /* 0 where only sizes are computed */
    size_t used = 0;
    for (int uid = 0; uid < DNN_UIDS; uid++)
        if (s->has[uid]) {
            at->at[uid] = (void *)(start + used);
            used += whole_pieces(dnn_bytes(&plan->problem, uid));
        }
    s->cut = (void *)(start + used);
    for (int uid = 0; uid < DNN_UIDS; uid++)
        if (s->cuts[uid]) used += whole_pieces(dnn_bytes(&plan->problem, uid));
    s->workspace = (void *)(start + used);
    return used + plan->engine.workspace + PIECE;
}

/* `wide`: y is in floats although the backend's dtype is a 16-bit one, as for logits. */
static staging forward_staging(const conv *c, const dnn_plan *plan, bool wide) {
    return (staging){.has = {[DNN_X] = c->wider_x,
                             [DNN_W] = c->wider_w,
                             [DNN_Y] = c->wider_y || wide,
                             [DNN_BIAS] = plan->problem.bias && c->wider_y},
                     .cuts = {[DNN_Y] = c->wider_y && wide}};
}

/* Whether y may be logits: that is known only in the pass. */
static bool may_be_wide(const conv *c) {
    return c->linear.backend->dtype != MIEN_F32 &&
           mien_shape_sample(c->linear.desc.out) <= LOGITS_MAX;
}

static staging data_staging(const conv *c, bool accumulate) {
    return (staging){
        .has = {[DNN_X] = c->wider_x || accumulate, [DNN_W] = c->wider_w, [DNN_Y] = c->wider_y}};
}

static staging filter_staging(const conv *c, bool accumulate) {
    const bool half = c->linear.backend->dtype != MIEN_F32;
    return (staging){
        .has = {[DNN_X] = c->wider_x, [DNN_W] = half || accumulate, [DNN_Y] = c->wider_y},
        .cuts = {[DNN_W] = c->wider_w}};
}

static void need(conv *c, const dnn_plan *plan, staging s) {
    dnn_pointers at;
    const size_t bytes = lay_out(plan, &s, &at, NULL);
    if (bytes > c->linear.scratch) c->linear.scratch = bytes;
}

/* ---- preparation ---- */

/* Reports the failure of the last graph tried for a pass, in the network's terms. */
static mien_status refuse(const conv *c, const dnn_problem *p, mien_status status) {
    static const char *const passes[] = {"output", "input's gradient", "weights' gradient"};
    const mien_linear_desc *d = &c->linear.desc;
    if (status != MIEN_UNSUPPORTED)
        return mien_fail_context(status, "layer '%s', preparing", d->name);
    return MIEN_FAIL(
        UNSUPPORTED,
        "layer '%s': cuDNN %zu cannot compute the %s of a convolution %dx%dx%d to %dx%dx%d, kernel "
        "%dx%d, stride %dx%d, dilation %dx%d, batch %d in %s on this card: try another precision "
        "(f32 has the fewest constraints), "
        "another batch size, a newer cuDNN, or the CPU",
        d->name, cudnnGetVersion(), passes[p->direction], d->in.h, d->in.w, d->in.c, d->out.h,
        d->out.w, d->out.c, d->kernel_h, d->kernel_w, d->stride_h, d->stride_w, p->dilation_h,
        p->dilation_w, p->x.n, mien_compute_name(p->compute));
}

/* The largest prepared batch above n, whose engines smaller ones use; NULL: none. */
static const conv_variant *larger(const conv *c, int n) {
    const conv_variant *largest = NULL;
    for (size_t i = 0; i < c->count; i++)
        if (c->variants[i].n > (largest ? largest->n : n)) largest = &c->variants[i];
    return largest;
}

/* Compares with the convolution alone, followed by our own kernels. */
static mien_status race_forward(const conv *c, dnn_plan *fused) {
    dnn_problem p = fused->problem;
    dnn_plan unfused;
    p.bias = p.relu = false;
    mien_status status = dnn_plan_make(&unfused, c->linear.cuda, &p, NULL);
    if (status == MIEN_UNSUPPORTED) return MIEN_OK;
    if (status == MIEN_OK) status = dnn_plan_race(fused, c->linear.cuda, &unfused);
    dnn_plan_release(&unfused);
    return status;
}

/* The possible graphs, best first: what one leaves out, our own kernels do after it. */
static mien_status search_forward(conv *c, conv_variant *v, dnn_problem *p) {
    const mien_linear_desc *d = &c->linear.desc;
    dnn_plan *plan = &v->pass[MIEN_FORWARD];
    mien_status status = MIEN_UNSUPPORTED;
    p->bias = d->bias;
    p->relu = d->activation == BODY_RELU;
    if (p->bias || p->relu) {
        status = dnn_plan_make(plan, c->linear.cuda, p, NULL);
        if (status == MIEN_OK && plan->searched && !plan->precompiled)
            status = race_forward(c, plan);
    }
    if (status != MIEN_UNSUPPORTED) return status;
    p->bias = p->relu = false;
    return dnn_plan_make(plan, c->linear.cuda, p, NULL);
}

static mien_status make_forward(conv *c, conv_variant *v) {
    const conv_variant *model = larger(c, v->n);
    dnn_plan *plan = &v->pass[MIEN_FORWARD];
    dnn_problem p = problem_of(c, v->n, MIEN_FORWARD);
    mien_status status = MIEN_UNSUPPORTED;
    if (model) {
        const dnn_plan *like = &model->pass[MIEN_FORWARD];
        p.bias = like->problem.bias;
        p.relu = like->problem.relu;
        status = dnn_plan_make(plan, c->linear.cuda, &p, &like->engine.choice);
    }
    if (status == MIEN_UNSUPPORTED) status = search_forward(c, v, &p);
    if (status != MIEN_OK) return refuse(c, &p, status);
    need(c, plan, forward_staging(c, plan, may_be_wide(c)));
    return MIEN_OK;
}

static mien_status make_data(conv *c, conv_variant *v) {
    mien_cuda *cuda = c->linear.cuda;
    dnn_plan *plan = &v->pass[MIEN_DATA];
    dnn_problem p = problem_of(c, v->n, MIEN_DATA);
    const conv_variant *model = larger(c, v->n);
    const mien_status status =
        dnn_plan_make(plan, cuda, &p, model ? &model->pass[MIEN_DATA].engine.choice : NULL);
    if (status != MIEN_OK) return refuse(c, &p, status);
    need(c, plan, data_staging(c, c->linear.desc.accumulates_dx));
    if (!c->linear.desc.masks_dx) return MIEN_OK;
    if (c->wider_x) return MIEN_OK; /* the mask is applied after cropping */
    if (model && !model->masked.engine.plan) return MIEN_OK;
    p.relu = true;
    mien_status masked =
        dnn_plan_make(&v->masked, cuda, &p, model ? &model->masked.engine.choice : NULL);
    if (masked == MIEN_OK) masked = dnn_plan_race(&v->masked, cuda, plan);
    if (masked == MIEN_UNSUPPORTED) return MIEN_OK;
    if (masked != MIEN_OK) return refuse(c, &p, masked);
    need(c, &v->masked, data_staging(c, false));
    return MIEN_OK;
}

static mien_status make_filter(conv *c, conv_variant *v) {
    dnn_plan *plan = &v->pass[MIEN_FILTER];
    const dnn_problem p = problem_of(c, v->n, MIEN_FILTER);
    const conv_variant *model = larger(c, v->n);
    const mien_status status = dnn_plan_make(
        plan, c->linear.cuda, &p, model ? &model->pass[MIEN_FILTER].engine.choice : NULL);
    if (status != MIEN_OK) return refuse(c, &p, status);
    need(c, plan, filter_staging(c, c->linear.desc.accumulates_dw));
    return MIEN_OK;
}

static void release_variant(conv_variant *v) {
    for (int i = 0; i < MIEN_DIRECTIONS; i++)
        dnn_plan_release(&v->pass[i]);
    dnn_plan_release(&v->masked);
}

static conv_variant *find(const conv *c, int n) {
    for (size_t i = 0; i < c->count; i++)
        if (c->variants[i].n == n) return &c->variants[i];
    return NULL;
}

static mien_status prepare(mien_linear *op, int n) {
    conv *c = conv_of(op);
    conv_variant v = {.n = n};
    if (find(c, n)) return MIEN_OK;
    if (!op->cuda->engines) MIEN_TRY(dnn_cache_open(op->cuda, &op->cuda->engines));
    arrange(c);
    const bool training = op->desc.training, data = training && op->desc.needs_dx;
    mien_status status = mien_grow(&c->variants, &c->capacity, c->count + 1, sizeof v);
    if (status == MIEN_OK && !op->only_data) status = make_forward(c, &v);
    if (status == MIEN_OK && (data || op->only_data)) status = make_data(c, &v);
    if (status == MIEN_OK && training) status = make_filter(c, &v);
    if (status == MIEN_OK)
        c->variants[c->count++] = v;
    else
        release_variant(&v);
    return status;
}

static void release(mien_linear *op) {
    conv *c = conv_of(op);
    if (c->count > 0) /* a compiled engine is freed with its code: nothing may still run it */
        cudaStreamSynchronize(op->cuda->stream);
    for (size_t i = 0; i < c->count; i++)
        release_variant(&c->variants[i]);
    mien_free(c->variants);
}

static void engine(const mien_linear *op, mien_direction direction, char *text, size_t size) {
    const conv *c = conv_of(op);
    const conv_variant *largest = NULL;
    for (size_t i = 0; i < c->count; i++)
        if (!largest || c->variants[i].n > largest->n) largest = &c->variants[i];
    const dnn_plan *plan = largest ? &largest->pass[direction] : NULL;
    if (direction == MIEN_DATA && largest && largest->masked.engine.plan) plan = &largest->masked;
    snprintf(text, size, "none");
    if (plan && plan->engine.plan) dnn_choice_text(&plan->engine.choice, text, size);
}

/* ---- passes ---- */

static mien_status ready(const mien_linear *op, int n, mien_direction direction,
                         conv_variant **out) {
    *out = find(conv_of(op), n);
    if (!*out || !(*out)->pass[direction].engine.plan)
        return MIEN_FAIL(INVALID, "layer '%s': not prepared for a batch of %d", op->desc.name, n);
    return MIEN_OK;
}

static mien_status run(const mien_linear *op, dnn_plan *plan, const dnn_pointers *at,
                       const staging *s) {
    const mien_status status = dnn_plan_run(plan, op->cuda, at, s->workspace);
    return status == MIEN_OK ? MIEN_OK : mien_fail_context(status, "layer '%s'", op->desc.name);
}

/* A tensor of the plan's problem in scratch memory. */
static cuda_tensor staged(const conv *c, const dnn_pointers *at, int uid, mien_shape s, int n) {
    return (cuda_tensor){at->at[uid], mien_cuda_number(c->linear.backend->dtype), n, s.h, s.w, s.c};
}

static cuda_tensor weights(const conv *c, const void *w, int number) {
    const mien_linear_desc *d = &c->linear.desc;
    return (cuda_tensor){(void *)w, number, d->out.c, d->kernel_h, d->kernel_w, d->in.c};
}

static cuda_tensor staged_weights(const conv *c, const dnn_pointers *at) {
    cuda_tensor t = weights(c, at->at[DNN_W], mien_cuda_number(c->linear.backend->dtype));
    t.n = c->y.c;
    t.c = c->x.c;
    return t;
}

/* The larger copies that a pass reads. */
static mien_status stage_x(const conv *c, const staging *s, const dnn_pointers *at,
                           const mien_tensor *x) {
    if (s->has[DNN_X])
        CUDA_TRY(cuda_pad(c->linear.cuda->stream, staged(c, at, DNN_X, c->x, x->shape.n),
                          mien_cuda_tensor(x), c->top, c->left),
                 "padding an image");
    return MIEN_OK;
}

static mien_status stage_dy(const conv *c, const staging *s, const dnn_pointers *at,
                            const mien_tensor *dy) {
    if (s->has[DNN_Y])
        CUDA_TRY(cuda_pad(c->linear.cuda->stream, staged(c, at, DNN_Y, c->y, dy->shape.n),
                          mien_cuda_tensor(dy), 0, 0),
                 "padding a gradient");
    return MIEN_OK;
}

static mien_status stage_weights(const conv *c, const staging *s, const dnn_pointers *at,
                                 const void *w) {
    const int number = mien_cuda_number(c->linear.backend->dtype);
    if (s->has[DNN_W])
        CUDA_TRY(
            cuda_pad(c->linear.cuda->stream, staged_weights(c, at), weights(c, w, number), 0, 0),
            "padding weights");
    return MIEN_OK;
}

static mien_status stage_bias(const conv *c, const staging *s, const dnn_pointers *at,
                              const void *b) {
    const int number = mien_cuda_number(c->linear.backend->dtype);
    const cuda_tensor to = {at->at[DNN_BIAS], number, 1, 1, 1, c->y.c};
    const cuda_tensor from = {(void *)b, number, 1, 1, 1, c->linear.desc.out.c};
    if (s->has[DNN_BIAS])
        CUDA_TRY(cuda_pad(c->linear.cuda->stream, to, from, 0, 0), "padding a bias");
    return MIEN_OK;
}

/* y = the result in scratch memory. */
static mien_status unstage_y(const conv *c, const staging *s, const dnn_pointers *at,
                             const mien_tensor *y) {
    const cuda_stream stream = c->linear.cuda->stream;
    const cuda_tensor none = {0};
    cuda_tensor from = staged(c, at, DNN_Y, c->y, y->shape.n);
    if (c->wider_y) {
        cuda_tensor cut = mien_cuda_tensor(y);
        if (s->cuts[DNN_Y]) cut.data = s->cut, cut.number = from.number;
        CUDA_TRY(cuda_crop(stream, cut, from, 0, 0, none, false), "cropping a result");
        from = cut;
    }
    if (from.data != y->data)
        CUDA_TRY(cuda_copy(stream, mien_cuda_tensor(y), from, false), "converting logits to f32");
    return MIEN_OK;
}

static mien_status forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                           const void *w, const void *b, void *scratch) {
    const conv *c = conv_of(op);
    const bool wide = y->dtype != op->backend->dtype;
    conv_variant *v;
    MIEN_TRY(ready(op, x->shape.n, MIEN_FORWARD, &v));
    if (wide && !may_be_wide(c))
        return MIEN_FAIL(UNSUPPORTED, "layer '%s': more than %d logits from a convolution",
                         op->desc.name, LOGITS_MAX);
    dnn_plan *plan = &v->pass[MIEN_FORWARD];
    dnn_pointers at = {
        {[DNN_X] = x->data, [DNN_W] = (void *)w, [DNN_Y] = y->data, [DNN_BIAS] = (void *)b}};
    staging s = forward_staging(c, plan, wide);
    lay_out(plan, &s, &at, scratch);
    MIEN_TRY(stage_x(c, &s, &at, x));
    MIEN_TRY(stage_weights(c, &s, &at, w));
    MIEN_TRY(stage_bias(c, &s, &at, b));
    MIEN_TRY(run(op, plan, &at, &s));
    if (s.has[DNN_Y]) MIEN_TRY(unstage_y(c, &s, &at, y));
    const void *bias = plan->problem.bias ? NULL : b;
    const int act = plan->problem.relu ? BODY_LINEAR : op->desc.activation;
    if (bias || act != BODY_LINEAR)
        CUDA_TRY(cuda_bias_activation_of(op->cuda->stream, mien_cuda_tensor(y), bias,
                                         mien_cuda_number(op->backend->dtype), act, op->desc.alpha),
                 "bias and activation");
    return MIEN_OK;
}

/* dx (+)= the result in scratch memory. */
static mien_status unstage_dx(const conv *c, const dnn_pointers *at, const mien_tensor *dx,
                              bool accumulate) {
    const cuda_tensor to = mien_cuda_tensor(dx), none = {0};
    const cuda_tensor from = staged(c, at, DNN_X, c->x, dx->shape.n);
    if (c->wider_x)
        CUDA_TRY(cuda_crop(c->linear.cuda->stream, to, from, c->top, c->left, none, accumulate),
                 "cropping a gradient");
    else
        CUDA_TRY(cuda_copy(c->linear.cuda->stream, to, from, accumulate), "adding a gradient");
    return MIEN_OK;
}

static mien_status backward_data(mien_linear *op, const mien_tensor *dx, const mien_tensor *dy,
                                 const void *w, const mien_tensor *relu_mask, void *scratch,
                                 bool accumulate) {
    const conv *c = conv_of(op);
    conv_variant *v;
    MIEN_TRY(ready(op, dx->shape.n, MIEN_DATA, &v));
    if (accumulate && !op->desc.accumulates_dx)
        return MIEN_FAIL(INVALID, "layer '%s': not created to accumulate gradients", op->desc.name);
    staging s = data_staging(c, accumulate);
    const bool fused = relu_mask && !s.has[DNN_X] && v->masked.engine.plan;
    dnn_plan *plan = fused ? &v->masked : &v->pass[MIEN_DATA];
    dnn_pointers at = {{[DNN_X] = dx->data, [DNN_W] = (void *)w, [DNN_Y] = dy->data}};
    if (fused) at.at[DNN_RELU_MASK] = relu_mask->data;
    lay_out(plan, &s, &at, scratch);
    MIEN_TRY(stage_dy(c, &s, &at, dy));
    MIEN_TRY(stage_weights(c, &s, &at, w));
    MIEN_TRY(run(op, plan, &at, &s));
    if (s.has[DNN_X]) MIEN_TRY(unstage_dx(c, &at, dx, accumulate));
    if (relu_mask && !fused) /* also masks the old content */
        CUDA_TRY(cuda_relu_mask(op->cuda->stream, mien_cuda_tensor(dx), mien_cuda_tensor(dx),
                                mien_cuda_tensor(relu_mask), false),
                 "a ReLU mask");
    return MIEN_OK;
}

/* dw (+)= the result in scratch memory. */
static mien_status unstage_dw(const conv *c, const staging *s, const dnn_pointers *at, void *dw,
                              bool accumulate) {
    cuda_stream stream = c->linear.cuda->stream;
    const int number = mien_cuda_number(c->linear.backend->dtype);
    const cuda_tensor none = {0};
    cuda_tensor from = staged_weights(c, at);
    if (s->cuts[DNN_W]) {
        const cuda_tensor cut = weights(c, s->cut, number);
        CUDA_TRY(cuda_crop(stream, cut, from, 0, 0, none, false), "cropping weights");
        from = cut;
    }
    CUDA_TRY(cuda_copy(stream, weights(c, dw, CUDA_F32), from, accumulate),
             "converting the weights' gradient to f32");
    return MIEN_OK;
}

static mien_status backward_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                   const mien_tensor *x, void *scratch, bool accumulate) {
    const conv *c = conv_of(op);
    conv_variant *v;
    MIEN_TRY(ready(op, x->shape.n, MIEN_FILTER, &v));
    if (accumulate && !op->desc.accumulates_dw)
        return MIEN_FAIL(INVALID, "layer '%s': not created to accumulate gradients", op->desc.name);
    dnn_plan *plan = &v->pass[MIEN_FILTER];
    staging s = filter_staging(c, accumulate);
    dnn_pointers at = {{[DNN_X] = x->data, [DNN_W] = dw, [DNN_Y] = dy->data}};
    lay_out(plan, &s, &at, scratch);
    MIEN_TRY(stage_x(c, &s, &at, x));
    MIEN_TRY(stage_dy(c, &s, &at, dy));
    MIEN_TRY(run(op, plan, &at, &s));
    if (s.has[DNN_W]) MIEN_TRY(unstage_dw(c, &s, &at, dw, accumulate));
    return mien_cuda_bias_gradient(op, db, dy, accumulate);
}

const linear_kind mien_cuda_conv = {.name = "cuDNN",
                                    .takes = takes,
                                    .bytes = sizeof(conv),
                                    .prepare = prepare,
                                    .release = release,
                                    .engine = engine,
                                    .forward = forward,
                                    .backward_data = backward_data,
                                    .backward_filter = backward_filter};
