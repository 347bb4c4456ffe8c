/* The linear slots by plain loops: the reference for every other backend, in float and double.
 * Activations and weights stay NHWC and HWIO; a dense layer is a convolution of a 1x1 image. */
#include "host/backend/cpu.h"

#include <stdio.h>

#include "host/base/memory.h"

struct mien_linear {
    mien_backend *backend;
    mien_linear_desc desc;
};

static mien_status plain_create(mien_backend *b, const mien_linear_desc *desc, mien_linear **out) {
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    **out = (mien_linear){b, *desc};
    return MIEN_OK;
}

static void plain_free(mien_linear *op) {
    mien_free(op);
}

static mien_status plain_prepare(mien_linear *op, int n) {
    (void)op, (void)n;
    return MIEN_OK;
}

static size_t weight_count(const mien_linear *op) {
    const mien_linear_desc *d = &op->desc;
    return (size_t)(d->kernel_h * d->kernel_w) * (size_t)d->in.c * (size_t)d->out.c;
}

static mien_algorithm plain_algorithm(const mien_linear *op, mien_direction direction) {
    (void)op, (void)direction;
    return MIEN_DIRECT;
}

static bool plain_can_add(const mien_backend *b, const mien_linear_desc *d) {
    (void)b, (void)d; /* the reference runs every node as it stands */
    return false;
}

static size_t plain_weight_bytes(const mien_linear *op) {
    return weight_count(op) * sizeof(real);
}

static size_t plain_scratch_bytes(const mien_linear *op) {
    (void)op;
    return 0;
}

static void plain_weights_changed(mien_linear *op) {
    (void)op;
}

static mien_status plain_upload(mien_linear *op, void *dst, const float *hwio) {
    for (size_t i = 0; i < weight_count(op); i++)
        ((real *)dst)[i] = hwio[i];
    return MIEN_OK;
}

static mien_status plain_download(mien_linear *op, float *hwio, const void *src) {
    for (size_t i = 0; i < weight_count(op); i++)
        hwio[i] = (float)((const real *)src)[i];
    return MIEN_OK;
}

static cpu_conv conv_of(const mien_linear *op, int n) {
    const mien_linear_desc *d = &op->desc;
    const cpu_conv c = {
        n,        d->in.h,
        d->in.w,  d->in.c,
        d->out.h, d->out.w,
        d->out.c, {d->kernel_h, d->kernel_w, d->stride_h, d->stride_w, d->pad_top, d->pad_left}};
    return c;
}

static mien_status plain_forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                                 const void *w, const void *b, void *scratch) {
    (void)scratch;
    const cpu_kernels *k = cpu_of(op->backend)->kernels;
    const cpu_conv c = conv_of(op, x->shape.n);
    k->conv_forward(y->data, x->data, w, b, &c);
    if (op->desc.activation != BODY_LINEAR)
        k->activation_forward(y->data, y->data, mien_shape_count(y->shape), op->desc.activation,
                              op->desc.alpha);
    return MIEN_OK;
}

static mien_status plain_backward_data(mien_linear *op, const mien_tensor *dx,
                                       const mien_tensor *dy, const void *w,
                                       const mien_tensor *gate, void *scratch, bool accumulate) {
    (void)scratch;
    const cpu_kernels *k = cpu_of(op->backend)->kernels;
    const cpu_conv c = conv_of(op, dx->shape.n);
    k->conv_backward_data(dx->data, dy->data, w, &c, accumulate);
    if (gate)
        k->activation_backward(dx->data, dx->data, NULL, gate->data, mien_shape_count(dx->shape),
                               BODY_RELU, 0, false);
    return MIEN_OK;
}

static mien_status plain_backward_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                         const mien_tensor *x, void *scratch, bool accumulate) {
    (void)scratch;
    const cpu_conv c = conv_of(op, x->shape.n);
    cpu_of(op->backend)->kernels->conv_backward_filter(dw, db, dy->data, x->data, &c, accumulate);
    return MIEN_OK;
}

static void plain_engine(const mien_linear *op, mien_direction direction, char *text, size_t size) {
    snprintf(text, size, "%s", mien_algorithm_name(plain_algorithm(op, direction)));
}

void CPU_REAL_NAME(mien_plain_linear)(mien_ops *ops) {
    ops->linear_create = plain_create;
    ops->linear_free = plain_free;
    ops->linear_prepare = plain_prepare;
    ops->linear_can_add = plain_can_add;
    ops->linear_algorithm = plain_algorithm;
    ops->linear_engine = plain_engine;
    ops->linear_weight_bytes = plain_weight_bytes;
    ops->linear_scratch_bytes = plain_scratch_bytes;
    ops->linear_weights_changed = plain_weights_changed;
    ops->weights_upload = plain_upload;
    ops->weights_download = plain_download;
    ops->linear_forward = plain_forward;
    ops->linear_backward_data = plain_backward_data;
    ops->linear_backward_filter = plain_backward_filter;
}
