/* Dense layers by cuBLASLt. Row-major x [n][in], w [in][out] and y [n][out] are, read column-major,
 * their transposes, so that
 *   y^T = w^T x^T         [out x n],  dx^T = w dy^T  [in x n],  dw^T = dy^T x  [out x in]
 * need no copy. A bias, its gradient and a ReLU are fused into the product where cuBLASLt supports
 * it (a bias must have y's type, which in 16 bits logits have not), and otherwise computed by our
 * own kernels after it. Our own kernel computes the whole pass where cuBLASLt has no algorithm for
 * the product, which may be so for a few 16-bit outputs, and where there are so few of them that a
 * second kernel would cost more than the product. */
#include <stdio.h>

#include "host/backend/cuda/blas.h"
#include "host/base/memory.h"

enum dense_product {
    DENSE_Y,     /* of the backend's dtype */
    DENSE_Y_F32, /* from 16-bit inputs: logits */
    DENSE_DX,
    DENSE_DW,
    DENSE_DW_DB, /* with the bias gradient; both written */
    DENSE_PRODUCTS
};

/* What was prepared for batches of n rows. */
typedef struct dense_variant {
    int n;
    blas_product product[DENSE_PRODUCTS];
} dense_variant;

typedef struct dense_op {
    mien_linear linear; /* first */
    dense_variant *variants;
    size_t count, capacity;
} dense_op;

static dense_op *dense_of(const mien_linear *op) {
    return (dense_op *)op;
}

static bool dense_takes(const mien_cuda *cuda, const mien_linear_desc *d) {
    (void)cuda;
    return d->dense;
}

static dense_variant *find(const mien_linear *op, int n) {
    const dense_op *dense = dense_of(op);
    for (size_t i = 0; i < dense->count; i++)
        if (dense->variants[i].n == n) return &dense->variants[i];
    return NULL;
}

/* ---- prepare ---- */

/* `fuses_bias`: the bias has y's type. */
static cublasLtEpilogue_t epilogue_of(const mien_linear_desc *d, bool fuses_bias) {
    const bool relu = d->activation == BODY_RELU;
    if (d->bias && !fuses_bias) return CUBLASLT_EPILOGUE_DEFAULT;
    if (d->bias) return relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    return relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
}

/* Without an algorithm the product stays empty: our own kernel computes the pass. */
static mien_status make_product(const mien_linear *op, blas_product *product,
                                const blas_problem *p) {
    const mien_status status = blas_product_make(product, op->cuda, p);
    return status == MIEN_UNSUPPORTED ? MIEN_OK : status;
}

static mien_status prepare_forward(const mien_linear *op, dense_variant *v, int which,
                                   mien_dtype y) {
    blas_problem p = {.m = op->desc.out.c,
                      .n = v->n,
                      .k = op->desc.in.c,
                      .in = op->backend->dtype,
                      .out = y,
                      .epilogue = epilogue_of(&op->desc, y == op->backend->dtype),
                      .bias = y};
    mien_status status = make_product(op, &v->product[which], &p);
    if (status != MIEN_OK || v->product[which].op || p.epilogue == CUBLASLT_EPILOGUE_DEFAULT)
        return status;
    p.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    return make_product(op, &v->product[which], &p);
}

static mien_status prepare_data(const mien_linear *op, dense_variant *v) {
    const blas_problem p = {.m = op->desc.in.c,
                            .n = v->n,
                            .k = op->desc.out.c,
                            .transpose_a = true,
                            .in = op->backend->dtype,
                            .out = op->backend->dtype,
                            .epilogue = CUBLASLT_EPILOGUE_DEFAULT};
    return make_product(op, &v->product[DENSE_DX], &p);
}

static mien_status prepare_filter(const mien_linear *op, dense_variant *v) {
    blas_problem p = {.m = op->desc.out.c,
                      .n = op->desc.in.c,
                      .k = v->n,
                      .transpose_b = true,
                      .in = op->backend->dtype,
                      .out = MIEN_F32,
                      .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                      .bias = MIEN_F32};
    MIEN_TRY(make_product(op, &v->product[DENSE_DW], &p));
    /* a sum of numbers rounded to TF32 would be less accurate than our own kernel's */
    if (!op->desc.bias || op->cuda->compute == MIEN_COMPUTE_TF32) return MIEN_OK;
    p.epilogue = CUBLASLT_EPILOGUE_BGRADA;
    return make_product(op, &v->product[DENSE_DW_DB], &p);
}

static mien_status prepare_all(const mien_linear *op, dense_variant *v) {
    const mien_linear_desc *d = &op->desc;
    MIEN_TRY(prepare_forward(op, v, DENSE_Y, op->backend->dtype));
    if (op->backend->dtype != MIEN_F32) MIEN_TRY(prepare_forward(op, v, DENSE_Y_F32, MIEN_F32));
    if (d->training) MIEN_TRY(prepare_filter(op, v));
    if (d->training && d->needs_dx) MIEN_TRY(prepare_data(op, v));
    return MIEN_OK;
}

static void release_variant(dense_variant *v) {
    for (int i = 0; i < DENSE_PRODUCTS; i++)
        blas_product_release(&v->product[i]);
}

static mien_status dense_prepare(mien_linear *op, int n) {
    dense_op *dense = dense_of(op);
    if (find(op, n)) return MIEN_OK;
    MIEN_TRY(
        mien_grow(&dense->variants, &dense->capacity, dense->count + 1, sizeof *dense->variants));
    dense_variant *v = &dense->variants[dense->count];
    *v = (dense_variant){.n = n};
    const mien_status status = prepare_all(op, v);
    if (status != MIEN_OK) {
        release_variant(v);
        return mien_fail_context(status, "layer '%s', a batch of %d", op->desc.name, n);
    }
    dense->count++;
    return MIEN_OK;
}

static void dense_release(mien_linear *op) {
    dense_op *dense = dense_of(op);
    for (size_t i = 0; i < dense->count; i++)
        release_variant(&dense->variants[i]);
    mien_free(dense->variants);
    dense->variants = NULL;
    dense->count = dense->capacity = 0;
}

static void dense_engine(const mien_linear *op, mien_direction direction, char *text, size_t size) {
    const dense_op *dense = dense_of(op);
    const dense_variant *largest = NULL;
    for (size_t i = 0; i < dense->count; i++)
        if (!largest || dense->variants[i].n > largest->n) largest = &dense->variants[i];
    if (size) *text = 0;
    if (!largest || (direction == MIEN_DATA && !op->desc.needs_dx) ||
        (direction != MIEN_FORWARD && !op->desc.training))
        return;
    int which = direction == MIEN_FORWARD ? DENSE_Y : direction == MIEN_DATA ? DENSE_DX : DENSE_DW;
    if (direction == MIEN_FILTER && largest->product[DENSE_DW_DB].op) which = DENSE_DW_DB;
    if (largest->product[which].op)
        blas_product_text(&largest->product[which], text, size);
    else
        snprintf(text, size, "dense");
}

/* ---- passes ---- */

/* The product of a batch size; empty where cuBLASLt has no algorithm for it. */
static mien_status ready(const mien_linear *op, int n, int which, const blas_product **out) {
    const dense_variant *v = find(op, n);
    *out = v ? &v->product[which] : NULL;
    if (v) return MIEN_OK;
    return MIEN_FAIL(INVALID, "layer '%s': not prepared for a batch of %d", op->desc.name, n);
}

/* Whether our own kernel computes the pass. `more`: the product does not cover all of it. */
static bool own_kernel(const mien_linear *op, const blas_product *product, bool more) {
    const bool few = op->backend->dtype != MIEN_F32 && op->desc.out.c <= CUDA_DENSE_FEW;
    return !product->op || (more && few);
}

static mien_status dense_forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                                 const void *w, const void *b, void *scratch) {
    const cuda_stream stream = op->cuda->stream;
    const int act = op->desc.activation;
    const float alpha = op->desc.alpha;
    const cuda_tensor to = mien_cuda_tensor(y);
    const blas_product *product;
    (void)scratch;
    MIEN_TRY(ready(op, x->shape.n, y->dtype == x->dtype ? DENSE_Y : DENSE_Y_F32, &product));
    const bool fused = product->problem.epilogue != CUBLASLT_EPILOGUE_DEFAULT;
    const bool activate = act != BODY_LINEAR && !(fused && act == BODY_RELU);
    const bool more = activate || (b && !fused);
    if (own_kernel(op, product, more)) {
        CUDA_TRY(cuda_dense_forward(stream, to, mien_cuda_tensor(x), w, b, act, alpha),
                 "the kernel of a dense layer");
        return MIEN_OK;
    }
    MIEN_TRY(blas_product_run(product, op->cuda, y->data, w, x->data, b, false));
    if (more)
        CUDA_TRY(cuda_bias_activation_of(stream, to, fused ? NULL : b,
                                         mien_cuda_number(op->backend->dtype), act, alpha),
                 "the kernel of bias and activation");
    return MIEN_OK;
}

static mien_status dense_backward_data(mien_linear *op, const mien_tensor *dx,
                                       const mien_tensor *dy, const void *w,
                                       const mien_tensor *relu_mask, void *scratch,
                                       bool accumulate) {
    const cuda_tensor to = mien_cuda_tensor(dx);
    const blas_product *product;
    (void)scratch;
    MIEN_TRY(ready(op, dx->shape.n, DENSE_DX, &product));
    if (own_kernel(op, product, relu_mask)) {
        CUDA_TRY(cuda_dense_data(op->cuda->stream, to, mien_cuda_tensor(dy), w,
                                 relu_mask ? relu_mask->data : NULL, accumulate),
                 "the kernel of a dense layer's input gradient");
        return MIEN_OK;
    }
    MIEN_TRY(blas_product_run(product, op->cuda, dx->data, w, dy->data, NULL, accumulate));
    if (relu_mask)
        CUDA_TRY(cuda_relu_mask(op->cuda->stream, to, to, mien_cuda_tensor(relu_mask), false),
                 "the kernel of a ReLU mask");
    return MIEN_OK;
}

static mien_status dense_backward_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                         const mien_tensor *x, void *scratch, bool accumulate) {
    const blas_product *product, *with_bias;
    (void)scratch;
    MIEN_TRY(ready(op, x->shape.n, DENSE_DW, &product));
    MIEN_TRY(ready(op, x->shape.n, DENSE_DW_DB, &with_bias));
    const bool fused = db && !accumulate && with_bias->op;
    if (fused) product = with_bias;
    if (own_kernel(op, product, db && !fused)) {
        CUDA_TRY(cuda_dense_filter(op->cuda->stream, dw, db, mien_cuda_tensor(dy),
                                   mien_cuda_tensor(x), accumulate, op->cuda->buffer),
                 "the kernel of a dense layer's weight gradient");
        return MIEN_OK;
    }
    MIEN_TRY(blas_product_run(product, op->cuda, dw, dy->data, x->data, db, accumulate));
    return mien_cuda_bias_gradient(op, fused ? NULL : db, dy, accumulate);
}

const linear_kind mien_cuda_dense = {
    .name = "dense",
    .takes = dense_takes,
    .bytes = sizeof(dense_op),
    .prepare = dense_prepare,
    .release = dense_release,
    .engine = dense_engine,
    .forward = dense_forward,
    .backward_data = dense_backward_data,
    .backward_filter = dense_backward_filter,
};
