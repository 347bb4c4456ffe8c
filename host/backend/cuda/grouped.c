/* Grouped convolutions by our own kernels (kernels/cuda/grouped.cu). The weights have the host's
 * layout: [kernel_h][kernel_w][in.c / groups][out.c]. */
#include <stdio.h>

#include "host/backend/cuda/cuda.h"

static bool takes(const mien_cuda *cuda, const mien_linear_desc *d) {
    (void)cuda;
    return !d->dense && !d->adds && !d->transposed && mien_linear_groups(d) > 1;
}

static mien_status prepare(mien_linear *op, int n) {
    (void)op, (void)n;
    return MIEN_OK;
}

static void release(mien_linear *op) {
    (void)op;
}

static void engine(const mien_linear *op, mien_direction direction, char *text, size_t size) {
    const bool none = direction == MIEN_DATA && !op->desc.needs_dx;
    snprintf(text, size, "%s", none ? "none" : "grouped");
}

static cuda_grouped grouped_of(const mien_linear *op) {
    const mien_linear_desc *d = &op->desc;
    return (cuda_grouped){
        {d->kernel_h, d->kernel_w, d->stride_h, d->stride_w, d->pad_top, d->pad_left},
        mien_linear_dilation_h(d),
        mien_linear_dilation_w(d),
        mien_linear_groups(d)};
}

static mien_status forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                           const void *w, const void *b, void *scratch) {
    const mien_linear_desc *d = &op->desc;
    const cuda_stream stream = op->cuda->stream;
    const bool relu = d->activation == BODY_RELU;
    (void)scratch;
    CUDA_TRY(cuda_grouped_forward(stream, mien_cuda_tensor(y), mien_cuda_tensor(x), w, b,
                                  grouped_of(op), relu),
             "the kernel of a grouped convolution");
    if (d->activation != BODY_LINEAR && !relu)
        CUDA_TRY(cuda_bias_activation(stream, mien_cuda_tensor(y), NULL, d->activation, d->alpha),
                 "the kernel of activation");
    return MIEN_OK;
}

static mien_status backward_data(mien_linear *op, const mien_tensor *dx, const mien_tensor *dy,
                                 const void *w, const mien_tensor *relu_mask, void *scratch,
                                 bool accumulate) {
    (void)scratch;
    CUDA_TRY(cuda_grouped_data(op->cuda->stream, mien_cuda_tensor(dx), mien_cuda_tensor(dy), w,
                               relu_mask ? relu_mask->data : NULL, grouped_of(op), accumulate),
             "the kernel of a grouped convolution's input gradient");
    return MIEN_OK;
}

static mien_status backward_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                   const mien_tensor *x, void *scratch, bool accumulate) {
    const cuda_stream stream = op->cuda->stream;
    (void)scratch;
    CUDA_TRY(cuda_grouped_filter(stream, dw, mien_cuda_tensor(dy), mien_cuda_tensor(x),
                                 grouped_of(op), accumulate, op->cuda->buffer),
             "the kernel of a grouped convolution's weight gradient");
    return mien_cuda_bias_gradient(op, db, dy, accumulate);
}

const linear_kind mien_cuda_grouped = {.name = "grouped",
                                       .takes = takes,
                                       .bytes = sizeof(mien_linear),
                                       .prepare = prepare,
                                       .release = release,
                                       .engine = engine,
                                       .forward = forward,
                                       .backward_data = backward_data,
                                       .backward_filter = backward_filter};
