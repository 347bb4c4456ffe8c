/* Declarations shared by the benchmark modes. */
#ifndef HOST_BENCH_MODES_H
#define HOST_BENCH_MODES_H

#include "host/bench/bench.h"
#include "host/train/config.h"
#include "host/train/step.h"

enum { BENCH_SEED = 1, BENCH_CLASSES = 7 };

/* subject.c: opens the model that a request names (a network gets random weights), and generates a
 * data set for it: random pixels and labels, a few thousand images in whole batches, all in the
 * training part. */
mien_status bench_model(const mien_bench_request *request, mien_model *model);
mien_status bench_images(mien_image_spec spec, int classes, int batch, mien_dataset *set);

/* subject.c: measures `work` and the machine's peak, and stores time, memory, peak and copy
 * bandwidth in the result. `wait` (NULL: `work` waits itself) is for devices that queue work: a
 * sample is then several calls back to back, as in training. */
mien_status bench_measure(const mien_bench_request *request, mien_measured work, mien_measured wait,
                          void *context, mien_bench_result *result);

/* layers.c: attaches a profile to the plan, runs `work` for `seconds` (at least twice) and stores
 * the times of the layers and of the rest of a step in the result. */
mien_status bench_layers(const mien_bench_request *request, mien_plan *plan, double seconds,
                         mien_measured work, void *context, mien_bench_result *result);

/* train.c: the state of a training run. */
typedef struct bench_training {
    mien_config config;
    mien_model model;
    mien_dataset set;
    mien_loader loader;
    mien_plan *plan;
    body_rule rule;
    mien_step step;
    size_t start; /* of the next batch in the epoch */
    double *rates;
    uint64_t epoch;
} bench_training;

/* Close it also after a failure. */
mien_status bench_training_open(const mien_bench_request *request, bench_training *t);
void bench_training_close(bench_training *t);
/* Runs one step (`context` is a bench_training); starts a new epoch after the last image. */
mien_status bench_training_step(void *context);
/* Waits until all steps have finished. */
mien_status bench_training_wait(void *context);

/* The modes. */
mien_status bench_train(const mien_bench_request *request, mien_bench_result *result);
mien_status bench_infer(const mien_bench_request *request, mien_bench_result *result);
mien_status bench_augment(const mien_bench_request *request, mien_bench_result *result);
mien_status bench_load(const mien_bench_request *request, mien_bench_result *result);
mien_status bench_op(const mien_bench_request *request, mien_bench_result *result);

#endif
