#include "host/graph/weights.h"

#include <stdint.h>
#include <string.h>

#include "host/base/memory.h"

mien_status mien_weights_zeros(const mien_graph *graph, mien_weights *weights) {
    mien_status status;
    *weights = (mien_weights){.nodes = graph->count};
    MIEN_GO(
        mien_new(&weights->items, (size_t)graph->count * MIEN_PARAMS_MAX, sizeof *weights->items));
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].param_count; k++) {
            float **item = &weights->items[i * MIEN_PARAMS_MAX + k];
            MIEN_GO(
                mien_new(item, mien_shape_count(graph->nodes[i].params[k].shape), sizeof **item));
        }
out:
    if (status != MIEN_OK) mien_weights_release(weights); /* whole or nothing */
    return status;
}

mien_status mien_weights_create(const mien_graph *graph, uint32_t seed, mien_weights *weights) {
    MIEN_TRY(mien_weights_zeros(graph, weights));
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].param_count; k++)
            mien_init_param(&graph->nodes[i], k, seed, mien_weights_get(weights, i, k));
    return MIEN_OK;
}

mien_status mien_weights_check(const mien_graph *graph, const mien_weights *weights) {
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].param_count; k++) {
            const size_t count = mien_shape_count(graph->nodes[i].params[k].shape);
            if (!mien_all_finite(mien_weights_get(weights, i, k), count))
                return MIEN_FAIL(DIVERGED, "%s of layer '%s' is not finite",
                                 graph->nodes[i].params[k].name, graph->nodes[i].name);
        }
    return MIEN_OK;
}

void mien_weights_release(mien_weights *weights) {
    for (int i = 0; weights->items && i < weights->nodes * MIEN_PARAMS_MAX; i++)
        mien_free(weights->items[i]);
    mien_free(weights->items);
    *weights = (mien_weights){0};
}

void mien_weights_take(mien_weights *weights, int node, int param, float **values) {
    float **const item = &weights->items[node * MIEN_PARAMS_MAX + param];
    mien_free(*item);
    *item = *values;
    *values = NULL;
}

/* Infinity and NaN are the numbers whose exponent has all bits. Without a branch in the inner loop,
 * for the compiler to vectorise it. */
bool mien_all_finite(const float *values, size_t count) {
    enum { BLOCK = 4096 };
    const uint32_t exponent = 0x7f800000;
    for (size_t at = 0; at < count; at += BLOCK) {
        const size_t end = count - at < BLOCK ? count : at + BLOCK;
        uint32_t most = 0;
        for (size_t i = at; i < end; i++) {
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            bits &= exponent;
            most = bits > most ? bits : most;
        }
        if (most == exponent) return false;
    }
    return true;
}

float *mien_weights_get(const mien_weights *weights, int node, int param) {
    return weights->items[node * MIEN_PARAMS_MAX + param];
}
