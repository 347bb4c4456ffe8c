#include "host/layers/layer.h"

#include <string.h>

#define LAYER(name) extern const mien_layer_def mien_layer_##name;
#include "host/layers/layers.def"
#undef LAYER

static const mien_layer_def *const table[] = {
#define LAYER(name) &mien_layer_##name,
#include "host/layers/layers.def"
#undef LAYER
};

const mien_layer_def *const *mien_layers(size_t *count) {
    *count = sizeof table / sizeof table[0];
    return table;
}

const mien_layer_def *mien_layer_find(const char *name) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i]->name, name) == 0) return table[i];
    return NULL;
}

const mien_layer_def *mien_layer_find_class(const char *class_name) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i]->class_name, class_name) == 0) return table[i];
    return NULL;
}

void mien_declare(mien_node *node, mien_param param) {
    node->params[node->param_count++] = param;
}

int mien_conv_axis(int in, int kernel, int stride, int padding, int *before, int *after) {
    *before = *after = 0;
    if (padding == MIEN_VALID) return in < kernel ? 0 : (in - kernel) / stride + 1;
    const int out = (in + stride - 1) / stride;
    const int need = (out - 1) * stride + kernel - in;
    const int total = need > 0 ? need : 0;
    *before = total / 2;
    *after = total - *before;
    return out;
}

float mien_activation_alpha(int activation) {
    return activation == BODY_LEAKY_RELU ? 0.2f : 1.0f;
}

bool mien_activation_from_output(int activation) {
    static const bool from_output[] = {
#define FROM_OUTPUT(id, name, flag) flag,
        BODY_ACTIVATIONS(FROM_OUTPUT)
#undef FROM_OUTPUT
    };
    return activation != BODY_SOFTMAX && from_output[activation];
}

int mien_node_activation(const mien_node *node) {
    const mien_key *key = mien_keys_find(node->def->keys, "activation");
    return key ? *(const int *)((const char *)node->attrs + key->offset) : BODY_LINEAR;
}
