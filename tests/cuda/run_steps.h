/* Runs a few training steps of a network on a backend, exactly as the trainer does, for tests of
 * whole networks. */
#ifndef TESTS_CUDA_RUN_STEPS_H
#define TESTS_CUDA_RUN_STEPS_H

#include "host/train/step.h"
#include "tests/support/net.h"

typedef struct steps_case {
    const char *model; /* text of a model file */
    mien_graph_io io;
    int images, batch, steps;
    body_rule rule;
    double rate;
    body_augment ranges;
    void (*around)(void *context, int step,
                   bool before); /* called before and after every step; may be NULL */
    void *context;
} steps_case;

enum { STEPS_MOST = 64 };

typedef struct steps_result {
    double loss[STEPS_MOST]; /* mean loss of each step */
    double *weights;         /* all parameters in the order of the graph */
    size_t count;
    float *logits; /* of the first batch after the steps, in inference mode */
    size_t logit_count;
    body_step state;
} steps_result;

/* Images and labels are random, the same for every backend. Ends the test on a failure. */
steps_result steps_run(mien_backend *backend, const steps_case *c);
void steps_release(steps_result *r);

#endif
