/* Compares a device's results with the CPU's: `mien parity`.
 *
 * Works layer by layer: before every pass both backends get the same values, those of the CPU
 * rounded to the device's storage type. So a row shows the error of that layer alone, not of the
 * layers before it. Batch and dropout masks are identical, because random numbers depend only on
 * their position. A layer that is fused into another (a ReLU into its convolution) is part of that
 * layer's row. */
#ifndef HOST_BENCH_PARITY_H
#define HOST_BENCH_PARITY_H

#include "host/bench/bench.h"

typedef struct mien_parity_request {
    mien_backend *cpu, *device;
    mien_compute compute; /* the device's number type; never AUTO */
    const char *model;    /* as in mien_bench_request */
    const char *data;     /* data whose first images are used; NULL: generated images */
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
    bool measured;   /* false: the layer does not have it */
    double largest;  /* largest absolute difference */
    double relative; /* norm of the difference divided by the norm of the CPU's values */
    bool holds;      /* within the bound; false if any value is not finite */
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
    int batch; /* number of images used: fewer than requested if the data have fewer */
    double bound;
    bool holds; /* all rows are within the bound */
    mien_parity_layer *layers;
    int layer_count;
} mien_parity_result;

/* The largest allowed relative difference for a number type (docs/numerics.md, REL and LOW). */
double mien_parity_bound(mien_compute compute);

/* Compares all layers. A layer that exceeds its bound is not a failure: see result->holds. Release
 * the result also after a failure. */
mien_status mien_parity_run(const mien_parity_request *request, mien_parity_result *result);
void mien_parity_release(mien_parity_result *result);

#endif
