/* int8 operators, for cpu_int8.c: by oneDNN, or by our own loops. */
#ifndef HOST_BACKEND_ONEDNN_INT8_H
#define HOST_BACKEND_ONEDNN_INT8_H

#include "host/backend/onednn.h"

/* Everything for one batch size, with its own copy of the weights: the format for a single image
 * differs from that for a large batch. */
typedef struct int8_variant {
    int n; /* must be first: see onednn_variant_kind */
    dnnl_primitive_t primitive;
    bool moves_stack; /* see onednn_execute */
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
    size_t scratch; /* the most that a prepared batch size needs */
    bool vnni;      /* the CPU has it, and oneDNN may use it */
    /* by oneDNN */
    dnnl_memory_t bias_memory;
    int8_variant variants[ONEDNN_VARIANTS + 1];
    int variant_count;
    /* by our own loops (cpu_pairs.c) */
    float *scale;
    int16_t *direct, *winograd; /* packed weights; NULL where oneDNN or `direct` takes less time */
    bool exact;                 /* whether Winograd's sums fit: known once it is loaded */
};

/* Threads that work on a call of the operator, as onednn_threads. */
static inline int int8_threads(const mien_int8_linear *op) {
    return op->desc.shares ? 1 : cpu_of(op->backend)->threads;
}

/* One factor for each output channel: the scales of x, w and y. */
static inline float int8_scale(const mien_int8_linear *op, int k) {
    const float y_scale = op->desc.y == MIEN_F32 ? 1 : op->desc.y_scale;
    return op->desc.x_scale * op->w_scale[k] / y_scale;
}

/* onednn_int8.c, for CPUs with VNNI: `prepare` adds the scratch memory that it needs to *scratch;
 * `pack` copies op->hwio in the formats of the variants; `run` takes x and y in NHWC. */
bool onednn_int8_available(void);
void onednn_int8_free(mien_int8_linear *op);
mien_status onednn_int8_prepare(mien_int8_linear *op, int n, size_t *scratch);
mien_status onednn_int8_pack(mien_int8_linear *op);
mien_status onednn_int8_run(mien_int8_linear *op, int n, void *y, const void *x, void *scratch);

/* cpu_pairs.c: 3x3 convolutions with many channels on every CPU, all others on those without VNNI;
 * the same bits. `scratch` is the memory that a batch of n needs. */
bool cpu_pairs_pools(const mien_linear_desc *d, const mien_pool *p);
mien_status cpu_pairs_create(mien_int8_linear *op);
void cpu_pairs_free(mien_int8_linear *op);
size_t cpu_pairs_scratch(const mien_int8_linear *op, int n);
void cpu_pairs_pack(mien_int8_linear *op);
/* Winograd's algorithm, if `op->exact`; it pools. Are n images enough for it? */
bool cpu_pairs_fill_winograd(const mien_int8_linear *op, int n);
void cpu_pairs_winograd(const mien_int8_linear *op, int n, void *y, const void *x, void *scratch);
void cpu_pairs_run(const mien_int8_linear *op, int n, void *y, const void *x, void *scratch);

#endif
