/* Networks of Caffe's school read BGR images, Mien RGB: the first layers' weights are reordered. */
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/model.h"

static void swap_floats(float *a, float *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

static bool is_any(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* Reorders a layer that reads swapped channels; *on: it passes them on swapped. */
static mien_status swap_layer(mien_model *model, int i, const char *path, bool *on) {
    static const char *const same[] = {"zero_padding2d",    "cropping2d",    "rescaling",
                                       "resizing",          "up_sampling2d", "max_pooling2d",
                                       "average_pooling2d", "dropout",       "activation"};
    static const char *const vectors[] = {"batch_normalization", "normalization"};
    const mien_node *node = &model->graph.nodes[i];
    *on = true;
    if (is_any(node->def->name, same, sizeof same / sizeof same[0])) return MIEN_OK;
    if (is_any(node->def->name, vectors, sizeof vectors / sizeof vectors[0])) {
        for (int k = 0; k < node->param_count; k++) {
            float *p = mien_weights_get(&model->weights, i, k);
            if (node->params[k].shape.c == 3) swap_floats(p, p + 2, 1);
        }
        return MIEN_OK;
    }
    *on = false;
    if (strcmp(node->def->name, "conv2d") != 0 || node->params[0].shape.w != 3)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s': the layer '%s' (%s) cannot be changed from BGR to RGB, so "
                         "--preprocess caffe is not supported for this model",
                         path, node->name, node->def->name);
    const mien_shape s = node->params[0].shape;
    float *kernel = mien_weights_get(&model->weights, i, 0);
    const size_t filters = (size_t)s.c;
    for (size_t at = 0; at < (size_t)(s.n * s.h); at++, kernel += 3 * filters)
        swap_floats(kernel, kernel + 2 * filters, filters);
    return MIEN_OK;
}

mien_status mien_model_swap_channels(mien_model *model, const char *path) {
    bool swapped[MIEN_NODES_MAX] = {[0] = true};
    for (int i = 1; i < model->graph.count; i++) {
        const mien_node *node = &model->graph.nodes[i];
        bool reads = false;
        for (int k = 0; k < node->input_count; k++)
            reads |= swapped[node->inputs[k]];
        if (reads) MIEN_TRY(swap_layer(model, i, path, &swapped[i]));
    }
    return MIEN_OK;
}
