#include "tests/support/tiny_model.h"

#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static const char network[] = "name: tiny\nlayers:\n"
                              "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
                              "  - flatten\n  - dense: {units: classes, activation: softmax}\n";

void tiny_ensemble(mien_backend *backend, int channels, mien_ensemble *out) {
    const mien_graph_io io = {TINY_SIDE, TINY_SIDE, channels, TINY_CLASSES};
    const char *const path =
        scratch_path(channels == 1 ? "gray.safetensors" : "colour.safetensors");
    mien_model model = {0};
    mien_tree tree;
    expect_ok(mien_yaml_parse(network, strlen(network), "network", &tree));
    expect_ok(mien_graph_parse(tree.root, "network", io, &model.graph));
    mien_tree_release(&tree);
    expect_ok(mien_weights_create(&model.graph, 7, &model.weights));
    model.meta = (mien_meta){.classes = TINY_CLASSES,
                             .input = {TINY_SIDE, TINY_SIDE, channels},
                             .normalise = {1 / 255.0, {0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}},
                             .resize = "area",
                             .crop = {.square = true, .margin = 0.1},
                             .temperature = 1,
                             .split = {.val = 0.1, .test = 0.1, .by = MIEN_BY_USAGE, .seed = 1}};
    expect_ok(mien_new(&model.meta.class_names, TINY_CLASSES, MIEN_CLASS_NAME));
    for (int k = 0; k < TINY_CLASSES; k++)
        snprintf(model.meta.class_names[k], MIEN_CLASS_NAME, "class%d", k);
    expect_ok(mien_quant_create(&model.graph, &model.quant)); /* no int8 layers */
    expect_ok(mien_model_save(&model, path));
    mien_model_release(&model);
    expect_ok(mien_ensemble_open(&path, 1, backend, TINY_BATCH, out));
}
