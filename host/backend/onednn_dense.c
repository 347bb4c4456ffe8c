/* Dense operators in training, by matrix products of one thread each: every product computes some
 * columns of y, or some inputs of dx and dw, from all rows. So no sum is divided, and the result
 * does not depend on the number of threads. The weights are stored in x out. */
#include "host/backend/onednn.h"

#include <string.h>

#include "host/base/threads.h"

enum { PART = 128 }; /* columns of y, or inputs, of a product */

bool onednn_is_product(const mien_linear *op) {
    return op->desc.training && op->desc.dense;
}

/* A single product is left to the calling thread. Returns what to restore with mien_threads_limit.
 */
static int start(int all) {
    return all > PART ? mien_threads_limit(mien_threads_count()) : mien_threads_limit(1);
}

static int part_at(int first, int all) {
    return all - first < PART ? all - first : PART;
}

/* c[rows][columns] (+)= a b; `t`: transposed. The last argument of each matrix is its row's length
 * in memory. */
static void multiply(bool a_t, bool b_t, int rows, int columns, int depth, const float *a, int lda,
                     const float *b, int ldb, bool add, float *c, int ldc) {
    dnnl_sgemm(a_t ? 'T' : 'N', b_t ? 'T' : 'N', rows, columns, depth, 1, a, lda, b, ldb,
               add ? 1 : 0, c, ldc);
}

/* Columns of y, before other activations than ReLU. */
static void finish(float *y, const float *bias, int rows, int columns, int length, bool relu) {
    for (int i = 0; i < rows; i++, y += length)
        for (int k = 0; k < columns; k++) {
            const float v = y[k] + (bias ? bias[k] : 0);
            y[k] = relu ? body_activate(v, BODY_RELU, 0) : v;
        }
}

void onednn_dense_forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                          const void *w, const void *b) {
    const int n = x->shape.n, in = op->desc.in.c, out = op->desc.out.c;
    const float *bias = b;
    float *to = y->data;
    const int team = start(out);
#pragma omp parallel for schedule(dynamic)
    for (int k = 0; k < out; k += PART) {
        const int part = part_at(k, out);
        multiply(false, false, n, part, in, x->data, in, (const float *)w + k, out, false, to + k,
                 out);
        finish(to + k, bias ? bias + k : NULL, n, part, out, onednn_fused(&op->desc) == BODY_RELU);
    }
    mien_threads_limit(team);
}

void onednn_dense_data(mien_linear *op, const mien_tensor *dx, const mien_tensor *dy, const void *w,
                       bool accumulate) {
    const int n = dx->shape.n, in = op->desc.in.c, out = op->desc.out.c;
    const int team = start(in);
#pragma omp parallel for schedule(dynamic)
    for (int c = 0; c < in; c += PART)
        multiply(false, true, n, part_at(c, in), out, dy->data, out,
                 (const float *)w + (size_t)c * (size_t)out, out, accumulate, (float *)dx->data + c,
                 in);
    mien_threads_limit(team);
}

static void sum_bias(float *db, const float *dy, int rows, int columns, bool add) {
    if (!add) memset(db, 0, (size_t)columns * sizeof *db);
    for (int i = 0; i < rows; i++, dy += columns)
        for (int k = 0; k < columns; k++)
            db[k] += dy[k];
}

void onednn_dense_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                         const mien_tensor *x, bool accumulate) {
    const int n = x->shape.n, in = op->desc.in.c, out = op->desc.out.c;
    const int team = start(in);
#pragma omp parallel for schedule(dynamic)
    for (int c = 0; c < in; c += PART)
        multiply(true, false, part_at(c, in), out, n, (const float *)x->data + c, in, dy->data, out,
                 accumulate, (float *)dw + (size_t)c * (size_t)out, out);
    mien_threads_limit(team);
    if (db) sum_bias(db, dy->data, n, out, accumulate);
}
