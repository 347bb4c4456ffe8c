/* Benchmarks: `mien bench`. A mode fills in a result; report.c turns it into JSON. */
#ifndef HOST_BENCH_BENCH_H
#define HOST_BENCH_BENCH_H

#include "host/bench/measure.h"
#include "host/formats/model.h"
#include "host/graph/plan.h"

typedef struct mien_bench_request {
    mien_backend *backend;
    const char
        *model; /* a network's name or .yaml, a model file or a run directory; NULL: classic */
    mien_model_options options; /* for files of other programs */
    const char *dtype;          /* "auto", "f32", …; NULL: auto */
    int batch;                  /* images per step */
    int size;                   /* image side for a network without weights; 0: 48 */
    long long rows;             /* load: rows to generate */
    const char *file;           /* load: the file to read; NULL: generate one */
    double seconds;             /* to measure, without warm-up and peak measurement */
    bool layers;                /* train, infer: also measure each layer, in a separate pass */
    const volatile int *stop;   /* set by a signal; may be NULL */
} mien_bench_request;

/* The forward or backward pass of a layer in one step. `seconds` 0: the layer has no such pass. */
typedef struct mien_bench_pass {
    double seconds;
    double flops; /* as direct convolution; 0 unless the layer is linear */
    double bytes; /* least memory traffic, without parameters */
} mien_bench_pass;

typedef struct mien_bench_layer {
    char name[MIEN_NAME];
    const char *class_name; /* Keras's */
    mien_shape out;
    bool flat;
    mien_bench_pass forward, backward;
} mien_bench_layer;

typedef struct mien_bench_result {
    const char *mode;
    char model[MIEN_PATH]; /* as requested; load: the file */
    const char *dtype;     /* number type of the computation */
    int batch, warmup;
    unsigned seed;
    mien_statistics time;  /* seconds of one step */
    mien_statistics plain; /* augment: seconds of the gather without augmentation */
    double images;         /* per step */
    double flops;          /* per image, over all passes of the mode; 0: does not apply */
    double peak_flops;     /* per second; 0: unknown */
    int peak_windows;
    double copy_bandwidth; /* bytes per second, read plus written; 0: unknown */
    double peak_memory;    /* bytes, of the process after the run */
    double device_memory;  /* bytes in use on the GPU after the run, by all programs; 0: no GPU */
    double file_bytes;     /* load: size of the file */
    mien_bench_layer *layers;
    int layer_count;
    int layer_steps;             /* number of steps that the layers' times are averaged over */
    double gather, loss, update; /* train, op: seconds per step outside the layers */
    double host_seconds;         /* train: host time to launch a step; 0: not a GPU */
} mien_bench_result;

/* The modes in the order of --help; NULL after the last. */
extern const char *const mien_bench_modes[];

/* Runs a mode. INVALID for an unknown one; INTERRUPTED when stop was set. Release the result also
 * after a failure. */
mien_status mien_bench_run(const char *mode, const mien_bench_request *request,
                           mien_bench_result *result);
void mien_bench_release(mien_bench_result *result);

/* The build that measured, for the document. */
typedef struct mien_bench_build {
    const char *commit, *compiler, *flags;
} mien_bench_build;

/* The JSON document (docs/bench.md names every field). */
void mien_bench_document(const mien_bench_request *request, const mien_bench_result *result,
                         const mien_bench_build *build, mien_text *out);

/* FLOPs per image, as direct convolution: forward, and backward as the plan trains it (no data
 * gradient for the first trained layer). 0 for layers that are not linear. */
double mien_bench_forward_flops(const mien_plan *plan, int node);
double mien_bench_backward_flops(const mien_plan *plan, int node);
/* The sum over the layers; backward counts only in a training plan. */
double mien_bench_plan_flops(const mien_plan *plan);

#endif
