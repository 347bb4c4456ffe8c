/* Networks and data for the tests of plans. */
#ifndef TESTS_UNIT_PLAN_NETS_H
#define TESTS_UNIT_PLAN_NETS_H

#include "tests/support/net.h"

extern const char plan_classic[]; /* for 20x20x1, 5 classes */
extern const mien_graph_io plan_classic_io;

/* The text of a random network with fan-out, in-place layers, frozen layers and, when `norm` is
 * set, batch normalisation. The caller frees it. */
char *plan_random_model(uint32_t seed, bool norm);

/* Fills the arena of activations and gradients with NaN, to expose reads of uninitialized memory.
 */
void plan_poison(const test_net *net);
/* Writes images and soft targets of the first n rows of a batch. */
void plan_batch(const test_net *net, int n);
/* Runs plan_poison, plan_batch, forward, loss and backward with n rows; returns the mean loss. */
double plan_pass(const test_net *net, int n);
/* All gradients in the order of the graph, kernels in HWIO. The caller frees it. */
double *plan_gradients(const test_net *net, size_t *count);

#endif
