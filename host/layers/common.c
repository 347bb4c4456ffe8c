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

mien_status mien_infer_same(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    (void)node, (void)flat;
    *out = *in;
    return MIEN_OK;
}

mien_status mien_infer_equal(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    (void)flat;
    *out = in[0];
    for (int i = 1; i < node->input_count; i++)
        if (in[i].h != in[0].h || in[i].w != in[0].w || in[i].c != in[0].c)
            return MIEN_FAIL(INVALID, "its inputs have different shapes: %dx%dx%d and %dx%dx%d",
                             in[0].h, in[0].w, in[0].c, in[i].h, in[i].w, in[i].c);
    return MIEN_OK;
}

mien_status mien_copy_forward(const mien_node *node, const mien_pass *pass) {
    (void)node;
    return pass->ops->copy(pass->backend, &pass->y, &pass->x[0], false);
}

mien_status mien_copy_backward(const mien_node *node, const mien_pass *pass) {
    (void)node;
    if (!pass->dx[0].data) return MIEN_OK;
    return pass->ops->copy(pass->backend, &pass->dx[0], &pass->dy, pass->dx_accumulate[0]);
}

mien_status mien_sum_forward(const mien_node *node, const mien_pass *pass) {
    const mien_tensor *sum = &pass->x[0];
    for (int i = 1; i < node->input_count; i++) {
        MIEN_TRY(pass->ops->add(pass->backend, &pass->y, sum, &pass->x[i]));
        sum = &pass->y;
    }
    return MIEN_OK;
}

mien_status mien_require_image(const mien_shape *in, bool flat) {
    return flat ? MIEN_FAIL(INVALID, "it needs an image, not a flat input of %d numbers", in->c)
                : MIEN_OK;
}

mien_status mien_require_channel_axis(int axis, bool flat) {
    return axis == -1 || axis == (flat ? 1 : 3)
               ? MIEN_OK
               : MIEN_FAIL(UNSUPPORTED, "axis %d: only the channel axis, -1 or %d, is supported",
                           axis, flat ? 1 : 3);
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
