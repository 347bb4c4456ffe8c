/* The stem, i.e. the convolution that reads the image, by our own kernels: with so few channels a
 * library's engines are inefficient, and no gradient of the image is needed. */
#include <stdio.h>

#include "host/backend/cuda/cuda.h"

enum { SIDE = 3 };

static bool takes(const mien_cuda *cuda, const mien_linear_desc *d) {
    (void)cuda;
    return !d->dense && mien_linear_is_simple(d) && !d->adds && !(d->training && d->needs_dx) &&
           d->in.c <= CUDA_STEM_CHANNELS && d->kernel_h == SIDE && d->kernel_w == SIDE &&
           d->stride_h == 1 && d->stride_w == 1;
}

static mien_status prepare(mien_linear *op, int n) {
    (void)op, (void)n;
    return MIEN_OK;
}

static void release(mien_linear *op) {
    (void)op;
}

static void engine(const mien_linear *op, mien_direction direction, char *text, size_t size) {
    (void)op;
    snprintf(text, size, "%s", direction == MIEN_DATA ? "none" : "stem");
}

static cuda_stem stem_of(const mien_linear *op) {
    const mien_linear_desc *d = &op->desc;
    return (cuda_stem){d->pad_top, d->pad_left, d->activation == BODY_RELU};
}

static mien_status forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                           const void *w, const void *b, void *scratch) {
    const mien_linear_desc *d = &op->desc;
    const cuda_stream stream = op->cuda->stream;
    (void)scratch;
    CUDA_TRY(cuda_stem_forward(stream, mien_cuda_tensor(y), mien_cuda_tensor(x), w, b, stem_of(op)),
             "the kernel of the stem");
    if (d->activation != BODY_LINEAR && d->activation != BODY_RELU)
        CUDA_TRY(cuda_bias_activation(stream, mien_cuda_tensor(y), NULL, d->activation, d->alpha),
                 "the kernel of activation");
    return MIEN_OK;
}

static mien_status backward_data(mien_linear *op, const mien_tensor *dx, const mien_tensor *dy,
                                 const void *w, const mien_tensor *relu_mask, void *scratch,
                                 bool accumulate) {
    (void)dx, (void)dy, (void)w, (void)relu_mask, (void)scratch, (void)accumulate;
    return MIEN_FAIL(INVALID, "layer '%s': not created for a gradient of its input", op->desc.name);
}

/* Masking dy here costs a read of y. The alternatives are a ReLU mask in the data gradient of the
 * next convolution, which reads as much, y being that convolution's input, but needs an engine that
 * cuDNN compiles at run time, or a pass of its own, which also reads and writes the gradient. */
static mien_status filter_masked(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                 const mien_tensor *y, const mien_tensor *x, void *scratch,
                                 bool accumulate) {
    (void)scratch;
    CUDA_TRY(cuda_stem_filter(op->cuda->stream, dw, db, mien_cuda_tensor(dy), mien_cuda_tensor(y),
                              mien_cuda_tensor(x), stem_of(op), accumulate, op->cuda->buffer),
             "the kernel of the stem's gradient");
    return MIEN_OK;
}

static mien_status backward_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                   const mien_tensor *x, void *scratch, bool accumulate) {
    return filter_masked(op, dw, db, dy, NULL, x, scratch, accumulate);
}

const linear_kind mien_cuda_stem = {.name = "stem",
                                    .takes = takes,
                                    .bytes = sizeof(mien_linear),
                                    .prepare = prepare,
                                    .release = release,
                                    .engine = engine,
                                    .forward = forward,
                                    .backward_data = backward_data,
                                    .backward_filter = backward_filter,
                                    .filter_masked = filter_masked};
