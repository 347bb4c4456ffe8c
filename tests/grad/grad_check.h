/* Finite differences in double, and the comparison of a float backend with the double reference. */
#ifndef TESTS_GRAD_GRAD_CHECK_H
#define TESTS_GRAD_GRAD_CHECK_H

#include "tests/grad/grad_cases.h"
#include "tests/support/net.h"

/* A network and its inputs: everything that a pass depends on. */
typedef struct grad_problem {
    test_net net;
    bool classifier;    /* differentiate the loss; otherwise sum(dy * logits) */
    double *input, *dy; /* dy: the gradient of the logits, unless classifier */
    float class_weight[16];
    double class_weight_f64[16];
} grad_problem;

/* The results of a backward pass: value, logits and gradients. */
typedef struct grad_result {
    double value;
    double *logits, *input; /* input: the gradient of the image */
    double *params[64];     /* of each trained parameter, in the order of the graph */
    size_t logit_count, input_count, param_counts[64];
    int count;
} grad_result;

typedef struct grad_stats {
    double worst; /* largest error, relative to the bound */
    long checked, kinks;
} grad_stats;

void grad_open(grad_problem *p, mien_backend *backend, const grad_case *row, bool classifier);
void grad_close(grad_problem *p);
void grad_run(grad_problem *p, grad_result *out);
void grad_free(grad_result *result);
/* Compares every gradient with central differences. */
void grad_differences(grad_problem *p, const grad_case *row, const grad_result *g,
                      grad_stats *stats);
/* Ends the test if logits or a gradient differ by more than `bound` times the norm. */
void grad_compare(const grad_case *row, const char *backend, const grad_problem *p,
                  const grad_result *got, const grad_result *want, double bound, double *worst);

#endif
