/* A small network on a backend, for tests: built from the text of a model file, written and read as
 * doubles in logical order (NHWC, HWIO), whatever the backend's layout and type. Every function
 * ends the test when the engine reports a failure. */
#ifndef TESTS_SUPPORT_NET_H
#define TESTS_SUPPORT_NET_H

#include "host/graph/plan.h"

typedef struct test_net {
    mien_backend *backend; /* borrowed */
    mien_graph graph;
    mien_plan *plan;
    int batch;
} test_net;

enum { NET_MICRO_AUTOMATIC = -1 }; /* micro-batches, or slices, as the plan chooses */

typedef struct net_options {
    int batch, micro; /* micro 0: the whole batch */
    bool infer;       /* a plan that cannot train */
    bool input_gradient, pools_apart, keeps_norms;
    const body_rule *rule;
    uint32_t seed;
} net_options;

/* Ends the test with the engine's message unless `status` is MIEN_OK. */
void expect_ok(mien_status status);

/* `model` is the text of a model file. The engine initializes the weights. */
void net_open(test_net *net, mien_backend *backend, const char *model, mien_graph_io io,
              net_options options);
void net_close(test_net *net);
/* "layers:", the lines, a flatten and a softmax: the logits are the output of the last of the
 * lines. The caller frees it. */
char *net_probe(const char *lines);

/* Zeroed doubles; the caller frees them. */
double *numbers(size_t count);
/* A number in (-1, 1) that floats hold exactly; a function of its arguments alone. */
double noise(uint32_t seed, size_t index);
/* A whole number in 0 … limit - 1, derived from noise(). */
int whole_below(uint32_t seed, size_t index, int limit);

/* Copies a tensor to or from doubles in the order n, h, w, c. */
void net_read(const test_net *net, const mien_tensor *tensor, double *out);
void net_write(const test_net *net, const mien_tensor *tensor, const double *in);

/* Parameters and states. `role` is one of the plan's arenas of parameters (plan->param, grad,
 * moment1, moment2); for a state, which has only one, it is ignored. */
size_t net_param_count(const test_net *net, int node, int param);
void net_get(const test_net *net, const char *role, int node, int param, double *out);
void net_set(const test_net *net, char *role, int node, int param, const double *in);
/* Finds "layer/param"; ends the test when there is none. */
void net_find(const test_net *net, const char *name, int *node, int *param);

/* Passes over the whole batch. */
void net_forward(const test_net *net, bool training);
void net_backward(const test_net *net); /* from the current gradient of the logits */
double net_loss(const test_net *net,
                const void *class_weight); /* returns the mean; resets the sums */
body_step net_step(const test_net *net);
void net_set_step(const test_net *net, const body_step *step);

/* |a - b| / |b| in the Euclidean norm, and |a - b|. */
double relative_distance(const double *a, const double *b, size_t count);
double distance(const double *a, const double *b, size_t count);

#endif
