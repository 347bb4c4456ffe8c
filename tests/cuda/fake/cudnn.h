/* The types of the fake cuDNN's descriptors, and the programs that its engines run. */
#ifndef TESTS_CUDA_FAKE_CUDNN_H
#define TESTS_CUDA_FAKE_CUDNN_H

#include <cudnn.h>

#include "tests/cuda/fake/runtime.h"

/* An attribute as it was set: `bytes` is the size of `count` elements of its type. */
typedef struct dnn_attribute {
    int name, type;
    int64_t count;
    void *data; /* descriptors are counted references */
} dnn_attribute;

enum { DNN_MADE = 0x0d22, DNN_ATTRIBUTES = 16 };

typedef struct dnn_descriptor {
    uint32_t made;
    int type;
    int holders; /* the creator, and descriptors that refer to it */
    bool finalized;
    dnn_attribute attributes[DNN_ATTRIBUTES];
    int count;
    struct dnn_program *program; /* of an operation graph */
} dnn_descriptor;

/* ---- cudnn.c ---- */
/* Stores the message for cudnnGetLastErrorString; returns the status. */
cudnnStatus_t dnn_fail(cudnnStatus_t status, const char *text);
#define DNN_TRY(call)                                                                              \
    do {                                                                                           \
        const cudnnStatus_t try_status = (call);                                                   \
        if (try_status != CUDNN_STATUS_SUCCESS) return try_status;                                 \
    } while (0)
/* The attribute's elements; NULL when it is not set. */
const void *dnn_value(const dnn_descriptor *d, int name, int64_t *count);
int64_t dnn_int64(const dnn_descriptor *d, int name, int64_t otherwise);
int dnn_enum(const dnn_descriptor *d, int name, int otherwise);
dnn_descriptor *dnn_reference(const dnn_descriptor *d, int name);
/* Sets an attribute without checks. */
void dnn_put(dnn_descriptor *d, int name, int type, int64_t count, const void *data);
dnn_descriptor *dnn_hold(dnn_descriptor *d);
void dnn_drop(dnn_descriptor *d);

/* ---- cudnn_graph.c: tensors and operations, checked ---- */
enum { DNN_AXES = 4, DNN_TENSORS = 8, DNN_OPERATIONS = 3 };

typedef struct dnn_tensor {
    int64_t uid, dims[DNN_AXES], strides[DNN_AXES], alignment; /* n, c, h, w */
    int type;
    bool passes_through;
    void *data;
} dnn_tensor;

typedef struct dnn_operation {
    int type; /* enum cudnnBackendDescriptorType_t */
    int mode; /* of a pointwise one */
    /* indices into the program's tensors, -1: none. Pointwise: x, b → y, and dy, x → dx */
    int x, w, y, b;
    int64_t pad[2], stride[2], dilation[2];
} dnn_operation;

/* A graph as plain data, which can be copied into a captured node. */
typedef struct dnn_program {
    dnn_tensor tensors[DNN_TENSORS];
    dnn_operation operations[DNN_OPERATIONS];
    int tensor_count, operation_count;
    bool tf32;        /* inputs of float products are rounded to TF32 */
    int milliseconds; /* least run time */
    bool wrong;       /* the result is another one */
    void *workspace;
    size_t workspace_bytes;
} dnn_program;

cudnnStatus_t dnn_check_tensor(const dnn_descriptor *d);
cudnnStatus_t dnn_check_convolution(const dnn_descriptor *d);
cudnnStatus_t dnn_check_pointwise(const dnn_descriptor *d);
cudnnStatus_t dnn_check_operation(const dnn_descriptor *d);
cudnnStatus_t dnn_check_graph(dnn_descriptor *d);
/* The tensor that an operation writes. */
int dnn_written(const dnn_operation *o);

/* ---- cudnn_engine.c: the engines that can compute a graph ---- */
cudnnStatus_t dnn_check_heuristics(const dnn_descriptor *d);
cudnnStatus_t dnn_check_engine(const dnn_descriptor *d);
cudnnStatus_t dnn_check_config(const dnn_descriptor *d);
cudnnStatus_t dnn_check_plan(dnn_descriptor *d);
/* Fills descriptors that the caller made. */
cudnnStatus_t dnn_get_results(const dnn_descriptor *d, int64_t requested, int64_t *count,
                              dnn_descriptor **to);
cudnnStatus_t dnn_get_notes(const dnn_descriptor *d, int64_t requested, int64_t *count, int *to);
cudnnStatus_t dnn_get_behavior(const dnn_descriptor *d, int64_t requested, int64_t *count, int *to);
cudnnStatus_t dnn_execute(cudaStream_t stream, const dnn_descriptor *plan,
                          const dnn_descriptor *pack);

/* ---- cudnn_run.c ---- */
void dnn_run(void *program);

#endif
