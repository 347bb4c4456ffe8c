/* A network in eight bits: which convolutions and dense layers compute with bytes, and the scales
 * that make numbers of them. Weights are round(w / w_scale[output channel]) in s8; the value that a
 * layer reads is round(x / x_scale), u8 or s8. Layers between that only choose or move numbers (max
 * pooling, flatten, dropout) keep the bytes as they are: everybody who reads one value reads it at
 * one scale. */
#ifndef HOST_GRAPH_QUANT_H
#define HOST_GRAPH_QUANT_H

#include "host/graph/graph.h"

typedef struct mien_quant_layer {
    float *w_scale; /* [out.c]; NULL: this layer stays in f32 */
    float x_scale;
    bool x_signed;
} mien_quant_layer;

typedef struct mien_quant {
    mien_quant_layer *layers; /* one a node */
    int nodes;                /* 0: the network is f32 throughout */
} mien_quant;

/* All layers in f32. Release it also after a failure. */
mien_status mien_quant_create(const mien_graph *graph, mien_quant *quant);
void mien_quant_release(mien_quant *quant);
/* Can layer `node` be one of bytes? */
bool mien_quant_can(const mien_node *node);
/* Makes layer `node` one of bytes: allocates its scales, which the caller fills. */
mien_status mien_quant_add(const mien_graph *graph, mien_quant *quant, int node);
/* How many layers compute with bytes. */
int mien_quant_count(const mien_quant *quant);
/* The node whose value `node`, a reader of one input, gets to see as bytes. */
int mien_quant_source(const mien_graph *graph, int node);
/* Scales positive and finite, one scale for each value. INVALID names the layer. */
mien_status mien_quant_check(const mien_graph *graph, const mien_quant *quant);

#endif
