/* Shared by the files of the oneDNN backend: onednn_common.c is below the others, onednn_build.c
 * creates operators and their primitives, onednn.c runs them. Only they include it, and
 * onednn_int8.h. */
#ifndef HOST_BACKEND_ONEDNN_H
#define HOST_BACKEND_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>

#include "host/backend/cpu.h"

#if DNNL_VERSION_MAJOR != 2
#error "oneDNN 2.x is needed (Debian: libdnnl-dev 2.6.3); the API of 3.x differs"
#endif

enum { ONEDNN_VARIANTS = 8 };

/* A tensor that a primitive takes in a format of its own. */
typedef struct onednn_side {
    dnnl_memory_desc_t format;
    dnnl_primitive_t reorder; /* NULL: the formats agree */
    size_t bytes;             /* size of the reordered copy in scratch */
} onednn_side;

/* What one thread passes to a primitive: handles of memory. */
typedef struct onednn_lane {
    dnnl_memory_t weights, x, y;             /* in our formats */
    dnnl_memory_t own_weights, own_x, own_y; /* in the primitive's, where they differ */
    dnnl_memory_t bias, scratchpad;
} onednn_lane;

typedef struct onednn_operation {
    dnnl_primitive_t primitive;
    bool moves_stack; /* see onednn_execute */
    size_t scratch_bytes;
    onednn_side weights, x, y;
    onednn_lane *lanes; /* [onednn_lanes(op)] */
} onednn_operation;

/* Everything for one batch size. In training a convolution's primitives run on slices of its rows,
 * one of `lanes` threads each: op[0] takes `slice` rows, op[1] a last slice of `rest` rows (0:
 * there is none). Otherwise op[0] takes all rows. */
typedef struct onednn_variant {
    int n;                                  /* must be first: see onednn_variant_kind */
    cpu_winograd winograd[MIEN_DIRECTIONS]; /* instead of operations */
    cpu_stem stem;                          /* likewise */
    int slice, rest, lanes;
    onednn_operation op[2][MIEN_DIRECTIONS];
    size_t lane_bytes, sum_bytes; /* of scratch, for each lane and each slice's weight gradient */
    int sums;                     /* how many of these there are at a time */
} onednn_variant;

/* Our own loops, where an operator has no primitives: the stem's for forward and weight gradient,
 * the pointwise ones in inference. */
typedef enum onednn_loops { ONEDNN_NO_LOOPS, ONEDNN_STEM, ONEDNN_POINTWISE } onednn_loops;

struct mien_linear {
    mien_backend *backend;
    mien_linear_desc desc;
    dnnl_memory_desc_t stored, plain; /* the weights' formats: as stored, and HWIO */
    bool winograd[MIEN_DIRECTIONS];   /* by our own loops instead of a primitive */
    onednn_loops loops;
    bool bf16; /* inference: x is rounded to bf16 in scratch, the stored weights are bf16, sums and
                * y are f32 */
    float *transformed;  /* weights transformed for Winograd, for one direction, or packed for the
                          * pointwise loops; not own if shared */
    int transformed_for; /* that direction; MIEN_DIRECTIONS: none, or out of date */
    onednn_variant variants[ONEDNN_VARIANTS + 1];
    int variant_count;
};

/* Turns a oneDNN status into ours; `what` and the layer's name make the message. */
mien_status onednn_check(dnnl_status_t status, const char *what, const char *name);

/* Does the CPU have the level, and may oneDNN use it? */
bool onednn_has(dnnl_cpu_isa_t isa);
/* Is the primitive made of matrix products in which the stack pointer moves? */
bool onednn_moves_stack(const_dnnl_primitive_desc_t pd);
/* Runs a primitive. In matrix products of oneDNN 2.6 to 3.2 the stack pointer points into memory of
 * the heap: the frame of a signal's handler would overwrite what is below. So no handler runs on
 * the thread meanwhile. See findings/onednn-stack-in-heap.sh */
dnnl_status_t onednn_execute(dnnl_primitive_t primitive, bool moves_stack, dnnl_stream_t stream,
                             int count, const dnnl_exec_arg_t *args);
mien_status onednn_memory(const mien_backend *b, const char *name, const dnnl_memory_desc_t *md,
                          dnnl_memory_t *out);
mien_status onednn_reorder(const mien_backend *b, const char *name, const dnnl_memory_desc_t *from,
                           const dnnl_memory_desc_t *to, dnnl_primitive_t *out);
/* Copies `src` to `dst` in another format; returns when that is done. */
mien_status onednn_convert(const mien_backend *b, const char *name, const dnnl_memory_desc_t *from,
                           const dnnl_memory_desc_t *to, const void *src, void *dst);
/* Attributes: scratch memory from the caller; with `adds` the result is added to the destination,
 * then BODY_RELU or BODY_RELU6 is applied (BODY_LINEAR: none). *out may be set after a failure. */
dnnl_status_t onednn_attributes(bool adds, int activation, dnnl_primitive_attr_t *out);
size_t onednn_round_up(size_t bytes);
/* Threads that work on a call of the operator: one that shares another's weights runs in a lane. */
static inline int onednn_threads(const mien_linear *op) {
    return op->desc.shares ? 1 : cpu_of(op->backend)->threads;
}

/* Whether its rows are worked on in slices (see mien_linear_desc.slice), and by how many threads.
 */
static inline bool onednn_slices(const mien_linear *op) {
    return op->desc.training && !op->desc.dense;
}

static inline int onednn_lanes(const mien_linear *op) {
    return onednn_slices(op) ? onednn_threads(op) : 1;
}

/* Scratch of a lane holds, in this order: scratchpad | weights | x | y in the primitive's formats |
 * the data gradient that is to be added. */
typedef struct onednn_scratch {
    char *pad, *weights, *x, *y, *addend;
} onednn_scratch;
onednn_scratch onednn_scratch_of(const onednn_variant *v, const onednn_operation *o, void *scratch,
                                 int lane);
/* After the lanes: the weight gradient of a slice, and that of its bias. */
float *onednn_sum_of(const onednn_variant *v, void *scratch, int index);
float *onednn_bias_sum_of(const mien_linear *op, float *sum);

/* An operator is prepared for a few batch sizes, the most recent last; another one replaces the
 * least recently prepared. A variant is a struct that begins with its batch size (int n); a list
 * has capacity for ONEDNN_VARIANTS and one that is being built. */
typedef struct onednn_variant_kind {
    size_t size;                                          /* of the struct */
    mien_status (*build)(void *op, int n, void *variant); /* which is zeroed */
    void (*release)(void *variant);                       /* also after a failed build */
} onednn_variant_kind;
void *onednn_variant_find(const onednn_variant_kind *kind, void *list, int count, int n);
mien_status onednn_variant_prepare(const onednn_variant_kind *kind, void *list, int *count,
                                   void *op, int n);

/* Slots of ops.h that build. */
mien_status onednn_create(mien_backend *b, const mien_linear_desc *desc, mien_linear **out);
void onednn_free(mien_linear *op);
mien_status onednn_prepare(mien_linear *op, int n);
bool onednn_can_add(const mien_backend *b, const mien_linear_desc *desc);
/* The activation that the primitive applies: the operator's, or BODY_LINEAR. */
int onednn_fused(const mien_linear_desc *desc);
/* Likewise for our own loops, with the bias and, where the operator adds, y's old contents. */
cpu_epilogue onednn_epilogue(const mien_linear *op, const void *b);
mien_algorithm onednn_algorithm(const mien_linear *op, mien_direction dir);
size_t onednn_weight_bytes(const mien_linear *op);
size_t onednn_scratch_bytes(const mien_linear *op);
void onednn_weights_changed(mien_linear *op);
onednn_variant *onednn_find(mien_linear *op, int n);

/* onednn_winograd.c: operators by our own loops */
/* Whether Winograd is possible, and whether it is the better choice by the table or by measurement.
 */
bool onednn_can_winograd(const mien_backend *b, const mien_linear_desc *d);
bool onednn_wants_winograd(const mien_linear *op, mien_direction dir);
mien_status onednn_winograd_create(mien_linear *op);
/* In inference the weights are transformed at once, for the operators that share them. */
void onednn_winograd_uploaded(mien_linear *op, const void *w);
/* The slot linear_weights_for. */
void onednn_winograd_weights_for(mien_linear *op, mien_direction dir, const void *w);
void onednn_winograd_form(const mien_linear *op, mien_direction dir, int n, cpu_winograd *form);
void onednn_winograd_forward(mien_linear *op, const cpu_winograd *form, const mien_tensor *y,
                             const mien_tensor *x, const void *w, const void *b, void *scratch);
void onednn_winograd_data(mien_linear *op, const cpu_winograd *form, const mien_tensor *dx,
                          const mien_tensor *dy, const void *w, const mien_tensor *relu_mask,
                          void *scratch, bool accumulate);
void onednn_winograd_filter(mien_linear *op, const cpu_winograd *form, void *dw, void *db,
                            const mien_tensor *dy, const mien_tensor *x, void *scratch,
                            bool accumulate);

/* onednn_pointwise.c: 1x1 convolutions in inference, by our own loops */
bool onednn_wants_pointwise(const mien_linear *op);
mien_status onednn_pointwise_create(mien_linear *op);
void onednn_pointwise_uploaded(mien_linear *op, const void *w);
void onednn_pointwise_forward(const mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                              const void *b);

/* onednn_bf16.c: which operators compute in bf16 */
bool onednn_wants_bf16(const mien_backend *b, const mien_linear_desc *d);

/* onednn_dense.c: a dense operator in training, by matrix products of one thread each. Its weights
 * are in x out. */
bool onednn_is_product(const mien_linear *op);
void onednn_dense_forward(mien_linear *op, const mien_tensor *y, const mien_tensor *x,
                          const void *w, const void *b);
void onednn_dense_data(mien_linear *op, const mien_tensor *dx, const mien_tensor *dy, const void *w,
                       bool accumulate);
void onednn_dense_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                         const mien_tensor *x, bool accumulate);

/* onednn_stem.c: an operator that reads an image, by our own loops */
bool onednn_wants_stem(const mien_linear *op);
void onednn_stem_form(const mien_linear *op, int n, cpu_stem *form);
void onednn_stem_forward(const mien_linear *op, const cpu_stem *form, const mien_tensor *y,
                         const mien_tensor *x, const void *w, const void *b, void *scratch);
void onednn_stem_filter(const mien_linear *op, const cpu_stem *form, void *dw, void *db,
                        const mien_tensor *dy, const mien_tensor *x, void *scratch,
                        bool accumulate);

#endif
