/* Does a device compute what the CPU computes? `mien parity`.
 *
 * Layer by layer: before every pass both get the same numbers, those of the CPU rounded to what the
 * device stores. So a row shows what that layer alone does differently; errors of the layers before
 * it are not in it. Batch and masks are the same too: random numbers are a function of their place.
 * A layer that runs inside another one (a ReLU in its convolution) shows in that one's row. */
#ifndef HOST_BENCH_PARITY_H
#define HOST_BENCH_PARITY_H

#include "host/bench/bench.h"

typedef struct mien_parity_request {
    mien_backend *cpu, *device;
    mien_compute compute; /* that the device was opened with; never AUTO */
    const char *model;    /* as in mien_bench_request */
    const char *data;     /* its first images; NULL: generated ones */
    int batch, size;      /* as in mien_bench_request */
    const volatile int *stop;
} mien_parity_request;

/* What is compared. Gradients are those of a training step's loss. */
typedef enum mien_parity_kind {
    MIEN_PARITY_VALUE,  /* the output; the worse of inference and training */
    MIEN_PARITY_INPUT,  /* the gradient of the inputs */
    MIEN_PARITY_WEIGHT, /* the gradients of all the layer's parameters together */
    MIEN_PARITY_KINDS
} mien_parity_kind;

const char *mien_parity_kind_name(int kind); /* "value", "input gradient", "weight gradient" */

typedef struct mien_parity_difference {
    bool measured;   /* the layer has it */
    double largest;  /* difference of two numbers */
    double relative; /* norm of the difference over the norm of the CPU's numbers */
    bool holds;      /* within the bound; false also where numbers are not finite */
} mien_parity_difference;

typedef struct mien_parity_layer {
    char name[MIEN_NAME];
    const char *class_name; /* Keras's */
    mien_shape out;
    bool flat;
    mien_parity_difference of[MIEN_PARITY_KINDS];
} mien_parity_layer;

typedef struct mien_parity_result {
    char model[MIEN_PATH];
    int batch; /* images that were compared with: fewer than asked for where the data have fewer */
    double bound;
    bool holds; /* every row does */
    mien_parity_layer *layers;
    int layer_count;
} mien_parity_result;

/* Largest relative norm that a precision may differ by (docs/numerics.md, REL and LOW). */
double mien_parity_bound(mien_compute compute);

/* Fails only when it cannot compare. Release the result also after a failure. */
mien_status mien_parity_run(const mien_parity_request *request, mien_parity_result *result);
void mien_parity_release(mien_parity_result *result);

#endif
