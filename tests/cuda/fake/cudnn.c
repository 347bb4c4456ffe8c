/* The fake cuDNN: descriptors and their attributes. As strict as the documentation: an attribute
 * belongs to certain descriptors, has one or two types and a number of elements, and must be set
 * before the descriptor is finalized. */
#include "tests/cuda/fake/cudnn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cudnnContext {
    cudaStream_t stream;
};

static _Thread_local char last[256];

cudnnStatus_t dnn_fail(cudnnStatus_t status, const char *text) {
    snprintf(last, sizeof last, "%s", text);
    return status;
}

/* ---- table of attributes ---- */

enum { SET = 1, GET = 2, NEEDED = 4, ANY = 64 };

static const struct rule {
    int descriptor, name, type, other_type; /* other_type -1: none */
    int least, most;
    int how;
    int refers; /* type of the descriptor it refers to, -1: none or several */
} rules[] = {
#define T(name, type, least, most, how)                                                            \
    { CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_##name, type, -1, least, most, how, -1 }
    T(DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, SET | NEEDED),
    T(DIMENSIONS, CUDNN_TYPE_INT64, 1, 8, SET | NEEDED),
    T(STRIDES, CUDNN_TYPE_INT64, 1, 8, SET | NEEDED),
    T(UNIQUE_ID, CUDNN_TYPE_INT64, 1, 1, SET | NEEDED),
    T(BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, 1, SET | NEEDED),
    T(IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, 1, SET),
#define C(name, type, most)                                                                        \
    {                                                                                              \
        CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_##name, type, -1, 1, most,    \
            SET | NEEDED, -1                                                                       \
    }
    C(COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1),
    C(CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1),
    C(SPATIAL_DIMS, CUDNN_TYPE_INT64, 1),
    C(DILATIONS, CUDNN_TYPE_INT64, 3),
    C(FILTER_STRIDES, CUDNN_TYPE_INT64, 3),
    C(PRE_PADDINGS, CUDNN_TYPE_INT64, 3),
    C(POST_PADDINGS, CUDNN_TYPE_INT64, 3),
#define SCALAR(descriptor, name)                                                                   \
    {                                                                                              \
        CUDNN_BACKEND_OPERATION_CONVOLUTION_##descriptor##_DESCRIPTOR,                             \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##name, CUDNN_TYPE_FLOAT, CUDNN_TYPE_DOUBLE, 1, 1,    \
            SET | NEEDED, -1                                                                       \
    }
#define PART(descriptor, name, refers)                                                             \
    {                                                                                              \
        CUDNN_BACKEND_OPERATION_##descriptor##_DESCRIPTOR, CUDNN_ATTR_OPERATION_##name,            \
            CUDNN_TYPE_BACKEND_DESCRIPTOR, -1, 1, 1, SET | NEEDED,                                 \
            CUDNN_BACKEND_##refers##_DESCRIPTOR                                                    \
    }
    SCALAR(FORWARD, FORWARD_ALPHA),
    SCALAR(FORWARD, FORWARD_BETA),
    PART(CONVOLUTION_FORWARD, CONVOLUTION_FORWARD_CONV_DESC, CONVOLUTION),
    PART(CONVOLUTION_FORWARD, CONVOLUTION_FORWARD_X, TENSOR),
    PART(CONVOLUTION_FORWARD, CONVOLUTION_FORWARD_W, TENSOR),
    PART(CONVOLUTION_FORWARD, CONVOLUTION_FORWARD_Y, TENSOR),
    SCALAR(BACKWARD_DATA, BWD_DATA_ALPHA),
    SCALAR(BACKWARD_DATA, BWD_DATA_BETA),
    PART(CONVOLUTION_BACKWARD_DATA, CONVOLUTION_BWD_DATA_CONV_DESC, CONVOLUTION),
    PART(CONVOLUTION_BACKWARD_DATA, CONVOLUTION_BWD_DATA_DX, TENSOR),
    PART(CONVOLUTION_BACKWARD_DATA, CONVOLUTION_BWD_DATA_W, TENSOR),
    PART(CONVOLUTION_BACKWARD_DATA, CONVOLUTION_BWD_DATA_DY, TENSOR),
    SCALAR(BACKWARD_FILTER, BWD_FILTER_ALPHA),
    SCALAR(BACKWARD_FILTER, BWD_FILTER_BETA),
    PART(CONVOLUTION_BACKWARD_FILTER, CONVOLUTION_BWD_FILTER_CONV_DESC, CONVOLUTION),
    PART(CONVOLUTION_BACKWARD_FILTER, CONVOLUTION_BWD_FILTER_X, TENSOR),
    PART(CONVOLUTION_BACKWARD_FILTER, CONVOLUTION_BWD_FILTER_DW, TENSOR),
    PART(CONVOLUTION_BACKWARD_FILTER, CONVOLUTION_BWD_FILTER_DY, TENSOR),
    PART(POINTWISE, POINTWISE_PW_DESCRIPTOR, POINTWISE),
#define R(descriptor, name, type, least, most, how, refers)                                        \
    {                                                                                              \
        CUDNN_BACKEND_##descriptor##_DESCRIPTOR, CUDNN_ATTR_##name, type, -1, least, most, how,    \
            refers                                                                                 \
    }
#define REFERENCE CUDNN_TYPE_BACKEND_DESCRIPTOR
#define TENSOR    CUDNN_BACKEND_TENSOR_DESCRIPTOR
    R(OPERATION_POINTWISE, OPERATION_POINTWISE_XDESC, REFERENCE, 1, 1, SET, TENSOR),
    R(OPERATION_POINTWISE, OPERATION_POINTWISE_BDESC, REFERENCE, 1, 1, SET, TENSOR),
    R(OPERATION_POINTWISE, OPERATION_POINTWISE_YDESC, REFERENCE, 1, 1, SET, TENSOR),
    R(OPERATION_POINTWISE, OPERATION_POINTWISE_DXDESC, REFERENCE, 1, 1, SET, TENSOR),
    R(OPERATION_POINTWISE, OPERATION_POINTWISE_DYDESC, REFERENCE, 1, 1, SET, TENSOR),
    R(POINTWISE, POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, 1, SET | NEEDED, -1),
    R(POINTWISE, POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, 1, SET | NEEDED, -1),
    R(OPERATIONGRAPH, OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, SET | NEEDED, -1),
    R(OPERATIONGRAPH, OPERATIONGRAPH_OPS, REFERENCE, 1, DNN_OPERATIONS, SET | NEEDED, -1),
    R(ENGINEHEUR, ENGINEHEUR_OPERATION_GRAPH, REFERENCE, 1, 1, SET | NEEDED,
      CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR),
    R(ENGINEHEUR, ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, 1, SET | NEEDED, -1),
    R(ENGINEHEUR, ENGINEHEUR_RESULTS, REFERENCE, 0, ANY, GET, -1),
    R(ENGINE, ENGINE_OPERATION_GRAPH, REFERENCE, 1, 1, SET | NEEDED,
      CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR),
    R(ENGINE, ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, 1, SET | GET | NEEDED, -1),
    R(ENGINE, ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, 0, ANY, GET, -1),
    R(ENGINE, ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, 0, ANY, GET, -1),
    R(ENGINECFG, ENGINECFG_ENGINE, REFERENCE, 1, 1, SET | GET | NEEDED,
      CUDNN_BACKEND_ENGINE_DESCRIPTOR),
    R(ENGINECFG, ENGINECFG_KNOB_CHOICES, REFERENCE, 0, ANY, SET | GET,
      CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR),
    R(KNOB_CHOICE, KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, 1, SET | GET | NEEDED, -1),
    R(KNOB_CHOICE, KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, 1, SET | GET | NEEDED, -1),
    R(EXECUTION_PLAN, EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, SET | NEEDED, -1),
    R(EXECUTION_PLAN, EXECUTION_PLAN_ENGINE_CONFIG, REFERENCE, 1, 1, SET | NEEDED,
      CUDNN_BACKEND_ENGINECFG_DESCRIPTOR),
    R(EXECUTION_PLAN, EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, 1, GET, -1),
    R(VARIANT_PACK, VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 1, ANY, SET | NEEDED, -1),
    R(VARIANT_PACK, VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1, ANY, SET | NEEDED, -1),
    R(VARIANT_PACK, VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1, SET | NEEDED, -1),
};
enum { RULES = sizeof rules / sizeof rules[0] };

static const struct rule *rule_of(const dnn_descriptor *d, int name) {
    for (int i = 0; i < RULES; i++)
        if (rules[i].descriptor == d->type && rules[i].name == name) return &rules[i];
    return NULL;
}

static size_t element_bytes(int type) {
    switch (type) {
    case CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return 8;
    default:
        return sizeof(int);
    }
}

/* ---- attributes ---- */

const void *dnn_value(const dnn_descriptor *d, int name, int64_t *count) {
    for (int i = 0; i < d->count; i++)
        if (d->attributes[i].name == name) {
            if (count) *count = d->attributes[i].count;
            return d->attributes[i].data;
        }
    if (count) *count = 0;
    return NULL;
}

int64_t dnn_int64(const dnn_descriptor *d, int name, int64_t otherwise) {
    const int64_t *value = dnn_value(d, name, NULL);
    return value ? *value : otherwise;
}

int dnn_enum(const dnn_descriptor *d, int name, int otherwise) {
    const int *value = dnn_value(d, name, NULL);
    return value ? *value : otherwise;
}

dnn_descriptor *dnn_reference(const dnn_descriptor *d, int name) {
    dnn_descriptor *const *value = dnn_value(d, name, NULL);
    return value ? *value : NULL;
}

dnn_descriptor *dnn_hold(dnn_descriptor *d) {
    d->holders++;
    return d;
}

static void clear(dnn_attribute *a) {
    if (a->type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        for (int64_t i = 0; i < a->count; i++)
            dnn_drop(((dnn_descriptor **)a->data)[i]);
    free(a->data);
}

void dnn_drop(dnn_descriptor *d) {
    if (--d->holders > 0) return;
    for (int i = 0; i < d->count; i++)
        clear(&d->attributes[i]);
    free(d->program);
    d->made = 0;
    free(d);
}

void dnn_put(dnn_descriptor *d, int name, int type, int64_t count, const void *data) {
    const size_t bytes = (size_t)count * element_bytes(type);
    dnn_attribute *a = NULL;
    for (int i = 0; i < d->count; i++)
        if (d->attributes[i].name == name) a = &d->attributes[i];
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        for (int64_t i = 0; i < count; i++)
            dnn_hold(((dnn_descriptor *const *)data)[i]);
    if (a)
        clear(a);
    else
        a = &d->attributes[d->count++];
    *a = (dnn_attribute){name, type, count, malloc(bytes ? bytes : 1)};
    memcpy(a->data, data, bytes);
}

/* ---- API ---- */

#define ENTER()                                                                                    \
    do {                                                                                           \
        if (fake_faulted()) return dnn_fail(CUDNN_STATUS_EXECUTION_FAILED, "the device faulted");  \
        if (fake_fails(__func__))                                                                  \
            return dnn_fail(CUDNN_STATUS_INTERNAL_ERROR, "failure injected by FAKE_CUDA_FAIL");    \
    } while (0)

static dnn_descriptor *descriptor_of(cudnnBackendDescriptor_t d) {
    dnn_descriptor *of = d;
    return of && of->made == DNN_MADE ? of : NULL;
}

size_t cudnnGetVersion(void) {
    return CUDNN_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status) {
    switch ((int)status / 1000) {
    case 0:
        return "CUDNN_STATUS_SUCCESS";
    case 1:
        return "CUDNN_STATUS_NOT_INITIALIZED";
    case 2:
        return "CUDNN_STATUS_BAD_PARAM";
    case 3:
        return "CUDNN_STATUS_NOT_SUPPORTED";
    case 4:
        return "CUDNN_STATUS_INTERNAL_ERROR";
    default:
        return "CUDNN_STATUS_EXECUTION_FAILED";
    }
}

void cudnnGetLastErrorString(char *message, size_t max_size) {
    snprintf(message, max_size, "%s", last);
    last[0] = 0;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    ENTER();
    *handle = calloc(1, sizeof **handle);
    return *handle ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_ALLOC_FAILED;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    free(handle);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    ENTER();
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *descriptor) {
    ENTER();
    dnn_descriptor *d = calloc(1, sizeof *d);
    if (!d) return CUDNN_STATUS_ALLOC_FAILED;
    *d = (dnn_descriptor){.made = DNN_MADE, .type = (int)type, .holders = 1};
    *descriptor = d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
    dnn_descriptor *d = descriptor_of(descriptor);
    if (!d) return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor is destroyed");
    dnn_drop(d);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *elements) {
    ENTER();
    dnn_descriptor *d = descriptor_of(descriptor);
    if (!d || !elements)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "an attribute of nothing");
    const struct rule *r = rule_of(d, (int)name);
    if (!r || !(r->how & SET))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "this descriptor has no such attribute to set");
    if (d->finalized) return dnn_fail(CUDNN_STATUS_BAD_PARAM, "the descriptor is finalized");
    if ((int)type != r->type && (int)type != r->other_type)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "the attribute's type is another");
    if (count < r->least || count > r->most)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_OUT_OF_BOUND, "too many or too few elements");
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        for (int64_t i = 0; i < count; i++) {
            const dnn_descriptor *other = descriptor_of(((void *const *)elements)[i]);
            if (!other) return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor");
            if (r->refers >= 0 && other->type != r->refers)
                return dnn_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "the wrong descriptor");
            if (!other->finalized)
                return dnn_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "it is not finalized");
        }
    dnn_put(d, (int)name, (int)type, count, elements);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
    ENTER();
    dnn_descriptor *d = descriptor_of(descriptor);
    if (!d || d->finalized)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "nothing, or finalized already");
    for (int i = 0; i < RULES; i++)
        if (rules[i].descriptor == d->type && rules[i].how & NEEDED &&
            !dnn_value(d, rules[i].name, NULL))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "an attribute is missing");
    switch (d->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        DNN_TRY(dnn_check_tensor(d));
        break;
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        DNN_TRY(dnn_check_convolution(d));
        break;
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
        DNN_TRY(dnn_check_pointwise(d));
        break;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        DNN_TRY(dnn_check_graph(d));
        break;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        DNN_TRY(dnn_check_heuristics(d));
        break;
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
        DNN_TRY(dnn_check_engine(d));
        break;
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
        DNN_TRY(dnn_check_config(d));
        break;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        DNN_TRY(dnn_check_plan(d));
        break;
    case CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR:
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        break;
    default:
        DNN_TRY(dnn_check_operation(d));
    }
    d->finalized = true;
    return CUDNN_STATUS_SUCCESS;
}

/* Descriptors are returned through descriptors that the caller made. */
static cudnnStatus_t get_references(const dnn_attribute *a, int64_t requested, int64_t *count,
                                    dnn_descriptor **to) {
    *count = !a ? 0 : a->count < requested ? a->count : requested; /* never more than there are */
    for (int64_t i = 0; i < *count; i++) {
        const dnn_descriptor *from = ((dnn_descriptor **)a->data)[i];
        if (!descriptor_of(to[i]) || to[i]->type != from->type || to[i]->finalized)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "no fresh descriptor to be filled");
        for (int k = 0; k < from->count; k++)
            dnn_put(to[i], from->attributes[k].name, from->attributes[k].type,
                    from->attributes[k].count, from->attributes[k].data);
        to[i]->finalized = true;
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t requested,
                                       int64_t *count, void *elements) {
    ENTER();
    const dnn_descriptor *d = descriptor_of(descriptor);
    int64_t there;
    if (!d || !count || (requested > 0 && !elements))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "an attribute of or to nothing");
    const struct rule *r = rule_of(d, (int)name);
    if (!r || !(r->how & GET))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "this descriptor has no such attribute to get");
    if (!d->finalized) return dnn_fail(CUDNN_STATUS_NOT_INITIALIZED, "it is not finalized");
    if ((int)type != r->type)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "the attribute's type is another");
    if (requested < r->least)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT, "the buffer is too small");
    if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS)
        return dnn_get_results(d, requested, count, elements);
    if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE)
        return dnn_get_notes(d, requested, count, elements);
    if (name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE)
        return dnn_get_behavior(d, requested, count, elements);
    const dnn_attribute *a = NULL;
    for (int i = 0; i < d->count; i++)
        if (d->attributes[i].name == (int)name) a = &d->attributes[i];
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) return get_references(a, requested, count, elements);
    const void *data = dnn_value(d, (int)name, &there);
    *count = there;
    if (data)
        memcpy(elements, data,
               (size_t)(there < requested ? there : requested) * element_bytes((int)type));
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
    ENTER();
    const dnn_descriptor *p = descriptor_of(plan), *v = descriptor_of(pack);
    if (!handle || !p || !v || p->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
        v->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "no plan or no variant pack");
    if (!p->finalized || !v->finalized)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "plan or pack is not finalized");
    return dnn_execute(handle->stream, p, v);
}
