/* Parameter and FLOP counts of a graph, and its summary table. */
#include <stdio.h>
#include <string.h>

#include "host/graph/graph.h"

long long mien_node_params(const mien_node *node, bool trained_only) {
    long long sum = 0;
    for (int i = 0; i < node->param_count; i++)
        if (!trained_only ||
            (node->params[i].trained && ((const mien_layer_common *)node->attrs)->trainable))
            sum += (long long)mien_shape_count(node->params[i].shape);
    return sum;
}

int mien_layer_end(const mien_graph *graph, int i) {
    do
        i++;
    while (i < graph->count && graph->nodes[i].implicit);
    return i;
}

static mien_graph_totals sum(const mien_graph *graph, int from, int to) {
    mien_graph_totals t = {0};
    for (int i = from; i < to; i++) {
        const mien_node *node = &graph->nodes[i];
        t.params += mien_node_params(node, false);
        t.trained += mien_node_params(node, true);
        if (node->def->flops) t.flops += node->def->flops(node, node->in);
    }
    return t;
}

mien_graph_totals mien_graph_sum(const mien_graph *graph) {
    return sum(graph, 0, graph->count);
}

mien_graph_totals mien_layer_sum(const mien_graph *graph, int i) {
    return sum(graph, i, mien_layer_end(graph, i));
}

void mien_graph_summary(const mien_graph *graph, mien_text *text) {
    mien_text_printf(text, "%-30s %-24s %-14s %12s %12s\n", "layer", "class", "output",
                     "parameters", "MFLOP");
    for (int i = 0; i < graph->count; i++) {
        const mien_node *node = &graph->nodes[i];
        char shape[40];
        if (node->implicit) continue;
        const mien_shape out = graph->nodes[mien_layer_end(graph, i) - 1].out;
        const mien_graph_totals own = mien_layer_sum(graph, i);
        if (node->flat)
            snprintf(shape, sizeof shape, "%d", out.c);
        else
            snprintf(shape, sizeof shape, "%dx%dx%d", out.h, out.w, out.c);
        mien_text_printf(text, "%-30s %-24s %-14s %12lld %12.2f\n", node->name,
                         node->def->class_name, shape, own.params, own.flops / 1e6);
    }
    const mien_graph_totals t = mien_graph_sum(graph);
    mien_text_printf(text, "%-70s %12lld %12.2f\n", "total", t.params, t.flops / 1e6);
}
