/* From a convolution to cuDNN's operation graph. After a failure the builder's calls do nothing, so
 * that a graph is built without checks in between and its status is checked once. */
#include <stdio.h>
#include <string.h>

#include "host/backend/cuda/dnn.h"

enum { ALIGNMENT_MAX = 16, AXES = 4 };

static cudnnBackendDescriptor_t make(dnn_graph *g, cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made = NULL;
    if (g->status != CUDNN_STATUS_SUCCESS) return NULL;
    g->status = cudnnBackendCreateDescriptor(type, &made);
    if (g->status == CUDNN_STATUS_SUCCESS) g->owned[g->count++] = made;
    return made;
}

static void set(dnn_graph *g, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values) {
    if (g->status == CUDNN_STATUS_SUCCESS)
        g->status = cudnnBackendSetAttribute(d, name, type, count, values);
}

static void set_descriptor(dnn_graph *g, cudnnBackendDescriptor_t d,
                           cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value) {
    set(g, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finish(dnn_graph *g, cudnnBackendDescriptor_t d) {
    if (g->status == CUDNN_STATUS_SUCCESS) g->status = cudnnBackendFinalize(d);
}

mien_dtype dnn_dtype(const dnn_problem *p) {
    return p->compute == MIEN_COMPUTE_BF16  ? MIEN_BF16
           : p->compute == MIEN_COMPUTE_F16 ? MIEN_F16
                                            : MIEN_F32;
}

static cudnnDataType_t data_type(mien_dtype number) {
    return number == MIEN_BF16  ? CUDNN_DATA_BFLOAT16
           : number == MIEN_F16 ? CUDNN_DATA_HALF
                                : CUDNN_DATA_FLOAT;
}

/* A tensor, also one of a single row, may begin at any row of a larger one; parameters and biases
 * have the arenas' alignment. */
static int64_t alignment_of(int64_t uid, mien_shape s, mien_dtype number) {
    const size_t row = mien_shape_sample(s) * mien_dtype_bytes(number);
    const bool whole = uid == DNN_W || uid == DNN_BIAS || uid >= DNN_UIDS;
    int64_t alignment = ALIGNMENT_MAX;
    while (!whole && row % (size_t)alignment != 0)
        alignment /= 2;
    return alignment;
}

/* Its axes are n, c, h, w whatever is adjacent in memory: here that is c. */
static cudnnBackendDescriptor_t tensor(dnn_graph *g, int64_t uid, mien_shape s, mien_dtype number,
                                       bool passes_through) {
    const int64_t dims[AXES] = {s.n, s.c, s.h, s.w};
    const int64_t strides[AXES] = {(int64_t)s.h * s.w * s.c, 1, (int64_t)s.w * s.c, s.c};
    const int64_t alignment = alignment_of(uid, s, number), name = dnn_name((int)uid);
    const cudnnDataType_t type = data_type(number);
    cudnnBackendDescriptor_t t = make(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(g, t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(g, t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, AXES, dims);
    set(g, t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, AXES, strides);
    set(g, t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &name);
    set(g, t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(g, t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &passes_through);
    finish(g, t);
    return t;
}

static mien_shape shape_of(const dnn_problem *p, int uid) {
    switch (uid) {
    case DNN_W:
        return (mien_shape){p->y.c, p->kernel_h, p->kernel_w, p->x.c};
    case DNN_Y:
        return p->y;
    case DNN_BIAS:
        return (mien_shape){1, 1, 1, p->y.c};
    default:
        return p->x; /* x and its ReLU mask */
    }
}

static cudnnBackendDescriptor_t tensor_of(dnn_graph *g, const dnn_problem *p, int uid) {
    return tensor(g, uid, shape_of(p, uid), dnn_dtype(p), false);
}

/* A value between two operations stays in float and is never written to memory. */
static cudnnBackendDescriptor_t between(dnn_graph *g, mien_shape s, int which) {
    return tensor(g, DNN_UIDS + which, s, MIEN_F32, true);
}

static cudnnBackendDescriptor_t convolution(dnn_graph *g, const dnn_problem *p) {
    const int64_t axes = 2, dilation[] = {p->dilation_h, p->dilation_w};
    const int64_t stride[] = {p->stride_h, p->stride_w}, pad[] = {p->pad_h, p->pad_w};
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    cudnnBackendDescriptor_t c = make(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(g, c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &axes);
    set(g, c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(g, c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(g, c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, axes, pad);
    set(g, c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, axes, pad);
    set(g, c, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, axes, dilation);
    set(g, c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, axes, stride);
    finish(g, c);
    return c;
}

/* Each pass has its own names for the attributes. */
static const struct conv_names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t alpha, beta, conv, x, w, y;
} conv_names[MIEN_DIRECTIONS] = {
    [MIEN_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    [MIEN_DATA] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    [MIEN_FILTER] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY}};

static cudnnBackendDescriptor_t convolve(dnn_graph *g, const dnn_problem *p,
                                         cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t w,
                                         cudnnBackendDescriptor_t y) {
    const struct conv_names *names = &conv_names[p->direction];
    const float alpha = 1, beta = 0;
    cudnnBackendDescriptor_t conv = convolution(g, p), op = make(g, names->type);
    set_descriptor(g, op, names->conv, conv);
    set_descriptor(g, op, names->x, x);
    set_descriptor(g, op, names->w, w);
    set_descriptor(g, op, names->y, y);
    set(g, op, names->alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
    set(g, op, names->beta, CUDNN_TYPE_FLOAT, 1, &beta);
    finish(g, op);
    return op;
}

/* A pointwise operation, its tensors still to be set. */
static cudnnBackendDescriptor_t pointwise(dnn_graph *g, cudnnPointwiseMode_t mode) {
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t kind = make(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(g, kind, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(g, kind, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    finish(g, kind);
    cudnnBackendDescriptor_t op = make(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(g, op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kind);
    return op;
}

/* y = relu(conv(x, w) + bias), with or without the last two. */
static int forward_operations(dnn_graph *g, const dnn_problem *p, cudnnBackendDescriptor_t *ops) {
    int count = 0, steps = 0;
    cudnnBackendDescriptor_t x = tensor_of(g, p, DNN_X), w = tensor_of(g, p, DNN_W);
    cudnnBackendDescriptor_t y = tensor_of(g, p, DNN_Y);
    cudnnBackendDescriptor_t at = p->bias || p->relu ? between(g, p->y, steps++) : y;
    ops[count++] = convolve(g, p, x, w, at);
    if (p->bias) {
        cudnnBackendDescriptor_t to = p->relu ? between(g, p->y, steps) : y;
        cudnnBackendDescriptor_t op = pointwise(g, CUDNN_POINTWISE_ADD);
        set_descriptor(g, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at);
        set_descriptor(g, op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, tensor_of(g, p, DNN_BIAS));
        set_descriptor(g, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, to);
        finish(g, op);
        ops[count++] = op;
        at = to;
    }
    if (p->relu) {
        cudnnBackendDescriptor_t op = pointwise(g, CUDNN_POINTWISE_RELU_FWD);
        set_descriptor(g, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at);
        set_descriptor(g, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
        finish(g, op);
        ops[count++] = op;
    }
    return count;
}

/* dx = dgrad(dy, w), with `relu` 0 where the ReLU mask is not positive: the slope of a ReLU follows
 * from its output, which is passed as its input here. */
static int data_operations(dnn_graph *g, const dnn_problem *p, cudnnBackendDescriptor_t *ops) {
    cudnnBackendDescriptor_t dx = tensor_of(g, p, DNN_X), w = tensor_of(g, p, DNN_W);
    cudnnBackendDescriptor_t dy = tensor_of(g, p, DNN_Y);
    cudnnBackendDescriptor_t at = p->relu ? between(g, p->x, 0) : dx;
    ops[0] = convolve(g, p, at, w, dy);
    if (!p->relu) return 1;
    cudnnBackendDescriptor_t op = pointwise(g, CUDNN_POINTWISE_RELU_BWD);
    set_descriptor(g, op, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, at);
    set_descriptor(g, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, tensor_of(g, p, DNN_RELU_MASK));
    set_descriptor(g, op, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, dx);
    finish(g, op);
    ops[1] = op;
    return 2;
}

static int filter_operations(dnn_graph *g, const dnn_problem *p, cudnnBackendDescriptor_t *ops) {
    cudnnBackendDescriptor_t x = tensor_of(g, p, DNN_X), dw = tensor_of(g, p, DNN_W);
    ops[0] = convolve(g, p, x, dw, tensor_of(g, p, DNN_Y));
    return 1;
}

cudnnStatus_t dnn_graph_build(dnn_graph *g, cudnnHandle_t handle, const dnn_problem *p) {
    cudnnBackendDescriptor_t ops[3];
    *g = (dnn_graph){.status = CUDNN_STATUS_SUCCESS};
    const int count = p->direction == MIEN_FORWARD ? forward_operations(g, p, ops)
                      : p->direction == MIEN_DATA  ? data_operations(g, p, ops)
                                                   : filter_operations(g, p, ops);
    g->graph = make(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(g, g->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, ops);
    if (handle) set(g, g->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    finish(g, g->graph);
    return g->status;
}

void dnn_graph_release(dnn_graph *g) {
    while (g->count > 0)
        cudnnBackendDestroyDescriptor(g->owned[--g->count]);
    *g = (dnn_graph){.status = CUDNN_STATUS_SUCCESS};
}

bool dnn_has(const dnn_problem *p, int uid) {
    if (uid == DNN_BIAS) return p->direction == MIEN_FORWARD && p->bias;
    if (uid == DNN_RELU_MASK) return p->direction == MIEN_DATA && p->relu;
    return true;
}

size_t dnn_bytes(const dnn_problem *p, int uid) {
    return mien_shape_count(shape_of(p, uid)) * mien_dtype_bytes(dnn_dtype(p));
}

void dnn_signature(const dnn_problem *p, char text[DNN_SIGNATURE]) {
    static const char *const passes[] = {"forward", "data", "filter"};
    const int end = snprintf(
        text, DNN_SIGNATURE,
        "%s%s%s %s x %d %d %d %d y %d %d %d %d kernel %d %d stride %d %d pad %d %d",
        passes[p->direction], p->bias ? (dnn_dtype(p) == MIEN_F32 ? " bias" : " low bias") : "",
        p->relu ? " relu" : "", mien_compute_name(p->compute), p->x.n, p->x.h, p->x.w, p->x.c,
        p->y.n, p->y.h, p->y.w, p->y.c, p->kernel_h, p->kernel_w, p->stride_h, p->stride_w,
        p->pad_h, p->pad_w);
    if (p->dilation_h > 1 || p->dilation_w > 1)
        snprintf(text + end, (size_t)(DNN_SIGNATURE - end), " dilation %d %d", p->dilation_h,
                 p->dilation_w);
}
