/* int8 operators by oneDNN, for cpu_int8.c. */
#ifndef HOST_BACKEND_ONEDNN_INT8_H
#define HOST_BACKEND_ONEDNN_INT8_H

#include "host/backend/onednn.h"

/* Everything for one batch size, with its own copy of the weights: the format for a single image
 * differs from that for a large batch. */
typedef struct int8_variant {
    int n; /* must be first: see onednn_variant_kind */
    dnnl_primitive_t primitive;
    dnnl_memory_t x, y, weights, scratchpad;
    void *packed; /* the weights */
    size_t scratch_bytes;
} int8_variant;

struct mien_int8_linear {
    mien_backend *backend;
    mien_int8_desc desc;
    float *stem; /* weights and bias of an operator in f32 */
    /* of an int8 operator */
    float *w_scale, *bias;
    int8_t *hwio; /* the weights, dense: in x out */
    bool loaded;
    dnnl_memory_t bias_memory;
    int8_variant variants[ONEDNN_VARIANTS + 1];
    int variant_count;
};

/* The slots of mien_int8_ops; the operator is allocated and has its desc. */
bool onednn_int8_available(const mien_backend *b);
mien_status onednn_int8_create(mien_int8_linear *op);
void onednn_int8_free(mien_int8_linear *op);
mien_status onednn_int8_prepare(mien_int8_linear *op, int n);
size_t onednn_int8_scratch_bytes(const mien_int8_linear *op);
mien_status onednn_int8_load(mien_int8_linear *op, const float *hwio, const float *bias);
mien_status onednn_int8_forward(mien_int8_linear *op, const mien_tensor *y, const mien_tensor *x,
                                void *scratch);

#endif
