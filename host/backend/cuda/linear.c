/* Convolution and dense operators: which kind computes one, and the layout of its weights. */
#include <stdio.h>

#include "host/backend/cuda/cuda.h"
#include "host/base/memory.h"

/* NULL: none computes it. */
static const linear_kind *kind_of(const mien_backend *b, const mien_linear_desc *desc) {
    static const linear_kind *const kinds[] = {&mien_cuda_stem, &mien_cuda_grouped,
                                               &mien_cuda_dense, &mien_cuda_transposed,
                                               &mien_cuda_conv};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i]->takes(cuda_of(b), desc)) return kinds[i];
    return NULL;
}

static mien_status linear_create(mien_backend *b, const mien_linear_desc *desc, mien_linear **out) {
    const linear_kind *kind = kind_of(b, desc);
    *out = NULL;
    if (!kind)
        return MIEN_FAIL(UNSUPPORTED,
                         "layer '%s': the GPU does not support this operator: use --device cpu",
                         desc->name);
    MIEN_TRY(mien_new(out, 1, kind->bytes));
    **out = (mien_linear){kind, b, cuda_of(b), *desc, 0, false};
    return MIEN_OK;
}

static void linear_free(mien_linear *op) {
    if (op) op->kind->release(op);
    mien_free(op);
}

static mien_status linear_prepare(mien_linear *op, int n) {
    return op->kind->prepare(op, n);
}

static mien_algorithm linear_algorithm(const mien_linear *op, mien_direction direction) {
    (void)op, (void)direction; /* see linear_engine for the engine */
    return MIEN_DIRECT;
}

static void linear_engine(const mien_linear *op, mien_direction direction, char *text,
                          size_t size) {
    op->kind->engine(op, direction, text, size);
}

static size_t linear_weight_bytes(const mien_linear *op) {
    return mien_linear_weights(&op->desc) * sizeof(float);
}

static size_t linear_scratch_bytes(const mien_linear *op) {
    return op->scratch;
}

static void linear_weights_changed(mien_linear *op) {
    (void)op; /* nothing is derived from them */
}

static void linear_weights_for(mien_linear *op, mien_direction direction, const void *w) {
    (void)op, (void)direction, (void)w; /* likewise */
}

static bool as_on_the_host(const mien_linear_desc *d) {
    return d->dense || mien_linear_groups(d) > 1;
}

/* Weights are [taps * in][out] on the host and [out][taps * in] on the device; of a transposed
 * convolution, those of the convolution from `out` to `in`. */
typedef struct matrix {
    float *host;
    size_t rows, columns; /* taps * in, out */
} matrix;

static matrix matrix_of(const mien_linear_desc *d, float *host) {
    const size_t out = (size_t)(d->transposed ? d->in.c : d->out.c);
    return (matrix){host, mien_linear_weights(d) / out, out};
}

static void reorder_to_device(float *dst, const matrix *m) {
#pragma omp parallel for schedule(static)
    for (size_t c = 0; c < m->columns; c++)
        for (size_t r = 0; r < m->rows; r++)
            dst[c * m->rows + r] = m->host[r * m->columns + c];
}

/* A piece of the device's weights that begins `at` bytes after the first. A thread writes a few
 * rows of the host at a time, so that their lines stay in its cache. */
static void take_weights(void *context, const void *piece, size_t at, size_t bytes) {
    enum { ROWS = 32 };
    const matrix *m = context;
    const float *src = piece;
    const size_t first = at / sizeof *src, end = first + bytes / sizeof *src;
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < m->rows; row += ROWS)
        for (size_t c = first / m->rows; c * m->rows < end; c++)
            for (size_t r = row; r < m->rows && r < row + ROWS; r++) {
                const size_t here = c * m->rows + r;
                if (here >= first && here < end) m->host[r * m->columns + c] = src[here - first];
            }
}

static mien_status weights_upload(mien_linear *op, void *dst, const float *hwio) {
    const size_t bytes = linear_weight_bytes(op);
    float *reordered;
    if (as_on_the_host(&op->desc)) return op->backend->ops->copy_in(op->backend, dst, hwio, bytes);
    MIEN_TRY(mien_new(&reordered, 1, bytes));
    const matrix m = matrix_of(&op->desc, (float *)(uintptr_t)hwio);
    reorder_to_device(reordered, &m);
    const mien_status status = op->backend->ops->copy_in(op->backend, dst, reordered, bytes);
    mien_free(reordered);
    return status;
}

static mien_status weights_download(mien_linear *op, float *hwio, const void *src) {
    const size_t bytes = linear_weight_bytes(op);
    if (as_on_the_host(&op->desc)) return op->backend->ops->copy_out(op->backend, hwio, src, bytes);
    matrix m = matrix_of(&op->desc, hwio);
    return mien_cuda_fetch(op->cuda, src, bytes, take_weights, &m);
}

static bool linear_can_add(const mien_backend *b, const mien_linear_desc *d) {
    (void)b, (void)d; /* an addition is a separate node */
    return false;
}

static mien_status linear_forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                                  const void *w, const void *b, void *scratch) {
    return op->kind->forward(op, y, x, w, b, scratch);
}

static mien_status linear_backward_data(mien_linear *op, const mien_tensor *dx,
                                        const mien_tensor *dy, const void *w,
                                        const mien_tensor *relu_mask, void *scratch,
                                        bool accumulate) {
    return op->kind->backward_data(op, dx, dy, w, relu_mask, scratch, accumulate);
}

static mien_status linear_backward_filter(mien_linear *op, void *dw, void *db,
                                          const mien_tensor *dy, const mien_tensor *x,
                                          void *scratch, bool accumulate) {
    return op->kind->backward_filter(op, dw, db, dy, x, scratch, accumulate);
}

static bool linear_can_mask_filter(const mien_backend *b, const mien_linear_desc *d) {
    const linear_kind *kind = kind_of(b, d);
    return kind && kind->filter_masked;
}

static mien_status linear_filter_masked(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                        const mien_tensor *y, const mien_tensor *x, void *scratch,
                                        bool accumulate) {
    if (!op->kind->filter_masked)
        return MIEN_FAIL(UNSUPPORTED, "layer '%s': its weights' gradient takes no ReLU mask",
                         op->desc.name);
    return op->kind->filter_masked(op, dw, db, dy, y, x, scratch, accumulate);
}

void mien_cuda_linear_slots(mien_ops *ops) {
    ops->linear_create = linear_create;
    ops->linear_free = linear_free;
    ops->linear_prepare = linear_prepare;
    ops->linear_algorithm = linear_algorithm;
    ops->linear_engine = linear_engine;
    ops->linear_weight_bytes = linear_weight_bytes;
    ops->linear_scratch_bytes = linear_scratch_bytes;
    ops->linear_weights_changed = linear_weights_changed;
    ops->linear_weights_for = linear_weights_for;
    ops->weights_upload = weights_upload;
    ops->weights_download = weights_download;
    ops->linear_can_add = linear_can_add;
    ops->linear_forward = linear_forward;
    ops->linear_backward_data = linear_backward_data;
    ops->linear_backward_filter = linear_backward_filter;
    ops->linear_can_mask_filter = linear_can_mask_filter;
    ops->linear_filter_masked = linear_filter_masked;
}
