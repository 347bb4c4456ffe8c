/* The networks whose gradients are tested: at least one row for every layer of layers.def. */
#ifndef TESTS_GRAD_GRAD_CASES_H
#define TESTS_GRAD_GRAD_CASES_H

#include "host/graph/graph.h"

typedef struct grad_case {
    const char *layer; /* the layer of layers.def that the row tests */
    const char *lines; /* lines of a model file; a flatten and a softmax follow */
    mien_graph_io io;
    int batch;
} grad_case;

extern const grad_case grad_layers[];
extern const size_t grad_layer_count;
/* Values with several consumers. */
extern const grad_case grad_fan_out[];
extern const size_t grad_fan_out_count;
/* Whole classifiers: complete model files with their own softmax. */
extern const grad_case grad_networks[];
extern const size_t grad_network_count;

#endif
