/* A new head for a trained network: transfer learning to other classes. */
#include <string.h>

#include "host/base/memory.h"
#include "host/data/classes.h"
#include "host/formats/model.h"

/* Of numbers that are no classes, more than this are taken for features. */
enum { VALUES_MOST = 16 };

static bool is_layer(const mien_node *node, const char *name) {
    return strcmp(node->def->name, name) == 0;
}

/* The layer whose weights make the outputs; 0: no single layer does, or the outputs are features.
 */
static int classifier_of(const mien_model *model) {
    const mien_graph *graph = &model->graph;
    const bool values = model->meta.head == MIEN_HEAD_VALUES;
    if (values && (model->meta.output_rank > 1 || graph->classes > VALUES_MOST)) return 0;
    for (int i = graph->count - 1; i > 0 && graph->nodes[i].input_count == 1;
         i = graph->nodes[i].inputs[0]) {
        const mien_node *node = &graph->nodes[i];
        if (!node->param_count || (node->def->flags & MIEN_NORMALISES)) continue;
        if (!node->def->linear || (values && !is_layer(node, "dense"))) return 0;
        while (graph->nodes[i].implicit)
            i--;
        return i;
    }
    return 0;
}

/* One past the features of a network that ends in them: before what only lists the numbers. */
static int end_of_features(const mien_model *model) {
    const mien_graph *graph = &model->graph;
    int i = graph->logits;
    while (model->meta.output_rank > 1 && graph->nodes[i].input_count == 1 &&
           (is_layer(&graph->nodes[i], "reshape") || is_layer(&graph->nodes[i], "flatten")))
        i = graph->nodes[i].inputs[0];
    return i + 1;
}

mien_status mien_model_head(const mien_model *model, const char *path, int *first) {
    *first = classifier_of(model);
    if (*first) return MIEN_OK;
    if (model->meta.head != MIEN_HEAD_VALUES)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s': no single layer makes its classes, so its head cannot be told from "
                         "the rest: use a model that ends in one dense layer, or name the layers "
                         "to freeze",
                         path);
    *first = end_of_features(model);
    return MIEN_OK;
}

/* The weights of an old classifier: columns of a dense layer or a 1x1 convolution. */
typedef struct columns {
    int inputs, count; /* inputs 0: there are none */
    const float *kernel, *bias;
} columns;

static columns columns_of(const mien_model *model, int first) {
    const mien_node *node = &model->graph.nodes[first];
    const mien_shape s = node->param_count ? node->params[0].shape : (mien_shape){0};
    const bool known = !(model->meta.unknown & MIEN_UNKNOWN_CLASSES) &&
                       (is_layer(node, "dense") || is_layer(node, "conv2d"));
    if (!known || s.n != 1 || s.h != 1 || s.c != model->meta.classes) return (columns){0};
    return (columns){s.w, s.c, mien_weights_get(&model->weights, first, 0),
                     node->param_count > 1 ? mien_weights_get(&model->weights, first, 1) : NULL};
}

static mien_status append(mien_graph *graph, const char *layer, const char *path, mien_value *keys,
                          int classes) {
    return mien_graph_append(graph, mien_layer_find(layer), keys, path, 0, classes);
}

/* {name: head, units: classes, activation: softmax}, without a name that is taken. */
static mien_status dense_keys(const mien_graph *graph, mien_tree *tree, mien_value **out) {
    static const char *const keys[][2] = {
        {"units", "classes"}, {"activation", "softmax"}, {"name", "head"}};
    MIEN_TRY(mien_tree_value(tree, MIEN_VALUE_MAP, out));
    for (int i = 0; i < (mien_graph_find(graph, "head") < 0 ? 3 : 2); i++) {
        mien_value *value;
        MIEN_TRY(mien_tree_value(tree, MIEN_VALUE_STRING, &value));
        value->key = keys[i][0];
        value->text = keys[i][1];
        MIEN_TRY(mien_tree_append(tree, *out, value));
    }
    return MIEN_OK;
}

static mien_status add_head(mien_graph *graph, const char *path, int classes) {
    mien_tree tree = {0};
    mien_value *keys;
    mien_status status = MIEN_OK;
    if (!graph->nodes[graph->count - 1].flat)
        MIEN_TRY(append(graph, "global_average_pooling2d", path, NULL, classes));
    MIEN_GO(mien_tree_start(&tree, path));
    MIEN_GO(dense_keys(graph, &tree, &keys));
    MIEN_GO(append(graph, "dense", path, keys, classes));
    status = mien_graph_finish(graph, path);
out:
    mien_tree_release(&tree);
    return status;
}

/* The new classes that the model knows begin with their old columns. */
static int keep_columns(const mien_meta *meta, const columns *old,
                        const char (*names)[MIEN_CLASS_NAME], int classes, float *kernel,
                        float *bias) {
    int kept = 0;
    for (int k = 0; k < classes; k++) {
        const int from = mien_class_find((const char(*)[MIEN_CLASS_NAME])meta->class_names,
                                         meta->classes, names[k]);
        if (from < 0) continue;
        for (int i = 0; i < old->inputs; i++)
            kernel[i * classes + k] = old->kernel[i * old->count + from];
        bias[k] = old->bias ? old->bias[from] : 0;
        kept++;
    }
    return kept;
}

/* The base keeps its weights, which move; those of the new nodes are drawn. */
static mien_status draw_weights(mien_model *model, int first, uint32_t seed, mien_weights *out) {
    MIEN_TRY(mien_weights_zeros(&model->graph, out));
    for (int i = 0; i < model->graph.count; i++)
        for (int k = 0; k < model->graph.nodes[i].param_count; k++) {
            float **to = &out->items[i * MIEN_PARAMS_MAX + k];
            float **from = &model->weights.items[i * MIEN_PARAMS_MAX + k];
            if (i >= first) {
                mien_init_param(&model->graph.nodes[i], k, seed, *to);
                continue;
            }
            float *const empty = *to;
            *to = *from;
            *from = empty;
        }
    return MIEN_OK;
}

static mien_status set_meta(mien_meta *meta, const char (*names)[MIEN_CLASS_NAME], int classes) {
    mien_free(meta->class_names);
    meta->class_names = NULL;
    meta->classes = 0;
    MIEN_TRY(mien_new(&meta->class_names, (size_t)classes, MIEN_CLASS_NAME));
    memcpy(meta->class_names, names, (size_t)classes * MIEN_CLASS_NAME);
    meta->classes = classes;
    meta->head = MIEN_HEAD_SOFTMAX;
    meta->output_rank = 0;
    meta->unknown &= ~(unsigned)MIEN_UNKNOWN_CLASSES;
    meta->temperature = 1;
    meta->uncertain_below = MIEN_UNCERTAIN_BELOW;
    return MIEN_OK;
}

mien_status mien_model_replace_head(mien_model *model, const char *path,
                                    const char (*names)[MIEN_CLASS_NAME], int classes,
                                    uint32_t seed, bool keep, int *first, int *kept) {
    mien_graph *graph = &model->graph;
    mien_weights weights = {0};
    MIEN_TRY(mien_model_head(model, path, first));
    const columns old = columns_of(model, *first);
    mien_graph_cut(graph, *first);
    mien_status status = add_head(graph, path, classes);
    if (status != MIEN_OK) return mien_fail_context(status, "'%s' cannot get a new head", path);
    MIEN_GO(draw_weights(model, *first, seed, &weights));
    const int dense = graph->logits;
    *kept = 0;
    if (keep && old.inputs == graph->nodes[dense].in[0].c)
        *kept =
            keep_columns(&model->meta, &old, names, classes, mien_weights_get(&weights, dense, 0),
                         mien_weights_get(&weights, dense, 1));
    mien_weights_release(&model->weights);
    model->weights = weights;
    weights = (mien_weights){0};
    status = set_meta(&model->meta, names, classes);
out:
    mien_weights_release(&weights);
    return status;
}
