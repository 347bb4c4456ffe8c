/* The fake cuDNN's arithmetic: plain loops over floats, rounded where a tensor is stored. */
#include <stdlib.h>
#include <string.h>

#include "kernels/body/cast.h"
#include "tests/cuda/fake/cudnn.h"

static size_t count_of(const dnn_tensor *t) {
    return (size_t)(t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]);
}

static size_t at(const dnn_tensor *t, int64_t n, int64_t c, int64_t h, int64_t w) {
    return (size_t)(n * t->strides[0] + c * t->strides[1] + h * t->strides[2] + w * t->strides[3]);
}

static float round_tf32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x1000u) & ~0x1fffu;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* All elements as floats, in storage order. */
static float *load(const dnn_tensor *t, bool tf32) {
    const size_t count = count_of(t);
    float *out = malloc(count * sizeof *out);
    for (size_t i = 0; out && i < count; i++) {
        const uint16_t *cast = t->data;
        out[i] = t->type == CUDNN_DATA_FLOAT  ? ((const float *)t->data)[i]
                 : t->type == CUDNN_DATA_HALF ? body_from_f16(cast[i])
                                              : body_from_bf16(cast[i]);
        if (tf32 && t->type == CUDNN_DATA_FLOAT) out[i] = round_tf32(out[i]);
    }
    return out;
}

static void store(const dnn_tensor *t, const float *values) {
    for (size_t i = 0; i < count_of(t); i++)
        if (t->type == CUDNN_DATA_FLOAT)
            ((float *)t->data)[i] = values[i];
        else
            ((uint16_t *)t->data)[i] =
                t->type == CUDNN_DATA_HALF ? body_to_f16(values[i]) : body_to_bf16(values[i]);
}

/* All three passes: the output accumulates the products of the other two tensors. */
static void convolve(const dnn_program *p, const dnn_operation *o, float *x, float *w, float *y) {
    const dnn_tensor *tx = &p->tensors[o->x], *tw = &p->tensors[o->w], *ty = &p->tensors[o->y];
    for (int64_t n = 0; n < ty->dims[0]; n++)
        for (int64_t k = 0; k < ty->dims[1]; k++)
            for (int64_t h = 0; h < ty->dims[2]; h++)
                for (int64_t v = 0; v < ty->dims[3]; v++)
                    for (int64_t r = 0; r < tw->dims[2]; r++)
                        for (int64_t s = 0; s < tw->dims[3]; s++) {
                            const int64_t ih = h * o->stride[0] - o->pad[0] + r * o->dilation[0];
                            const int64_t iw = v * o->stride[1] - o->pad[1] + s * o->dilation[1];
                            if (ih < 0 || ih >= tx->dims[2] || iw < 0 || iw >= tx->dims[3])
                                continue;
                            float *to = &y[at(ty, n, k, h, v)];
                            for (int64_t c = 0; c < tx->dims[1]; c++) {
                                float *in = &x[at(tx, n, c, ih, iw)];
                                float *weight = &w[at(tw, k, c, r, s)];
                                switch (o->type) {
                                case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
                                    *to += *in * *weight;
                                    break;
                                case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
                                    *in += *to * *weight;
                                    break;
                                default:
                                    *weight += *in * *to;
                                }
                            }
                        }
}

static void pointwise(const dnn_program *p, const dnn_operation *o, float *values) {
    const dnn_tensor *t = &p->tensors[o->y], *other = o->b < 0 ? NULL : &p->tensors[o->b];
    float *b = other ? load(other, false) : NULL;
    for (int64_t n = 0; n < t->dims[0]; n++)
        for (int64_t c = 0; c < t->dims[1]; c++)
            for (int64_t h = 0; h < t->dims[2]; h++)
                for (int64_t w = 0; w < t->dims[3]; w++) {
                    float *v = &values[at(t, n, c, h, w)];
                    const float with =
                        b ? b[at(other, other->dims[0] > 1 ? n : 0, other->dims[1] > 1 ? c : 0,
                                 other->dims[2] > 1 ? h : 0, other->dims[3] > 1 ? w : 0)]
                          : 0;
                    if (o->mode == CUDNN_POINTWISE_ADD) *v += with;
                    if (o->mode == CUDNN_POINTWISE_RELU_FWD) *v = *v < 0 ? 0 : *v;
                    if (o->mode == CUDNN_POINTWISE_RELU_BWD) *v = with > 0 ? *v : 0;
                }
    free(b);
}

/* tensor: x, w, y. The one that the convolution computes starts at zero, the others are loaded. */
static void run(const dnn_program *p, float *tensor[3]) {
    const dnn_operation *o = &p->operations[0];
    const int operand[] = {o->x, o->w, o->y};
    const int out = o->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR         ? 2
                    : o->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? 0
                                                                                              : 1;
    for (int i = 0; i < 3; i++) {
        const dnn_tensor *t = &p->tensors[operand[i]];
        tensor[i] = i == out ? calloc(count_of(t), sizeof(float)) : load(t, p->tf32);
        if (!tensor[i]) return;
    }
    convolve(p, o, tensor[0], tensor[1], tensor[2]);
    int last = operand[out];
    for (int i = 1; i < p->operation_count; i++) {
        pointwise(p, &p->operations[i], tensor[out]);
        last = p->operations[i].y;
    }
    if (p->wrong) memset(tensor[out], 0, count_of(&p->tensors[last]) / 2 * sizeof(float));
    store(&p->tensors[last], tensor[out]);
}

void dnn_run(void *program) {
    const dnn_program *p = program;
    float *tensor[3] = {0};
    fake_clock_advance(1e-3 * (double)p->milliseconds);
    /* overwrite the whole workspace, so that a caller whose workspace is too small loses data */
    if (p->workspace_bytes) memset(p->workspace, 0xa5, p->workspace_bytes);
    run(p, tensor);
    for (int i = 0; i < 3; i++)
        free(tensor[i]);
}
