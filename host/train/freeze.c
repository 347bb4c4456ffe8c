#include "host/train/freeze.h"

#include <fnmatch.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"

/* A layer can have several nodes: the parts of a separable convolution, its activation. */
static void set_trainable(mien_graph *graph, int layer, bool trainable) {
    for (int k = layer; k < mien_layer_end(graph, layer); k++)
        ((mien_layer_common *)graph->nodes[k].attrs)->trainable = trainable;
}

static bool has_weights(const mien_graph *graph, int layer) {
    return mien_layer_sum(graph, layer).params > 0;
}

/* Names the layers with weights, and the nearest. */
static mien_status no_such_layer(const mien_graph *graph, const char *rule) {
    enum { SHOWN = 40 };
    const char **names = NULL;
    size_t count = 0;
    mien_text list = {0};
    MIEN_TRY(mien_new(&names, (size_t)graph->count, sizeof *names));
    for (int i = 1; i < graph->count; i++)
        if (!graph->nodes[i].implicit && has_weights(graph, i))
            names[count++] = graph->nodes[i].name;
    for (size_t i = 0; i < count && i < SHOWN; i++)
        mien_text_printf(&list, "%s%.24s", i ? ", " : "", names[i]);
    const char *near = mien_nearest(rule, names, count);
    const mien_status status = MIEN_FAIL(
        NOT_FOUND,
        "model.freeze: there is no layer '%.64s' in the network '%s'%s%s%s; it takes 'base', "
        "patterns such as 'block1_*', and the layers with weights: %.600s%s",
        rule, graph->name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "",
        list.data ? list.data : "none", count > SHOWN ? ", …" : "");
    mien_text_release(&list);
    mien_free(names);
    return status;
}

static mien_status apply(const char *rule, const char *path, int head, mien_model *model) {
    mien_graph *graph = &model->graph;
    const bool trainable = rule[0] == '!';
    bool found = false;
    rule += trainable;
    const bool base = strcmp(rule, "base") == 0 && mien_graph_find(graph, rule) < 0;
    if (base && !head) MIEN_TRY(mien_model_head(model, path, &head));
    for (int i = 1; i < graph->count; i++) {
        const mien_node *node = &graph->nodes[i];
        if (node->implicit || !(base ? i < head : fnmatch(rule, node->name, 0) == 0)) continue;
        set_trainable(graph, i, trainable);
        found = true;
    }
    return found || base ? MIEN_OK : no_such_layer(graph, rule);
}

mien_status mien_freeze(const mien_texts *rules, const char *path, int head, mien_model *model) {
    const mien_graph *graph = &model->graph;
    int layers = 0, frozen = 0;
    for (size_t i = 0; i < rules->count; i++)
        MIEN_TRY(apply(rules->items[i], path, head, model));
    for (int i = 1; i < graph->count; i++) {
        if (graph->nodes[i].implicit || !has_weights(graph, i)) continue;
        layers++;
        frozen += !((const mien_layer_common *)graph->nodes[i].attrs)->trainable;
    }
    if (frozen)
        MIEN_INFO("%d of %d layers with weights are frozen%s", frozen, layers,
                  rules->count ? "" : ", as in the file; model.freeze=[\"!*\"] trains them");
    return MIEN_OK;
}
