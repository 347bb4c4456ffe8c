/* A network's weights on the host: one f32 array per parameter or state, in logical order (kernels
 * HWIO, dense in x out). Files store them, and a plan is loaded from them. */
#ifndef HOST_GRAPH_WEIGHTS_H
#define HOST_GRAPH_WEIGHTS_H

#include "host/graph/graph.h"

typedef struct mien_weights {
    float **items; /* [node * MIEN_PARAMS_MAX + param] */
    int nodes;
} mien_weights;

/* Allocates zeros for every parameter and state, to be filled from a file or a device. Release
 * `weights` also after a failure. */
mien_status mien_weights_zeros(const mien_graph *graph, mien_weights *weights);
/* The same, filled with initial values. */
mien_status mien_weights_create(const mien_graph *graph, uint32_t seed, mien_weights *weights);
void mien_weights_release(mien_weights *weights);
/* DIVERGED, with the layer and the parameter, if a value is NaN or infinite. */
mien_status mien_weights_check(const mien_graph *graph, const mien_weights *weights);
/* Makes *values, allocated by mien_new, those of a parameter, and *values NULL. */
void mien_weights_take(mien_weights *weights, int node, int param, float **values);
/* Is no value infinite or NaN? */
bool mien_all_finite(const float *values, size_t count);
float *mien_weights_get(const mien_weights *weights, int node, int param);

#endif
