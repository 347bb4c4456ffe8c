/* The fake cuDNN: tensors, operations and graphs, checked for consistency and turned into plain
 * data. */
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/fake/cudnn.h"

static size_t number_bytes(int type) {
    return type == CUDNN_DATA_FLOAT ? 4 : 2;
}

cudnnStatus_t dnn_check_tensor(const dnn_descriptor *d) {
    int64_t axes, strides;
    const int64_t *dims = dnn_value(d, CUDNN_ATTR_TENSOR_DIMENSIONS, &axes);
    const int type = dnn_enum(d, CUDNN_ATTR_TENSOR_DATA_TYPE, -1);
    const int64_t alignment = dnn_int64(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0);
    dnn_value(d, CUDNN_ATTR_TENSOR_STRIDES, &strides);
    if (axes != strides) return dnn_fail(CUDNN_STATUS_BAD_PARAM, "other strides than axes");
    if (axes != DNN_AXES) return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "not four axes");
    for (int i = 0; i < DNN_AXES; i++)
        if (dims[i] < 1) return dnn_fail(CUDNN_STATUS_BAD_PARAM, "an empty axis");
    if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_HALF && type != CUDNN_DATA_BFLOAT16)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "a type that is not faked");
    if (alignment < (int64_t)number_bytes(type) || (alignment & (alignment - 1)) != 0)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "an alignment below the type's");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t dnn_check_convolution(const dnn_descriptor *d) {
    static const int lists[] = {
        CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES,
        CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS};
    const int64_t *values[4];
    for (int i = 0; i < 4; i++) {
        int64_t count;
        values[i] = dnn_value(d, lists[i], &count);
        if (count != dnn_int64(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0) || count != 2)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "not two spatial axes");
    }
    for (int i = 0; i < 2; i++) {
        if (values[0][i] < 1 || values[1][i] < 1 || values[2][i] < 0)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM,
                            "a stride, dilation or padding below its least");
        if (values[2][i] != values[3][i])
            return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED_PADDING, "padding differs by side");
    }
    if (dnn_enum(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, -1) != CUDNN_DATA_FLOAT ||
        dnn_enum(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, -1) != CUDNN_CROSS_CORRELATION)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "a convolution that is not faked");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t dnn_check_pointwise(const dnn_descriptor *d) {
    if (dnn_enum(d, CUDNN_ATTR_POINTWISE_MATH_PREC, -1) != CUDNN_DATA_FLOAT)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "a precision that is not faked");
    switch (dnn_enum(d, CUDNN_ATTR_POINTWISE_MODE, -1)) {
    case CUDNN_POINTWISE_ADD:
    case CUDNN_POINTWISE_RELU_FWD:
    case CUDNN_POINTWISE_RELU_BWD:
        return CUDNN_STATUS_SUCCESS;
    default:
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "a mode that is not faked");
    }
}

/* ---- operations ---- */

/* The attributes that name an operation's tensors; 0: none. */
typedef struct roles {
    int conv, x, w, y, b, alpha, beta;
} roles;

static roles roles_of(const dnn_descriptor *d) {
#define NAMES(name, x, w, y)                                                                       \
    (roles) {                                                                                      \
        CUDNN_ATTR_OPERATION_CONVOLUTION_##name##_CONV_DESC,                                       \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##name##_##x,                                         \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##name##_##w,                                         \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##name##_##y, 0,                                      \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##name##_ALPHA,                                       \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##name##_BETA                                         \
    }
    switch (d->type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        return NAMES(FORWARD, X, W, Y);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        return NAMES(BWD_DATA, DX, W, DY);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        return NAMES(BWD_FILTER, X, DW, DY);
    default:
        break;
    }
    const dnn_descriptor *kind = dnn_reference(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const int mode = dnn_enum(kind, CUDNN_ATTR_POINTWISE_MODE, -1);
    if (mode == CUDNN_POINTWISE_RELU_BWD)
        return (roles){.x = CUDNN_ATTR_OPERATION_POINTWISE_DYDESC,
                       .b = CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                       .y = CUDNN_ATTR_OPERATION_POINTWISE_DXDESC};
    return (roles){.x = CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                   .b = mode == CUDNN_POINTWISE_ADD ? CUDNN_ATTR_OPERATION_POINTWISE_BDESC : 0,
                   .y = CUDNN_ATTR_OPERATION_POINTWISE_YDESC};
}

static const int64_t *dims_of(const dnn_descriptor *tensor) {
    return dnn_value(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, NULL);
}

static const int64_t *pair_of(const dnn_descriptor *conv, int name) {
    return dnn_value(conv, name, NULL);
}

static float scalar_of(const dnn_descriptor *d, int name) {
    for (int i = 0; i < d->count; i++)
        if (d->attributes[i].name == name)
            return d->attributes[i].type == CUDNN_TYPE_DOUBLE
                       ? (float)*(double *)d->attributes[i].data
                       : *(float *)d->attributes[i].data;
    return 0;
}

static cudnnStatus_t check_convolve(const dnn_descriptor *d, const roles *r) {
    const dnn_descriptor *conv = dnn_reference(d, r->conv);
    const int64_t *x = dims_of(dnn_reference(d, r->x)), *w = dims_of(dnn_reference(d, r->w));
    const int64_t *y = dims_of(dnn_reference(d, r->y));
    const int64_t *pad = pair_of(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    const int64_t *stride = pair_of(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    const int64_t *dilation = pair_of(conv, CUDNN_ATTR_CONVOLUTION_DILATIONS);
    if (x[0] != y[0] || w[0] != y[1] || w[1] != x[1])
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "batches or channels differ");
    for (int i = 0; i < 2; i++)
        if ((x[2 + i] + 2 * pad[i] - (w[2 + i] - 1) * dilation[i] - 1) / stride[i] + 1 != y[2 + i])
            return dnn_fail(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "images do not fit");
    if (scalar_of(d, r->alpha) != 1 || scalar_of(d, r->beta) != 0)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "a scale that is not faked");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t dnn_check_operation(const dnn_descriptor *d) {
    const roles r = roles_of(d);
    if (r.conv) return check_convolve(d, &r);
    const dnn_descriptor *x = dnn_reference(d, r.x), *y = dnn_reference(d, r.y);
    const dnn_descriptor *b = r.b ? dnn_reference(d, r.b) : NULL;
    if (!x || !y || (r.b && !b)) return dnn_fail(CUDNN_STATUS_BAD_PARAM, "a tensor is missing");
    for (int i = 0; i < DNN_AXES; i++)
        if (dims_of(x)[i] != dims_of(y)[i] ||
            (b && dims_of(b)[i] != dims_of(y)[i] && dims_of(b)[i] != 1))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "shapes differ");
    return CUDNN_STATUS_SUCCESS;
}

/* ---- graphs ---- */

/* Index of a tensor, added when it is new; -1 if its id is taken or the list is full. */
static int tensor_index(dnn_program *p, const dnn_descriptor **seen, const dnn_descriptor *d) {
    for (int i = 0; i < p->tensor_count; i++) {
        if (seen[i] == d) return i;
        if (p->tensors[i].uid == dnn_int64(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0)) return -1;
    }
    if (p->tensor_count == DNN_TENSORS) return -1;
    dnn_tensor *t = &p->tensors[p->tensor_count];
    const bool *through = dnn_value(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, NULL);
    *t = (dnn_tensor){.uid = dnn_int64(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0),
                      .alignment = dnn_int64(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0),
                      .type = dnn_enum(d, CUDNN_ATTR_TENSOR_DATA_TYPE, -1),
                      .passes_through = through && *through};
    memcpy(t->dims, dims_of(d), sizeof t->dims);
    memcpy(t->strides, dnn_value(d, CUDNN_ATTR_TENSOR_STRIDES, NULL), sizeof t->strides);
    seen[p->tensor_count] = d;
    return p->tensor_count++;
}

static bool add_operation(dnn_program *p, const dnn_descriptor **seen, const dnn_descriptor *d) {
    const roles r = roles_of(d);
    dnn_operation *o = &p->operations[p->operation_count++];
    *o = (dnn_operation){.type = d->type, .w = -1, .b = -1};
    o->x = tensor_index(p, seen, dnn_reference(d, r.x));
    o->y = tensor_index(p, seen, dnn_reference(d, r.y));
    if (r.w) o->w = tensor_index(p, seen, dnn_reference(d, r.w));
    if (r.b) o->b = tensor_index(p, seen, dnn_reference(d, r.b));
    if (r.conv) {
        const dnn_descriptor *conv = dnn_reference(d, r.conv);
        memcpy(o->pad, pair_of(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), sizeof o->pad);
        memcpy(o->dilation, pair_of(conv, CUDNN_ATTR_CONVOLUTION_DILATIONS), sizeof o->dilation);
        memcpy(o->stride, pair_of(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), sizeof o->stride);
    } else {
        const dnn_descriptor *kind = dnn_reference(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
        o->mode = dnn_enum(kind, CUDNN_ATTR_POINTWISE_MODE, -1);
    }
    return o->x >= 0 && o->y >= 0 && (!r.w || o->w >= 0) && (!r.b || o->b >= 0);
}

int dnn_written(const dnn_operation *o) {
    if (o->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR) return o->x;
    if (o->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR) return o->w;
    return o->y;
}

/* A virtual tensor must be written by one operation and read by the next; all others are memory. */
static bool flows(const dnn_program *p) {
    for (int i = 0; i < p->operation_count; i++) {
        const int out = dnn_written(&p->operations[i]);
        if (p->tensors[out].passes_through != (i + 1 < p->operation_count)) return false;
        if (i > 0 && p->operations[i].x != dnn_written(&p->operations[i - 1])) return false;
    }
    return true;
}

cudnnStatus_t dnn_check_graph(dnn_descriptor *d) {
    const dnn_descriptor *seen[DNN_TENSORS];
    int64_t count;
    dnn_descriptor *const *ops = dnn_value(d, CUDNN_ATTR_OPERATIONGRAPH_OPS, &count);
    const char *fusion = getenv("FAKE_CUDNN_FUSION");
    dnn_program *p = calloc(1, sizeof *p);
    if (!p) return CUDNN_STATUS_ALLOC_FAILED;
    d->program = p;
    for (int64_t i = 0; i < count; i++)
        if (ops[i]->type < CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR ||
            ops[i]->type > CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR ||
            !add_operation(p, seen, ops[i]))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES,
                            "two tensors of one name, or no operation");
    if (!flows(p)) return dnn_fail(CUDNN_STATUS_BAD_PARAM, "operations that do not follow");
    if (p->operations[0].type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR ||
        (count > 1 && fusion && strcmp(fusion, "0") == 0))
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "no engine knows this graph");
    return CUDNN_STATUS_SUCCESS;
}
