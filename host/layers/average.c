/* Mean of two or more inputs of equal shape, as keras.layers.Average. */
#include "host/layers/layer.h"

typedef struct average_attrs {
    mien_layer_common common;
} average_attrs;

static const mien_key rows[] = {MIEN_COMMON_KEYS(average_attrs)};

static float weight(const mien_node *node) {
    return 1.0f / (float)node->input_count;
}

static mien_status forward(const mien_node *node, const mien_pass *pass) {
    MIEN_TRY(mien_sum_forward(node, pass));
    return pass->ops->rescale(pass->backend, &pass->y, &pass->y, weight(node), 0, false);
}

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    for (int i = 0; i < node->input_count; i++) {
        if (pass->dx[i].data)
            MIEN_TRY(pass->ops->rescale(pass->backend, &pass->dx[i], &pass->dy, weight(node), 0,
                                        pass->dx_accumulate[i]));
    }
    return MIEN_OK;
}

const mien_layer_def mien_layer_average = {
    .name = "average",
    .class_name = "Average",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(average_attrs),
    .min_inputs = 2,
    .max_inputs = MIEN_INPUTS_MAX,
    .infer = mien_infer_equal,
    .forward = forward,
    .backward = backward,
};
