/* What the files of this room share. */
#ifndef HOST_BENCH_ROOM_H
#define HOST_BENCH_ROOM_H

#include "host/bench/bench.h"
#include "host/train/config.h"
#include "host/train/step.h"

enum { BENCH_SEED = 1, BENCH_CLASSES = 7 };

/* subject.c: the model that a request names (random weights for a network without), and its images:
 * random bytes and labels, a few thousand of them, a whole number of batches, all for training. */
mien_status bench_model(const mien_bench_request *request, mien_model *model);
mien_status bench_images(mien_image_spec spec, int classes, int batch, mien_dataset *set);

/* subject.c: measures `work` with the yardstick beside it, and notes time, memory, peak and copy
 * bandwidth in the result. `wait` (NULL: the work waits by itself) is for a device that queues what
 * it is given: then a sample is several works, as they follow each other in training. */
mien_status bench_measure(const mien_bench_request *request, mien_measured work, mien_measured wait,
                          void *context, mien_bench_result *result);

/* layers.c: hangs a profile into the plan, runs `work` for `seconds` (twice at least) and writes
 * layers and the rest of a step into the result. */
mien_status bench_layers(const mien_bench_request *request, mien_plan *plan, double seconds,
                         mien_measured work, void *context, mien_bench_result *result);

/* train.c: everything that a training run holds. */
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

/* Release it also after a failure. */
mien_status bench_training_open(const mien_bench_request *request, bench_training *t);
void bench_training_close(bench_training *t);
/* One step (`context` is a bench_training); a new epoch's order when the images are used up. */
mien_status bench_training_step(void *context);
/* Until all steps are done. */
mien_status bench_training_wait(void *context);

/* The modes. */
mien_status bench_train(const mien_bench_request *request, mien_bench_result *result);
mien_status bench_infer(const mien_bench_request *request, mien_bench_result *result);
mien_status bench_augment(const mien_bench_request *request, mien_bench_result *result);
mien_status bench_load(const mien_bench_request *request, mien_bench_result *result);
mien_status bench_op(const mien_bench_request *request, mien_bench_result *result);

#endif
