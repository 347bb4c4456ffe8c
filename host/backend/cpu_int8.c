/* int8 inference on the CPU: operators by our own loops (cpu_pairs.c) or, with VNNI, by oneDNN
 * (onednn_int8.c), our own stem convolution, and pooling. */
#include "host/backend/onednn_int8.h"

#include <string.h>

#include "host/base/memory.h"
#include "kernels/body/quantise.h"

/* A stem convolution: one to four input channels, output channels in multiples of LANES. */
static bool is_stem(const mien_backend *b, const mien_linear_desc *d) {
    (void)b;
    const int taps = d->kernel_h * d->kernel_w * d->in.c;
    return !d->dense && mien_linear_is_simple(d) && d->in.c <= 4 && taps <= CPU_STEM_TAPS &&
           d->out.c % CPU_STEM_LANES == 0 &&
           (d->activation == BODY_LINEAR || d->activation == BODY_RELU);
}

static bool pools(const mien_backend *b, const mien_linear_desc *d, const mien_pool *p) {
    (void)b;
    return cpu_pairs_pools(d, p);
}

static size_t weight_count(const mien_int8_linear *op) {
    const mien_linear_desc *d = &op->desc.linear;
    return (size_t)(d->kernel_h * d->kernel_w) * (size_t)d->in.c * (size_t)d->out.c;
}

static bool available(const mien_backend *b) {
    (void)b;
    return mien_isa_allows_int8();
}

static mien_status create_int8(mien_int8_linear *op) {
    const size_t c = (size_t)op->desc.linear.out.c;
    const mien_int8_linear *from = op->desc.shares;
    op->vnni = onednn_int8_available();
    if (from) {
        op->w_scale = from->w_scale;
        op->bias = from->bias;
        op->hwio = from->hwio;
        op->loaded = from->loaded;
    } else {
        MIEN_TRY(mien_new(&op->w_scale, c, sizeof *op->w_scale));
        MIEN_TRY(mien_new(&op->bias, c, sizeof *op->bias));
        MIEN_TRY(mien_new(&op->hwio, weight_count(op), 1));
        memcpy(op->w_scale, op->desc.w_scale, c * sizeof *op->w_scale);
    }
    return cpu_pairs_create(op);
}

static void free_operator(mien_int8_linear *op) {
    if (!op) return;
    onednn_int8_free(op);
    if (!op->desc.shares) {
        cpu_pairs_free(op);
        mien_free(op->w_scale);
        mien_free(op->bias);
        mien_free(op->hwio);
        mien_free(op->stem);
    }
    mien_free(op);
}

static mien_status create(mien_backend *b, const mien_int8_desc *desc, mien_int8_linear **out) {
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    (*out)->backend = b;
    (*out)->desc = *desc;
    if (desc->shares) (*out)->stem = desc->shares->stem;
    const mien_status status = desc->w_scale ? create_int8(*out) : MIEN_OK;
    (*out)->desc.w_scale = NULL; /* the caller's; operators have copied it */
    if (status != MIEN_OK) {
        free_operator(*out);
        *out = NULL;
    }
    return status;
}

/* Scratch: x as int8 | y in NHWC or before pooling, both where needed | the operator's own. */
static size_t x_bytes(const mien_int8_linear *op, int n) {
    return op->desc.x_f32 ? onednn_round_up(mien_shape_sample(op->desc.linear.in) * (size_t)n) : 0;
}

static bool moves_y(const mien_int8_linear *op) {
    const mien_shape s = op->desc.linear.out;
    return op->desc.y == MIEN_F32 && op->backend->ops->channel_block(op->backend, s) != s.c;
}

static bool by_winograd(const mien_int8_linear *op, int n) {
    return op->winograd && op->exact && cpu_pairs_fill_winograd(op, n);
}

/* Winograd's algorithm pools as it writes. */
static bool pools_apart(const mien_int8_linear *op, int n) {
    return op->desc.pool && !by_winograd(op, n);
}

static size_t y_bytes(const mien_int8_linear *op, int n) {
    if (!moves_y(op) && !pools_apart(op, n)) return 0;
    const size_t count = mien_shape_sample(op->desc.linear.out) * (size_t)n;
    return onednn_round_up(count * mien_dtype_bytes(op->desc.y));
}

static cpu_conv stem_form(const mien_int8_linear *op, int n) {
    const mien_linear_desc *d = &op->desc.linear;
    return (cpu_conv){
        n,        d->in.h,
        d->in.w,  d->in.c,
        d->out.h, d->out.w,
        d->out.c, {d->kernel_h, d->kernel_w, d->stride_h, d->stride_w, d->pad_top, d->pad_left},
        1,        1,
        1};
}

static mien_status int8_scratch(mien_int8_linear *op, int n, size_t *need) {
    const size_t own = cpu_pairs_scratch(op, n);
    size_t library = 0;
    if (op->vnni && !by_winograd(op, n)) MIEN_TRY(onednn_int8_prepare(op, n, &library));
    *need = x_bytes(op, n) + y_bytes(op, n) + (own > library ? own : library);
    return MIEN_OK;
}

static size_t stem_scratch(const mien_int8_linear *op, int n) {
    const cpu_conv stem = stem_form(op, n);
    return cpu_stem_capacity(&stem) * sizeof(float) * (size_t)int8_threads(op);
}

static mien_status prepare(mien_int8_linear *op, int n) {
    size_t need = 0;
    if (op->w_scale)
        MIEN_TRY(int8_scratch(op, n, &need));
    else
        need = stem_scratch(op, n);
    if (need > op->scratch) op->scratch = need;
    return MIEN_OK;
}

static size_t scratch_bytes(const mien_int8_linear *op) {
    return op->scratch;
}

/* The bias is added to the sums of products, before they are scaled. */
static mien_status load_int8(mien_int8_linear *op, const float *hwio, const float *bias) {
    const size_t c = (size_t)op->desc.linear.out.c, count = weight_count(op);
    if (op->loaded) /* what was prepared since depends on `exact` */
        return MIEN_FAIL(INVALID, "layer '%s': its int8 weights are loaded already",
                         op->desc.linear.name);
    for (size_t i = 0; i < count; i++)
        op->hwio[i] =
            (int8_t)body_quantise(hwio[i], 1 / op->w_scale[i % c], body_int8_range_of(true));
    for (size_t k = 0; k < c; k++)
        op->bias[k] = bias[k] / (op->desc.x_scale * op->w_scale[k]);
    op->loaded = true;
    cpu_pairs_pack(op);
    return onednn_int8_pack(op);
}

/* [taps][channels] → [channels / LANES][taps][LANES], followed by the bias. */
static mien_status load_stem(mien_int8_linear *op, const float *hwio, const float *bias) {
    const mien_linear_desc *d = &op->desc.linear;
    const size_t taps = (size_t)(d->kernel_h * d->kernel_w * d->in.c), c = (size_t)d->out.c;
    if (!op->stem) MIEN_TRY(mien_new(&op->stem, (taps + 1) * c, sizeof *op->stem));
    for (size_t t = 0; t < taps; t++)
        for (size_t k = 0; k < c; k++)
            op->stem[(k / CPU_STEM_LANES * taps + t) * CPU_STEM_LANES + k % CPU_STEM_LANES] =
                hwio[t * c + k];
    memcpy(op->stem + taps * c, bias, c * sizeof *bias);
    return MIEN_OK;
}

static mien_status load(mien_int8_linear *op, const float *hwio, const float *bias) {
    return op->w_scale ? load_int8(op, hwio, bias) : load_stem(op, hwio, bias);
}

static void forward_stem(const mien_int8_linear *op, const mien_tensor *y, const mien_tensor *x,
                         void *scratch) {
    const mien_linear_desc *d = &op->desc.linear;
    const cpu_conv c = stem_form(op, x->shape.n);
    const size_t taps = (size_t)(d->kernel_h * d->kernel_w * d->in.c);
    cpu_of(op->backend)
        ->kernels->conv_stem_u8(y->data, x->data, op->stem, op->stem + taps * (size_t)d->out.c, &c,
                                1 / op->desc.y_scale, y->dtype == MIEN_I8, scratch);
}

/* What the operators do not do: other activations, and the backend's channel blocks. */
static void finish(const mien_int8_linear *op, const mien_tensor *y, const float *nhwc) {
    const cpu_kernels *k = cpu_of(op->backend)->kernels;
    const int act = op->desc.linear.activation;
    cpu_dims d = cpu_dims_of(y);
    d.block = d.c;
    if (nhwc != y->data) k->relayout(y->data, y->block, nhwc, d, false);
    if (act != BODY_LINEAR && act != BODY_RELU)
        k->activation_forward(y->data, y->data, mien_shape_count(y->shape), act,
                              op->desc.linear.alpha);
}

static mien_status max_pool(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                            const mien_pool *p) {
    const cpu_window window = {p->kernel_h, p->kernel_w, p->stride_h,
                               p->stride_w, p->pad_top,  p->pad_left};
    cpu_of(b)->kernels->max_pool_int8(y->data, x->data, cpu_dims_of(x), cpu_dims_of(y), window,
                                      x->dtype == MIEN_I8);
    return MIEN_OK;
}

/* Everything but what `finish` and pooling do: y in NHWC. */
static mien_status multiply(mien_int8_linear *op, int n, void *y, const void *x, void *scratch) {
    if (by_winograd(op, n))
        cpu_pairs_winograd(op, n, y, x, scratch);
    else if (op->vnni)
        return onednn_int8_run(op, n, y, x, scratch);
    else
        cpu_pairs_run(op, n, y, x, scratch);
    return MIEN_OK;
}

static mien_status forward(mien_int8_linear *op, const mien_tensor *y, const mien_tensor *x,
                           void *scratch) {
    const int n = x->shape.n;
    if (!op->w_scale) {
        forward_stem(op, y, x, scratch);
        return MIEN_OK;
    }
    if (!op->loaded)
        return MIEN_FAIL(INVALID, "layer '%s': its weights are not loaded", op->desc.linear.name);
    char *before = (char *)scratch + x_bytes(op, n), *own = before + y_bytes(op, n);
    const void *from = op->desc.x_f32 ? scratch : x->data;
    void *to = moves_y(op) || pools_apart(op, n) ? before : y->data;
    if (op->desc.x_f32)
        cpu_of(op->backend)
            ->kernels->quantise(scratch, x->data, cpu_dims_of(x), 1 / op->desc.x_scale,
                                op->desc.x == MIEN_I8);
    MIEN_TRY(multiply(op, n, to, from, own));
    if (op->desc.y == MIEN_F32) finish(op, y, to);
    if (!pools_apart(op, n)) return MIEN_OK;
    mien_shape s = op->desc.linear.out;
    s.n = n;
    return max_pool(op->backend, y, &(mien_tensor){s, y->dtype, s.c, to}, op->desc.pool);
}

const mien_int8_ops mien_cpu_int8 = {.available = available,
                                     .writes_int8 = is_stem,
                                     .pools = pools,
                                     .create = create,
                                     .free = free_operator,
                                     .prepare = prepare,
                                     .scratch_bytes = scratch_bytes,
                                     .load = load,
                                     .forward = forward,
                                     .max_pool = max_pool};
