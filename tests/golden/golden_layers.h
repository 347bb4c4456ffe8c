/* Single layers against Keras: tests/golden/layers.safetensors, convolutions.safetensors. */
#ifndef TESTS_GOLDEN_GOLDEN_LAYERS_H
#define TESTS_GOLDEN_GOLDEN_LAYERS_H

#include "tests/support/golden.h"

/* Largest distances so far, relative to the norms. */
typedef struct layer_stats {
    double output, gradient, statistics;
    int cases;
} layer_stats;

/* Runs every case on a backend; a tensor further from Keras than `bound` of its norm ends the
 * test. */
void golden_check_layers(const golden_file *file, mien_backend *backend, double bound,
                         layer_stats *stats);

#endif
