/* An int8 network: which convolutions and dense layers compute in int8, and their scales. Weights
 * are round(w / w_scale[output channel]) in s8; the input of a layer is round(x / x_scale), u8 or
 * s8. Layers in between that only select or move numbers (max pooling, flatten, dropout) pass int8
 * on unchanged, so all consumers of a value must use the same scale. */
#ifndef HOST_GRAPH_QUANT_H
#define HOST_GRAPH_QUANT_H

#include "host/graph/graph.h"

typedef struct mien_quant_layer {
    float *w_scale; /* [out.c]; NULL: this layer stays in f32 */
    float x_scale;
    bool x_signed;
} mien_quant_layer;

typedef struct mien_quant {
    mien_quant_layer *layers; /* one per node */
    int nodes;                /* 0: the network is f32 throughout */
} mien_quant;

/* All layers in f32. Release `quant` also after a failure. */
mien_status mien_quant_create(const mien_graph *graph, mien_quant *quant);
void mien_quant_release(mien_quant *quant);
/* Can this layer compute in int8? */
bool mien_quant_can(const mien_node *node);
/* Makes layer `node` compute in int8: allocates its weight scales; the caller fills all scales. */
mien_status mien_quant_add(const mien_graph *graph, mien_quant *quant, int node);
/* The number of layers that compute in int8. */
int mien_quant_count(const mien_quant *quant);
/* The node whose value `node`, a layer with one input, reads in int8: the first before it that
 * does more than pass int8 on. */
int mien_quant_source(const mien_graph *graph, int node);
/* Checks that the scales are in range and that each value has one scale. INVALID names the layer.
 */
mien_status mien_quant_check(const mien_graph *graph, const mien_quant *quant);

#endif
