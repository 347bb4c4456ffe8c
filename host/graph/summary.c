/* What a graph costs, and its table. */
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

mien_graph_totals mien_graph_sum(const mien_graph *graph) {
    mien_graph_totals t = {0};
    for (int i = 0; i < graph->count; i++) {
        const mien_node *node = &graph->nodes[i];
        t.params += mien_node_params(node, false);
        t.trained += mien_node_params(node, true);
        if (node->def->flops) t.flops += node->def->flops(node, node->in);
    }
    return t;
}

void mien_graph_summary(const mien_graph *graph, mien_text *out) {
    mien_text_printf(out, "%-30s %-24s %-14s %12s %12s\n", "layer", "class", "output", "parameters",
                     "MFLOP");
    for (int i = 0; i < graph->count; i++) {
        const mien_node *node = &graph->nodes[i];
        char shape[40];
        if (node->implicit) continue;
        if (node->flat)
            snprintf(shape, sizeof shape, "%d", node->out.c);
        else
            snprintf(shape, sizeof shape, "%dx%dx%d", node->out.h, node->out.w, node->out.c);
        mien_text_printf(out, "%-30s %-24s %-14s %12lld %12.2f\n", node->name,
                         node->def->class_name, shape, mien_node_params(node, false),
                         node->def->flops ? node->def->flops(node, node->in) / 1e6 : 0.0);
    }
    const mien_graph_totals t = mien_graph_sum(graph);
    mien_text_printf(out, "%-70s %12lld %12.2f\n", "total", t.params, t.flops / 1e6);
}
