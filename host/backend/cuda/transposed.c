/* Transposed convolutions by cuDNN: forward is the data gradient of the convolution from `out` to
 * `in`, the data gradient is its forward pass. What cuDNN's passes lack for that (bias and
 * activation after a data gradient, accumulation after a forward pass) our own kernels do
 * afterwards. */
#include <stdio.h>

#include "host/backend/cuda/cuda.h"
#include "host/base/memory.h"

enum { PIECE = 256 };

typedef struct transposed {
    mien_linear linear;
    mien_linear *conv; /* NULL until prepared */
    size_t copy;       /* bytes of scratch before the convolution's: a result to be converted or
                          added */
} transposed;

static transposed *transposed_of(mien_linear *op) {
    return (transposed *)op;
}

static bool takes(const mien_cuda *cuda, const mien_linear_desc *d) {
    (void)cuda;
    return !d->dense && !d->adds && d->transposed && mien_linear_groups(d) == 1;
}

/* The convolution from `out` to `in`; its data gradient is our forward pass. */
static mien_linear_desc conv_desc(const mien_linear_desc *d) {
    mien_linear_desc c = *d;
    c.in = d->out;
    c.out = d->in;
    c.transposed = c.bias = c.masks_dx = c.accumulates_dx = false;
    c.activation = BODY_LINEAR;
    c.needs_dx = true;
    return c;
}

static mien_status prepare(mien_linear *op, int n) {
    transposed *t = transposed_of(op);
    const mien_linear_desc *d = &op->desc;
    if (!t->conv) {
        MIEN_TRY(mien_new(&t->conv, 1, mien_cuda_conv.bytes));
        *t->conv = (mien_linear){&mien_cuda_conv, op->backend, op->cuda,
                                 conv_desc(d),    0,           .only_data = !d->training};
    }
    MIEN_TRY(t->conv->kind->prepare(t->conv, n));
    const size_t in = mien_shape_sample(d->in), out = mien_shape_sample(d->out);
    const size_t bytes = (in > out ? in : out) * (size_t)n * mien_dtype_bytes(op->backend->dtype);
    const size_t copy = (bytes + PIECE - 1) / PIECE * PIECE;
    if (copy > t->copy) t->copy = copy;
    op->scratch = t->copy + t->conv->scratch;
    return MIEN_OK;
}

static void release(mien_linear *op) {
    transposed *t = transposed_of(op);
    if (t->conv) t->conv->kind->release(t->conv);
    mien_free(t->conv);
}

static void engine(const mien_linear *op, mien_direction direction, char *text, size_t size) {
    static const mien_direction crosswise[] = {
        [MIEN_FORWARD] = MIEN_DATA, [MIEN_DATA] = MIEN_FORWARD, [MIEN_FILTER] = MIEN_FILTER};
    const mien_linear *conv = ((const transposed *)op)->conv;
    snprintf(text, size, "none");
    if (conv) conv->kind->engine(conv, crosswise[direction], text, size);
}

static mien_status ready(const mien_linear *op, int n) {
    if (((const transposed *)op)->conv) return MIEN_OK;
    return MIEN_FAIL(INVALID, "layer '%s': not prepared for a batch of %d", op->desc.name, n);
}

/* A tensor like `t` at the start of scratch, as the convolution writes it. */
static mien_tensor copy_of(const mien_linear *op, const mien_tensor *t, void *scratch) {
    mien_tensor copy = *t;
    copy.dtype = op->backend->dtype;
    copy.data = scratch;
    return copy;
}

static mien_status forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                           const void *w, const void *b, void *scratch) {
    const transposed *t = transposed_of(op);
    const mien_linear_desc *d = &op->desc;
    const cuda_stream stream = op->cuda->stream;
    const bool wide = y->dtype != op->backend->dtype; /* as for logits */
    MIEN_TRY(ready(op, x->shape.n));
    const mien_tensor to = wide ? copy_of(op, y, scratch) : *y;
    MIEN_TRY(
        t->conv->kind->backward_data(t->conv, &to, x, w, NULL, (char *)scratch + t->copy, false));
    if (wide)
        CUDA_TRY(cuda_copy(stream, mien_cuda_tensor(y), mien_cuda_tensor(&to), false),
                 "converting logits to f32");
    if (b || d->activation != BODY_LINEAR)
        CUDA_TRY(cuda_bias_activation_of(stream, mien_cuda_tensor(y), b,
                                         mien_cuda_number(op->backend->dtype), d->activation,
                                         d->alpha),
                 "bias and activation");
    return MIEN_OK;
}

static mien_status backward_data(mien_linear *op, const mien_tensor *dx, const mien_tensor *dy,
                                 const void *w, const mien_tensor *relu_mask, void *scratch,
                                 bool accumulate) {
    const transposed *t = transposed_of(op);
    const cuda_stream stream = op->cuda->stream;
    const cuda_tensor to = mien_cuda_tensor(dx);
    MIEN_TRY(ready(op, dx->shape.n));
    const mien_tensor made = accumulate ? copy_of(op, dx, scratch) : *dx;
    MIEN_TRY(t->conv->kind->forward(t->conv, &made, dy, w, NULL, (char *)scratch + t->copy));
    if (accumulate)
        CUDA_TRY(cuda_copy(stream, to, mien_cuda_tensor(&made), true), "adding a gradient");
    if (relu_mask)
        CUDA_TRY(cuda_relu_mask(stream, to, to, mien_cuda_tensor(relu_mask), false), "a ReLU mask");
    return MIEN_OK;
}

static mien_status backward_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                   const mien_tensor *x, void *scratch, bool accumulate) {
    const transposed *t = transposed_of(op);
    MIEN_TRY(ready(op, x->shape.n));
    MIEN_TRY(t->conv->kind->backward_filter(t->conv, dw, NULL, x, dy, (char *)scratch + t->copy,
                                            accumulate));
    return mien_cuda_bias_gradient(op, db, dy, accumulate);
}

const linear_kind mien_cuda_transposed = {.name = "cuDNN, transposed",
                                          .takes = takes,
                                          .bytes = sizeof(transposed),
                                          .prepare = prepare,
                                          .release = release,
                                          .engine = engine,
                                          .forward = forward,
                                          .backward_data = backward_data,
                                          .backward_filter = backward_filter};
