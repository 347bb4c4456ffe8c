/* int8 inference on the CPU: oneDNN's operators (onednn_int8.c), our own stem convolution, and
 * pooling. */
#include "host/backend/onednn_int8.h"

#include <string.h>

#include "host/base/memory.h"

/* A stem convolution: one to four input channels, output channels in multiples of LANES. */
static bool is_stem(const mien_backend *b, const mien_linear_desc *d) {
    (void)b;
    const int taps = d->kernel_h * d->kernel_w * d->in.c;
    return !d->dense && mien_linear_is_simple(d) && d->in.c <= 4 && taps <= CPU_STEM_TAPS &&
           d->out.c % CPU_STEM_LANES == 0 &&
           (d->activation == BODY_LINEAR || d->activation == BODY_RELU);
}

static mien_status create(mien_backend *b, const mien_int8_desc *desc, mien_int8_linear **out) {
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    (*out)->backend = b;
    (*out)->desc = *desc;
    if (desc->shares) (*out)->stem = desc->shares->stem;
    const mien_status status = desc->w_scale ? onednn_int8_create(*out) : MIEN_OK;
    (*out)->desc.w_scale = NULL; /* the caller's; operators have copied it */
    if (status != MIEN_OK) {
        onednn_int8_free(*out);
        *out = NULL;
    }
    return status;
}

static mien_status prepare(mien_int8_linear *op, int n) {
    return op->w_scale ? onednn_int8_prepare(op, n) : MIEN_OK;
}

static size_t scratch_bytes(const mien_int8_linear *op) {
    return op->w_scale ? onednn_int8_scratch_bytes(op) : 0;
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
    return op->w_scale ? onednn_int8_load(op, hwio, bias) : load_stem(op, hwio, bias);
}

static void forward_stem(const mien_int8_linear *op, const mien_tensor *y, const mien_tensor *x) {
    const mien_linear_desc *d = &op->desc.linear;
    const cpu_conv c = {
        x->shape.n, d->in.h,
        d->in.w,    d->in.c,
        d->out.h,   d->out.w,
        d->out.c,   {d->kernel_h, d->kernel_w, d->stride_h, d->stride_w, d->pad_top, d->pad_left},
        1,          1,
        1};
    const size_t taps = (size_t)(d->kernel_h * d->kernel_w * d->in.c);
    cpu_of(op->backend)
        ->kernels->conv_stem_u8(y->data, x->data, op->stem, op->stem + taps * (size_t)d->out.c, &c,
                                1 / op->desc.y_scale, y->dtype == MIEN_I8);
}

static mien_status forward(mien_int8_linear *op, const mien_tensor *y, const mien_tensor *x,
                           void *scratch) {
    if (op->w_scale) return onednn_int8_forward(op, y, x, scratch);
    forward_stem(op, y, x);
    return MIEN_OK;
}

static mien_status max_pool(mien_backend *b, const mien_tensor *y, const mien_tensor *x,
                            const mien_pool *p) {
    const cpu_window window = {p->kernel_h, p->kernel_w, p->stride_h,
                               p->stride_w, p->pad_top,  p->pad_left};
    cpu_of(b)->kernels->max_pool_int8(y->data, x->data, cpu_dims_of(x), cpu_dims_of(y), window,
                                      x->dtype == MIEN_I8);
    return MIEN_OK;
}

const mien_int8_ops mien_cpu_int8 = {.available = onednn_int8_available,
                                     .writes_int8 = is_stem,
                                     .create = create,
                                     .free = onednn_int8_free,
                                     .prepare = prepare,
                                     .scratch_bytes = scratch_bytes,
                                     .load = load,
                                     .forward = forward,
                                     .max_pool = max_pool};
