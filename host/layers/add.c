/* Sum of two or more inputs of equal shape, as keras.layers.Add. */
#include "host/layers/layer.h"

typedef struct add_attrs {
    mien_layer_common common;
} add_attrs;

static const mien_key rows[] = {MIEN_COMMON_KEYS(add_attrs)};

static mien_status backward(const mien_node *node, const mien_pass *pass) {
    for (int i = 0; i < node->input_count; i++) {
        if (pass->dx[i].data)
            MIEN_TRY(
                pass->ops->copy(pass->backend, &pass->dx[i], &pass->dy, pass->dx_accumulate[i]));
    }
    return MIEN_OK;
}

const mien_layer_def mien_layer_add = {
    .name = "add",
    .class_name = "Add",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(add_attrs),
    .min_inputs = 2,
    .max_inputs = MIEN_INPUTS_MAX,
    .flags = MIEN_SUMS,
    .infer = mien_infer_equal,
    .forward = mien_sum_forward,
    .backward = backward,
};
