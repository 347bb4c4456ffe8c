/* The matrix products that the fake cuBLASLt supports, and their arithmetic in plain loops. */
#include "tests/cuda/fake/cublaslt.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/body/cast.h"

/* ---- checks ---- */

/* Column-major only; the columns must not overlap. */
static bool sound(const lt_layout *l) {
    return l && l->made == LT_LAYOUT && lt_bytes(l->type) && l->rows > 0 && l->columns > 0 &&
           l->ld >= (int64_t)l->rows;
}

/* The rows of the documentation's table that Mien could need: f32, and 16-bit inputs with a 16-bit
 * or f32 output; accumulation and scales in f32. */
static bool supported(const lt_problem *p) {
    const bool cast = p->a.type != CUDA_R_32F;
    if (p->a.type != p->b.type || p->c.type != p->d.type || p->op.scale != CUDA_R_32F) return false;
    if (p->d.type != p->a.type && p->d.type != CUDA_R_32F) return false;
    return p->op.compute == CUBLAS_COMPUTE_32F || p->op.compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
           (p->op.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && !cast);
}

/* A bias and a bias gradient have D's type: a 16-bit D cannot have an f32 bias. */
static cublasStatus_t check_epilogue(const lt_problem *p) {
    switch (p->op.epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
        return CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB:
        if (!p->op.bias) return CUBLAS_STATUS_INVALID_VALUE;
        return p->op.bias_type == -1 || p->op.bias_type == p->d.type ? CUBLAS_STATUS_SUCCESS
                                                                     : CUBLAS_STATUS_NOT_SUPPORTED;
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

cublasStatus_t lt_check(lt_problem *out, const void *op, const void *a, const void *b,
                        const void *c, const void *d) {
    if (!sound(a) || !sound(b) || !sound(c) || !sound(d)) return CUBLAS_STATUS_INVALID_VALUE;
    if (!op || ((const lt_op *)op)->made != LT_OP) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&out->op, op, sizeof out->op);
    memcpy(&out->a, a, sizeof out->a);
    memcpy(&out->b, b, sizeof out->b);
    memcpy(&out->c, c, sizeof out->c);
    memcpy(&out->d, d, sizeof out->d);
    const bool ta = out->op.transpose_a == CUBLAS_OP_T, tb = out->op.transpose_b == CUBLAS_OP_T;
    out->m = out->d.rows;
    out->n = out->d.columns;
    out->k = ta ? out->a.rows : out->a.columns;
    if ((ta ? out->a.columns : out->a.rows) != out->m ||
        (tb ? out->b.rows : out->b.columns) != out->n ||
        (tb ? out->b.columns : out->b.rows) != out->k || out->c.rows != out->m ||
        out->c.columns != out->n)
        return CUBLAS_STATUS_INVALID_VALUE;
    return supported(out) ? check_epilogue(out) : CUBLAS_STATUS_NOT_SUPPORTED;
}

uint32_t lt_signature(const lt_problem *p) {
    const uint64_t words[] = {p->m,
                              p->n,
                              p->k,
                              (uint64_t)p->a.type,
                              (uint64_t)p->d.type,
                              (uint64_t)p->op.compute,
                              (uint64_t)p->op.transpose_a,
                              (uint64_t)p->op.transpose_b,
                              p->op.epilogue,
                              (uint64_t)p->a.ld,
                              (uint64_t)p->b.ld,
                              (uint64_t)p->d.ld};
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        hash = (hash ^ words[i]) * 1099511628211u;
    return (uint32_t)(hash >> 32);
}

/* ---- arithmetic ---- */

static float read_number(const void *data, int type, size_t i) {
    if (type == CUDA_R_32F) return ((const float *)data)[i];
    const uint16_t bits = ((const uint16_t *)data)[i];
    return type == CUDA_R_16F ? body_from_f16(bits) : body_from_bf16(bits);
}

static void write_number(void *data, int type, size_t i, float value) {
    if (type == CUDA_R_32F)
        ((float *)data)[i] = value;
    else
        ((uint16_t *)data)[i] = type == CUDA_R_16F ? body_to_f16(value) : body_to_bf16(value);
}

/* 10 bits of mantissa, to the nearest, ties to even. */
static float round_tf32(float x) {
    const uint32_t bits = body_to_bits(x);
    if ((bits & 0x7f800000u) == 0x7f800000u) return x;
    return body_from_bits((bits + 0xfffu + (bits >> 13 & 1u)) & ~0x1fffu);
}

/* op(M) as floats: [lines][k], a line being a row of op(A) or a column of op(B). `contiguous`: the
 * numbers of a line are contiguous in M. The caller frees the result. */
static float *gather_lines(const void *data, const lt_layout *l, bool contiguous, size_t lines,
                           size_t k, bool tf32) {
    float *out = malloc(lines * k * sizeof *out);
    if (!out) abort();
    for (size_t i = 0; i < lines; i++)
        for (size_t j = 0; j < k; j++) {
            const size_t at = contiguous ? i * (size_t)l->ld + j : j * (size_t)l->ld + i;
            const float x = read_number(data, l->type, at);
            out[i * k + j] = tf32 ? round_tf32(x) : x;
        }
    return out;
}

/* 16 partial sums, for speed. */
static float dot(const float *a, const float *b, size_t k, bool backwards) {
    float part[16] = {0}, sum = 0;
    size_t j = 0;
    for (; j + 16 <= k; j += 16)
        for (size_t l = 0; l < 16; l++)
            part[l] += a[j + l] * b[j + l];
    for (; j < k; j++)
        sum += a[j] * b[j];
    for (size_t l = 0; l < 16; l++)
        sum += part[backwards ? 15 - l : l];
    return sum;
}

static float apply_epilogue(const lt_call *call, size_t row, size_t column, float sum) {
    const lt_problem *p = &call->problem;
    const uint32_t epilogue = p->op.epilogue;
    float y = call->alpha * sum;
    if (call->beta != 0)
        y += call->beta * read_number(call->c, p->c.type, column * (size_t)p->c.ld + row);
    if (epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS)
        y += read_number(p->op.bias, p->d.type, row);
    if (epilogue == CUBLASLT_EPILOGUE_RELU || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS)
        y = y < 0 ? 0 : y;
    return y;
}

/* Sums each line of an operand over k. */
static void bias_gradient(const lt_problem *p, const float *lines, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float sum = 0;
        for (size_t j = 0; j < p->k; j++)
            sum += lines[i * p->k + j];
        write_number((void *)(uintptr_t)p->op.bias, p->d.type, i, sum);
    }
}

void lt_compute(void *context) {
    const lt_call *call = context;
    const lt_problem *p = &call->problem;
    const bool tf32 = p->op.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    float *a = gather_lines(call->a, &p->a, p->op.transpose_a == CUBLAS_OP_T, p->m, p->k, tf32);
    float *b = gather_lines(call->b, &p->b, p->op.transpose_b == CUBLAS_OP_N, p->n, p->k, tf32);
    for (size_t column = 0; column < p->n; column++)
        for (size_t row = 0; row < p->m; row++)
            write_number(
                call->d, p->d.type, column * (size_t)p->d.ld + row,
                apply_epilogue(call, row, column,
                               dot(a + row * p->k, b + column * p->k, p->k, call->backwards)));
    if (p->op.epilogue == CUBLASLT_EPILOGUE_BGRADA) bias_gradient(p, a, p->m);
    if (p->op.epilogue == CUBLASLT_EPILOGUE_BGRADB) bias_gradient(p, b, p->n);
    free(a);
    free(b);
}
