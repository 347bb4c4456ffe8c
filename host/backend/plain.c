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
    return mien_linear_weights(&op->desc);
}

static mien_algorithm plain_algorithm(const mien_linear *op, mien_direction direction) {
    (void)op, (void)direction;
    return MIEN_DIRECT;
}

static bool plain_can_add(const mien_backend *b, const mien_linear_desc *d) {
    (void)b, (void)d; /* the reference does not fuse additions */
    return false;
}

static size_t plain_weight_bytes(const mien_linear *op) {
    return weight_count(op) * sizeof(real);
}

static size_t plain_scratch_bytes(const mien_linear *op) {
    return op->desc.transposed ? mien_shape_sample(op->desc.in) * sizeof(real) : 0;
}

static void plain_weights_changed(mien_linear *op) {
    (void)op;
}

static void plain_weights_for(mien_linear *op, mien_direction direction, const void *w) {
    (void)op, (void)direction, (void)w; /* nothing is derived from them */
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

/* The convolution; for a transposed one, the convolution whose data gradient it is. */
static cpu_conv conv_of(const mien_linear *op, int n) {
    const mien_linear_desc *d = &op->desc;
    const mien_shape in = d->transposed ? d->out : d->in, out = d->transposed ? d->in : d->out;
    const cpu_conv c = {
        n,
        in.h,
        in.w,
        in.c,
        out.h,
        out.w,
        out.c,
        {d->kernel_h, d->kernel_w, d->stride_h, d->stride_w, d->pad_top, d->pad_left},
        mien_linear_dilation_h(d),
        mien_linear_dilation_w(d),
        mien_linear_groups(d)};
    return c;
}

static void transposed_forward(const cpu_kernels *k, real *y, const real *x, const real *w,
                               const real *b, const cpu_conv *c) {
    const size_t channels = (size_t)c->ic, count = (size_t)(c->n * c->ih * c->iw) * channels;
    k->conv_backward_data(y, x, w, c, false);
    for (size_t i = 0; b && i < count; i++)
        y[i] += b[i % channels];
}

static mien_status plain_forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                                 const void *w, const void *b, void *scratch) {
    (void)scratch;
    const cpu_kernels *k = cpu_of(op->backend)->kernels;
    const cpu_conv c = conv_of(op, x->shape.n);
    if (op->desc.transposed)
        transposed_forward(k, y->data, x->data, w, b, &c);
    else
        k->conv_forward(y->data, x->data, w, b, &c);
    if (op->desc.activation != BODY_LINEAR)
        k->activation_forward(y->data, y->data, mien_shape_count(y->shape), op->desc.activation,
                              op->desc.alpha);
    return MIEN_OK;
}

/* The plain convolution overwrites its output: to accumulate, each image is computed in scratch and
 * then added. */
static void transposed_data(const cpu_kernels *k, real *dx, const real *dy, const real *w,
                            cpu_conv c, real *one, bool accumulate) {
    const size_t image = (size_t)(c.oh * c.ow) * (size_t)c.oc;
    const size_t other = (size_t)(c.ih * c.iw) * (size_t)c.ic;
    const size_t rows = (size_t)c.n;
    c.n = 1;
    for (size_t n = 0; n < rows; n++) {
        k->conv_forward(accumulate ? one : dx + n * image, dy + n * other, w, NULL, &c);
        for (size_t i = 0; accumulate && i < image; i++)
            dx[n * image + i] += one[i];
    }
}

static mien_status plain_backward_data(mien_linear *op, const mien_tensor *dx,
                                       const mien_tensor *dy, const void *w,
                                       const mien_tensor *relu_mask, void *scratch,
                                       bool accumulate) {
    const cpu_kernels *k = cpu_of(op->backend)->kernels;
    const cpu_conv c = conv_of(op, dx->shape.n);
    if (op->desc.transposed)
        transposed_data(k, dx->data, dy->data, w, c, scratch, accumulate);
    else
        k->conv_backward_data(dx->data, dy->data, w, &c, accumulate);
    if (relu_mask)
        k->activation_backward(dx->data, dx->data, NULL, relu_mask->data,
                               mien_shape_count(dx->shape), BODY_RELU, 0, false);
    return MIEN_OK;
}

static mien_status plain_backward_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                         const mien_tensor *x, void *scratch, bool accumulate) {
    (void)scratch;
    const cpu_kernels *k = cpu_of(op->backend)->kernels;
    const cpu_conv c = conv_of(op, x->shape.n);
    if (!op->desc.transposed) {
        k->conv_backward_filter(dw, db, dy->data, x->data, &c, accumulate);
        return MIEN_OK;
    }
    const size_t channels = (size_t)dy->shape.c;
    real *sums = db;
    k->conv_backward_filter(dw, NULL, x->data, dy->data, &c, accumulate);
    for (size_t i = 0; sums && !accumulate && i < channels; i++)
        sums[i] = 0;
    for (size_t i = 0; sums && i < mien_shape_count(dy->shape); i++)
        sums[i % channels] += ((const real *)dy->data)[i];
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
    ops->linear_weights_for = plain_weights_for;
    ops->weights_upload = plain_upload;
    ops->weights_download = plain_download;
    ops->linear_forward = plain_forward;
    ops->linear_backward_data = plain_backward_data;
    ops->linear_backward_filter = plain_backward_filter;
}
