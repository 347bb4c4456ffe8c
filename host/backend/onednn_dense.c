/* Dense operators in training, by matrix products of one thread each: every product computes some
 * columns of y, or some inputs of dx and dw, from all rows. So no sum is divided, and the result
 * does not depend on the number of threads. The weights are stored in x out. */
#include "host/backend/onednn.h"

#include <string.h>

#include "host/base/crew.h"
#include "host/base/threads.h"

enum { PART = 128 }; /* columns of y, or inputs, of a product */

bool onednn_is_product(const mien_linear *op) {
    return op->desc.training && op->desc.dense;
}

typedef struct product {
    mien_linear *op;
    int n, in, out;
    const float *x, *w, *b, *dy;
    float *y, *dx, *dw;
    bool accumulate;
} product;

static int parts_of(int all) {
    return (all + PART - 1) / PART;
}

static int part_at(int first, int all) {
    return all - first < PART ? all - first : PART;
}

/* c[rows][columns] (+)= a b; `t`: transposed. The last argument of each matrix is its row's length
 * in memory. */
static void multiply(bool a_t, bool b_t, int rows, int columns, int depth, const float *a, int lda,
                     const float *b, int ldb, bool add, float *c, int ldc) {
    sigset_t signals;
    mien_signals_hold(&signals); /* see onednn_execute */
    dnnl_sgemm(a_t ? 'T' : 'N', b_t ? 'T' : 'N', rows, columns, depth, 1, a, lda, b, ldb,
               add ? 1 : 0, c, ldc);
    mien_signals_release(&signals);
}

/* Columns of y, before other activations than ReLU. */
static void finish(float *y, const float *bias, int rows, int columns, int length, bool relu) {
    for (int i = 0; i < rows; i++, y += length)
        for (int k = 0; k < columns; k++) {
            const float v = y[k] + (bias ? bias[k] : 0);
            y[k] = relu ? body_activate(v, BODY_RELU, 0) : v;
        }
}

static void forward_part(void *context, int index) {
    const product *p = context;
    const int k = index * PART, part = part_at(k, p->out);
    multiply(false, false, p->n, part, p->in, p->x, p->in, p->w + k, p->out, false, p->y + k,
             p->out);
    finish(p->y + k, p->b ? p->b + k : NULL, p->n, part, p->out,
           onednn_fused(&p->op->desc) == BODY_RELU);
}

void onednn_dense_forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                          const void *w, const void *b) {
    product p = {op,           x->shape.n, op->desc.in.c, op->desc.out.c,
                 .x = x->data, .w = w,     .b = b,        .y = y->data};
    mien_each(parts_of(p.out), forward_part, &p);
}

static void data_part(void *context, int index) {
    const product *p = context;
    const int c = index * PART;
    multiply(false, true, p->n, part_at(c, p->in), p->out, p->dy, p->out,
             p->w + (size_t)c * (size_t)p->out, p->out, p->accumulate, p->dx + c, p->in);
}

void onednn_dense_data(mien_linear *op, const mien_tensor *dx, const mien_tensor *dy, const void *w,
                       bool accumulate) {
    product p = {op,     dx->shape.n,    op->desc.in.c,  op->desc.out.c,
                 .w = w, .dy = dy->data, .dx = dx->data, .accumulate = accumulate};
    mien_each(parts_of(p.in), data_part, &p);
}

static void sum_bias(float *db, const float *dy, int rows, int columns, bool add) {
    if (!add) memset(db, 0, (size_t)columns * sizeof *db);
    for (int i = 0; i < rows; i++, dy += columns)
        for (int k = 0; k < columns; k++)
            db[k] += dy[k];
}

static void filter_part(void *context, int index) {
    const product *p = context;
    const int c = index * PART;
    multiply(true, false, part_at(c, p->in), p->out, p->n, p->x + c, p->in, p->dy, p->out,
             p->accumulate, p->dw + (size_t)c * (size_t)p->out, p->out);
}

void onednn_dense_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                         const mien_tensor *x, bool accumulate) {
    product p = {op,           x->shape.n,     op->desc.in.c, op->desc.out.c,
                 .x = x->data, .dy = dy->data, .dw = dw,      .accumulate = accumulate};
    mien_each(parts_of(p.in), filter_part, &p);
    if (db) sum_bias(db, dy->data, p.n, p.out, accumulate);
}
