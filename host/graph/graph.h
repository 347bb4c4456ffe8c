/* A network as data: nodes in topological order, shapes, parameter declarations. It is independent
 * of devices and holds no weights; graph/plan.h binds it to a backend. */
#ifndef HOST_GRAPH_GRAPH_H
#define HOST_GRAPH_GRAPH_H

#include "host/base/text.h"
#include "host/layers/layer.h"

enum { MIEN_NODES_MAX = 4096 }; /* a larger model file is a mistake or an attack */

typedef struct mien_graph {
    char name[MIEN_NAME];
    mien_node *nodes; /* nodes[0] is the input */
    int count;
    int logits; /* the node whose output the last one takes, which does not run */
    int classes;
    /* The last layer is `activation: linear`, not a softmax: the outputs are used as they are, and
     * the network cannot be trained. Only networks of other programs are like this. */
    bool raw;
    size_t capacity;
} mien_graph;

/* The input image and the number of classes. */
typedef struct mien_graph_io {
    int height, width, channels;
    int classes; /* for `units: classes`; 0: taken from the last layer */
} mien_graph_io;

/* Builds a graph from a model file's tree: `name`, `layers` (a list; each entry a layer's name, or
 * a map of one name to its keys). Errors name file, line and layer. Release the graph also after a
 * failure. */
mien_status mien_graph_parse(const mien_value *root, const char *source, mien_graph_io io,
                             mien_graph *graph);
/* Reads a .yaml model file. */
mien_status mien_graph_read(const char *path, mien_graph_io io, mien_graph *graph);

/* The same step by step, for other file formats: start, append layers in topological order, finish.
 * `attrs` is a map of the layer's keys or NULL. `source` and `line` are only for messages. */
mien_status mien_graph_start(mien_graph *graph, const char *name, mien_graph_io io);
mien_status mien_graph_append(mien_graph *graph, const mien_layer_def *def, const mien_value *attrs,
                              const char *source, int line, int classes);
mien_status mien_graph_finish(mien_graph *graph, const char *source);
void mien_graph_release(mien_graph *graph);
/* Removes the nodes from `first` on; append others and finish the graph again. */
void mien_graph_cut(mien_graph *graph, int first);

/* Index of a layer by name, -1 when there is none. */
int mien_graph_find(const mien_graph *graph, const char *name);

typedef struct mien_graph_totals {
    long long params, trained;
    double flops; /* forward, one sample */
} mien_graph_totals;

mien_graph_totals mien_graph_sum(const mien_graph *graph);
/* The end of layer i: one past the last node it was split into. Totals of those nodes. */
int mien_layer_end(const mien_graph *graph, int i);
mien_graph_totals mien_layer_sum(const mien_graph *graph, int i);
long long mien_node_params(const mien_node *node, bool trained_only);
/* A table of layers: name, class, output, parameters, FLOPs. */
void mien_graph_summary(const mien_graph *graph, mien_text *out);

/* Initial values of a parameter, f32 in logical order; `out` holds as many elements as it has. */
void mien_init_param(const mien_node *node, int param, uint32_t seed, float *out);

#endif
