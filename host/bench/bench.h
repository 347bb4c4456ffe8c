/* Measuring: `mien bench`. A mode fills a result; report.c makes the JSON document of it. */
#ifndef HOST_BENCH_BENCH_H
#define HOST_BENCH_BENCH_H

#include "host/bench/measure.h"
#include "host/formats/model.h"
#include "host/graph/plan.h"

typedef struct mien_bench_request {
    mien_backend *backend;
    const char *model;        /* a network's name, .yaml, .h5, run directory; NULL: classic */
    const char *dtype;        /* "auto", "f32", …; NULL: auto */
    int batch;                /* images a step */
    int size;                 /* side of the image for a network without weights; 0: 48 */
    long long rows;           /* load: of the generated file */
    const char *file;         /* load: NULL generates one */
    double seconds;           /* of measuring, beside warm-up and yardstick */
    bool layers;              /* train, infer: also measure by layer, in a pass of its own */
    const volatile int *stop; /* set by a signal; may be NULL */
} mien_bench_request;

/* One direction of a layer, for one step. `seconds` 0: the layer has no such pass. */
typedef struct mien_bench_pass {
    double seconds;
    double flops; /* of direct convolution; 0 unless the layer is linear */
    double bytes; /* that must be read or written at least, without parameters */
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
    char model[MIEN_PATH]; /* as it was asked for; load: the file */
    const char *dtype;     /* that was computed in */
    int batch, warmup;
    unsigned seed;
    mien_statistics time;  /* of one step, in seconds */
    mien_statistics plain; /* augment: of the gather without augmentation */
    double images;         /* a step */
    double flops;          /* one image, all passes of the mode; 0: does not apply */
    double peak_flops;     /* a second; 0: unknown */
    int peak_windows;
    double copy_bandwidth; /* bytes a second, read plus written; 0: unknown */
    double peak_memory;    /* bytes, of the process behind the run */
    double device_memory;  /* bytes of a GPU in use behind the run, by all programs; 0: no GPU */
    double file_bytes;     /* load */
    mien_bench_layer *layers;
    int layer_count;
    int layer_steps;             /* over which the layers' times are means */
    double gather, loss, update; /* train, op: seconds a step beside the layers */
    double host_seconds;         /* train: of the host for a step, until it is on its way */
} mien_bench_result;

/* The modes in the order of --help; NULL behind the last. */
extern const char *const mien_bench_modes[];

/* Runs a mode. INVALID for an unknown one; INTERRUPTED when stop was set. Release the result also
 * after a failure. */
mien_status mien_bench_run(const char *mode, const mien_bench_request *request,
                           mien_bench_result *result);
void mien_bench_release(mien_bench_result *result);

/* Who measured, for the document. */
typedef struct mien_bench_build {
    const char *commit, *compiler, *flags;
} mien_bench_build;

/* The JSON document (docs/bench.md names every field). */
void mien_bench_document(const mien_bench_request *request, const mien_bench_result *result,
                         const mien_bench_build *build, mien_text *out);

/* Direct convolution's operations for one image: forward, and backward as the plan trains it (the
 * first trained layer has no data gradient). 0 for layers that are not linear. */
double mien_bench_forward_flops(const mien_plan *plan, int node);
double mien_bench_backward_flops(const mien_plan *plan, int node);
/* The sum over the layers; backward only counts in a plan that trains. */
double mien_bench_plan_flops(const mien_plan *plan);

#endif
