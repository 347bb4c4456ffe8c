/* The other convolutions (grouped, dilated, depthwise, separable, transposed) in files, plans and
 * messages: .h5 round trips, separable layers as one layer, int8 support, refused keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/formats/model.h"
#include "host/graph/quant.h"
#include "include/mien/mien.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

enum { SIDE = 12, CLASSES = 3, IMAGES = 5 };

static const char network[] =
    "name: all\nlayers:\n"
    "  - conv2d: {name: groups, filters: 8, kernel_size: 3, activation: relu}\n"
    "  - conv2d: {name: wide, filters: 8, kernel_size: 3, groups: 4, dilation_rate: 2}\n"
    "  - depthwise_conv2d: {kernel_size: 3, depth_multiplier: 2, padding: same}\n"
    "  - batch_normalization\n  - activation: {activation: relu}\n"
    "  - separable_conv2d: {name: pair, filters: 6, kernel_size: 3, strides: 2, padding: same, "
    "activation: relu}\n"
    "  - conv2d_transpose: {filters: 6, kernel_size: 3, strides: 2, output_padding: 1}\n"
    "  - conv2d_transpose: {name: up, filters: 4, kernel_size: 2, strides: 2, padding: same}\n"
    "  - separable_conv2d: {filters: 5, kernel_size: [2, 3], depth_multiplier: 2}\n"
    "  - global_average_pooling2d\n  - dense: {units: classes, activation: softmax}\n";

static mien_status parse(const char *text, mien_graph *graph) {
    mien_tree tree;
    mien_status status = mien_yaml_parse(text, strlen(text), "m.yaml", &tree);
    if (status == MIEN_OK)
        status =
            mien_graph_parse(tree.root, "m.yaml", (mien_graph_io){SIDE, SIDE, 1, CLASSES}, graph);
    mien_tree_release(&tree);
    return status;
}

static void make(mien_model *model) {
    *model = (mien_model){0};
    expect_ok(parse(network, &model->graph));
    expect_ok(mien_weights_create(&model->graph, 7, &model->weights));
    model->meta.input = (mien_image_spec){SIDE, SIDE, 1};
    model->meta.classes = CLASSES;
    expect_ok(mien_new(&model->meta.class_names, CLASSES, MIEN_CLASS_NAME));
    for (int k = 0; k < CLASSES; k++)
        snprintf(model->meta.class_names[k], MIEN_CLASS_NAME, "class%d", k);
    model->meta.temperature = 1;
    model->meta.split.by = MIEN_BY_USAGE;
    model->meta.normalise = (mien_normalise){1 / 255.0, {0.5}, {0.25}};
}

static void predict(const mien_model *model, float *out) {
    uint8_t images[IMAGES * SIDE * SIDE];
    mien_backend *cpu;
    mien_predictor *p;
    for (size_t i = 0; i < sizeof images; i++)
        images[i] = (uint8_t)(i * 2654435761u >> 24);
    expect_ok(mien_backend_open("cpu", NULL, &cpu));
    expect_ok(mien_predictor_create(model, cpu, IMAGES, &p));
    expect_ok(mien_predictor_run(p, images, IMAGES, out));
    mien_predictor_free(p);
    mien_backend_close(cpu);
}

/* A round trip through .h5 keeps layers, weights and predictions. */
static void test_h5(void **state) {
    (void)state;
    char path[64];
    mien_model model, back;
    float before[IMAGES * CLASSES], after[IMAGES * CLASSES];
    if (mien_h5_available() != MIEN_OK) skip();
    snprintf(path, sizeof path, "/tmp/mien-test-convolutions-%d.h5", (int)getpid());
    make(&model);
    expect_ok(mien_model_save(&model, path));
    expect_ok(mien_model_open(path, &back));
    assert_int_equal(back.graph.count, model.graph.count);
    for (int i = 0; i < model.graph.count; i++) {
        assert_string_equal(back.graph.nodes[i].name, model.graph.nodes[i].name);
        for (int k = 0; k < model.graph.nodes[i].param_count; k++)
            assert_memory_equal(
                mien_weights_get(&back.weights, i, k), mien_weights_get(&model.weights, i, k),
                mien_shape_count(model.graph.nodes[i].params[k].shape) * sizeof(float));
    }
    predict(&model, before);
    predict(&back, after);
    assert_memory_equal(before, after, sizeof before);
    mien_model_release(&back);
    mien_model_release(&model);
    unlink(path);
}

/* A separable layer is two nodes but counts as one layer in totals, summary and Keras config. */
static void test_separable(void **state) {
    (void)state;
    mien_graph graph;
    mien_text table = {0}, config = {0};
    expect_ok(parse("layers:\n"
                    "  - separable_conv2d: {name: s, filters: 6, kernel_size: 3, "
                    "depth_multiplier: 2, activation: relu}\n"
                    "  - flatten: {inputs: [s]}\n"
                    "  - dense: {units: classes, activation: softmax}\n",
                    &graph));
    const int end = mien_layer_end(&graph, 1);
    assert_int_equal(end, 4); /* depthwise, pointwise, activation */
    assert_int_equal(graph.nodes[4].inputs[0], 3);
    const mien_graph_totals own = mien_layer_sum(&graph, 1);
    assert_int_equal(own.params, 9 * 2 + 2 * 6 + 6);
    assert_true(own.flops >= 2.0 * 100 * (9 * 2 + 2 * 6) && own.flops < 7000);
    mien_graph_summary(&graph, &table);
    assert_non_null(strstr(table.data, "10x10x6"));
    assert_null(strstr(table.data, "pointwise"));
    mien_keras_write_config(&graph, &config);
    assert_non_null(strstr(config.data, "SeparableConv2D"));
    assert_null(strstr(config.data, "s/pointwise"));
    mien_text_release(&table);
    mien_text_release(&config);
    mien_graph_release(&graph);
}

/* Only ordinary operators run in int8; a quantized other one is refused with the layer's name. */
static void test_int8_support(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool can;
    } nodes[] = {{"groups", true},
                 {"wide", false},
                 {"depthwise_conv2d", false},
                 {"pair", false},
                 {"pair/pointwise", true},
                 {"conv2d_transpose", false},
                 {"global_average_pooling2d", false}};
    mien_graph graph;
    mien_quant quant;
    expect_ok(parse(network, &graph));
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        assert_int_equal(mien_quant_can(&graph.nodes[mien_graph_find(&graph, nodes[i].name)]),
                         nodes[i].can);
    const int wide = mien_graph_find(&graph, "wide");
    expect_ok(mien_quant_create(&graph, &quant));
    expect_ok(mien_quant_add(&graph, &quant, wide));
    quant.layers[wide].x_scale = 1;
    for (int k = 0; k < graph.nodes[wide].out.c; k++)
        quant.layers[wide].w_scale[k] = 1;
    assert_int_equal(mien_quant_check(&graph, &quant), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "layer 'wide'"));
    mien_quant_release(&quant);
    mien_graph_release(&graph);
}

/* The pointwise part of a separable layer may be int8, and survives a round trip through a file. */
static void test_pointwise_int8(void **state) {
    (void)state;
    char path[64];
    mien_model model, back;
    snprintf(path, sizeof path, "/tmp/mien-test-convolutions-%d.safetensors", (int)getpid());
    make(&model);
    const int tail = mien_graph_find(&model.graph, "pair/pointwise");
    const mien_node *node = &model.graph.nodes[tail];
    expect_ok(mien_quant_create(&model.graph, &model.quant));
    expect_ok(mien_quant_add(&model.graph, &model.quant, tail));
    model.quant.layers[tail].x_scale = 0.5F;
    for (int k = 0; k < node->out.c; k++)
        model.quant.layers[tail].w_scale[k] = 1 / 64.0F;
    expect_ok(mien_model_save(&model, path));
    expect_ok(mien_model_open(path, &back));
    assert_int_equal(mien_quant_count(&back.quant), 1);
    const float *was = mien_weights_get(&model.weights, tail, 0);
    const float *is = mien_weights_get(&back.weights, tail, 0);
    for (size_t i = 0; i < mien_shape_count(node->params[0].shape); i++)
        assert_true(is[i] - was[i] <= 1 / 128.0F && was[i] - is[i] <= 1 / 128.0F);
    mien_model_release(&back);
    mien_model_release(&model);
    unlink(path);
}

/* Long names that differ only where the suffix of the part would overwrite them are refused. */
static void test_long_names(void **state) {
    (void)state;
#define LONG "a_name_of_fifty_four_letters_and_more_that_is_cut_here_"
    mien_graph graph;
    assert_int_equal(parse("layers:\n"
                           "  - separable_conv2d: {name: " LONG "1, filters: 2, kernel_size: 1}\n"
                           "  - separable_conv2d: {name: " LONG "2, filters: 2, kernel_size: 1}\n",
                           &graph),
                     MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "its name is too long"));
    mien_graph_release(&graph);
#undef LONG
}

static void test_messages(void **state) {
    (void)state;
    static const struct {
        const char *layer, *says;
    } cases[] = {
        {"conv2d: {name: x, filters: 4, kernel_size: 3, groups: 3}",
         "groups: 3 does not divide its 1 input channels and 4 filters"},
        {"conv2d: {name: x, filters: 4, kernel_size: 3, groups: 0}", "groups"},
        {"conv2d: {name: x, filters: 4, kernel_size: 3, strides: 2, dilation_rate: 2}",
         "strides of 2x2 and a dilation_rate of 2x2: one must be 1"},
        {"conv2d: {name: x, filters: 4, kernel_size: 3, dilation_rate: 6}",
         "kernel of 13x13 does not fit an image of 12x12"},
        {"depthwise_conv2d: {name: x, kernel_size: 3, strides: [1, 2], dilation_rate: 2}",
         "one must be 1"},
        {"depthwise_conv2d: {name: x, kernel_size: 13}", "kernel of 13x13 does not fit"},
        {"separable_conv2d: {name: x, filters: 2, kernel_size: 13}", "kernel of 13x13"},
        {"separable_conv2d: {name: x, kernel_size: 3}", "'filters'"},
        {"conv2d_transpose: {name: x, filters: 2, kernel_size: 3, output_padding: 1}",
         "output_padding: [1, 1] must be less than strides: [1, 1]"},
        {"conv2d_transpose: {name: x, filters: 2, kernel_size: 3, strides: 2, output_padding: "
         "[-1, 1]}",
         "output_padding: [-1, 1]: give both numbers"},
        {"conv2d_transpose: {name: x, filters: 2, kernel_size: 3, strides: 2, dilation_rate: 2}",
         "one must be 1"},
        {"conv2d_transpose: {name: x, filters: 2, kernel_size: 3, strides: 4, padding: same, "
         "output_padding: 3}",
         ""},
        {"conv2d_transpose: {name: x, filters: 2, kernel_size: 255, strides: 255}\n"
         "  - conv2d_transpose: {name: y, filters: 1, kernel_size: 255, strides: 255}",
         "too large"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[400];
        mien_graph graph;
        snprintf(text, sizeof text,
                 "layers:\n  - %s\n  - flatten\n  - dense: {units: classes, activation: softmax}\n",
                 cases[i].layer);
        const mien_status status = parse(text, &graph);
        if (!cases[i].says[0]) {
            expect_ok(status);
        } else if (status == MIEN_OK || !strstr(mien_error_message(), cases[i].says) ||
                   (!strstr(mien_error_message(), "m.yaml:2") &&
                    !strstr(mien_error_message(), "m.yaml:3")))
            fail_msg("%s: expected '%s' in: %s", cases[i].layer, cases[i].says,
                     status ? mien_error_message() : "no error");
        mien_graph_release(&graph);
    }
}

int main(void) {
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-h5 */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h5),           cmocka_unit_test(test_separable),
        cmocka_unit_test(test_int8_support), cmocka_unit_test(test_pointwise_int8),
        cmocka_unit_test(test_long_names),   cmocka_unit_test(test_messages)};
    return cmocka_run_group_tests_name("convolutions", tests, NULL, NULL);
}
