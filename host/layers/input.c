/* The batch of input images. It is the first node of every graph and is not written in model files
 * (.yaml); its shape comes from the config's `input` section or the trained model's file. */
#include "host/layers/layer.h"

typedef struct input_attrs {
    mien_layer_common common;
} input_attrs;

static const mien_key rows[] = {MIEN_COMMON_KEYS(input_attrs)};

static mien_status infer(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat) {
    (void)in;
    *out = node->out; /* set by mien_graph_start */
    *flat = false;
    return MIEN_OK;
}

static mien_status pass(const mien_node *node, const mien_pass *pass) {
    (void)node, (void)pass; /* filled by the loader */
    return MIEN_OK;
}

const mien_layer_def mien_layer_input = {
    .name = "input",
    .class_name = "InputLayer",
    .keys = {rows, sizeof rows / sizeof rows[0]},
    .attr_bytes = sizeof(input_attrs),
    .infer = infer,
    .forward = pass,
    .backward = pass,
};
