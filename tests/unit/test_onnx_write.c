/* Networks written as .onnx and read again: every layer of layers.def with all its settings, the
 * settings of the model, and what cannot be written. Both models must answer alike. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/formats/format.h"
#include "host/formats/onnx_proto.h"
#include "host/infer/ensemble.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

enum { IMAGES = 3, CLASSES = 4 };
static const double tolerance = 1e-6;

static mien_backend *backend;

typedef struct net {
    const char *layers;
    int height, width, channels;
} net;

#define CONV "  - conv2d: {filters: 6, kernel_size: 3, padding: same}\n"
#define TWO                                                                                        \
    "  - conv2d: {name: a, inputs: [input], filters: 5, kernel_size: 1}\n"                         \
    "  - conv2d: {name: b, inputs: [input], filters: 5, kernel_size: 3, padding: same}\n"
#define ACTIVATION(name)                                                                           \
    { CONV "  - activation: {activation: " name "}\n", 6, 5, 2 }
#define AFTER(layer)                                                                               \
    { CONV "  - " layer "\n", 9, 8, 3 }

/* Each goes on with flatten and a softmax. */
static const net nets[] = {
    {"", 5, 4, 3},
    {"", 1, 3, 2},
    AFTER("conv2d: {filters: 4, kernel_size: [3, 2], use_bias: false}"),
    AFTER("conv2d: {filters: 4, kernel_size: 3, strides: 2, padding: same}"),
    AFTER("conv2d: {filters: 4, kernel_size: [4, 3], strides: [3, 2], padding: same}"),
    AFTER("conv2d: {filters: 4, kernel_size: 3, dilation_rate: [2, 1], padding: same}"),
    AFTER("conv2d: {filters: 4, kernel_size: 3, groups: 2, activation: relu}"),
    AFTER("conv2d: {filters: 6, kernel_size: 3, groups: 6}"),
    AFTER("depthwise_conv2d: {kernel_size: 3, padding: same, strides: 2, activation: relu6}"),
    AFTER("depthwise_conv2d: {kernel_size: [2, 3], depth_multiplier: 2}"),
    AFTER("depthwise_conv2d: {kernel_size: 3, dilation_rate: 2, use_bias: false}"),
    {"  - depthwise_conv2d: {kernel_size: 3, depth_multiplier: 2}\n", 5, 5, 1},
    AFTER("separable_conv2d: {filters: 5, kernel_size: 3, padding: same, activation: tanh}"),
    AFTER("separable_conv2d: {filters: 5, kernel_size: 3, depth_multiplier: 2, strides: 2}"),
    AFTER("conv2d_transpose: {filters: 3, kernel_size: 3}"),
    AFTER("conv2d_transpose: {filters: 3, kernel_size: 3, strides: 2, padding: same}"),
    AFTER("conv2d_transpose: {filters: 3, kernel_size: 4, strides: [2, 3], padding: same}"),
    AFTER("conv2d_transpose: {filters: 3, kernel_size: 2, strides: 3, padding: same}"),
    AFTER("conv2d_transpose: {filters: 3, kernel_size: 2, strides: 3}"),
    AFTER("conv2d_transpose: {filters: 3, kernel_size: 3, strides: 2, output_padding: 1}"),
    AFTER("conv2d_transpose: {filters: 3, kernel_size: 3, strides: 2, padding: same, "
          "output_padding: 0, use_bias: false}"),
    AFTER("conv2d_transpose: {filters: 3, kernel_size: 3, dilation_rate: 2, padding: same}"),
    {"  - flatten\n  - dense: {units: 7, activation: elu}\n  - dense: {units: 3, use_bias: "
     "false}\n",
     4, 3, 2},
    {"  - dense: {units: 7, activation: sigmoid}\n  - dense: {units: 5}\n", 1, 1, 3},
    AFTER("max_pooling2d"),
    AFTER("max_pooling2d: {pool_size: 3, strides: 2, padding: same}"),
    AFTER("max_pooling2d: {pool_size: [2, 3], strides: 1, padding: same}"),
    AFTER("average_pooling2d: {pool_size: [3, 2]}"),
    AFTER("average_pooling2d: {pool_size: 3, strides: 2, padding: same}"),
    AFTER("global_average_pooling2d"),
    AFTER("global_average_pooling2d: {keepdims: true}"),
    AFTER("global_max_pooling2d"),
    AFTER("global_max_pooling2d: {keepdims: true}"),
    AFTER("batch_normalization"),
    AFTER("batch_normalization: {scale: false, epsilon: 0.01}"),
    AFTER("batch_normalization: {center: false, trainable: false}"),
    {"  - flatten\n  - batch_normalization: {scale: false, center: false}\n", 3, 4, 2},
    AFTER("normalization: {mean: 0.5, variance: 2}"),
    {"  - normalization: {mean: [1, 2], variance: [3, 0.25]}\n", 4, 3, 2},
    ACTIVATION("linear"),
    ACTIVATION("relu"),
    ACTIVATION("relu6"),
    ACTIVATION("leaky_relu"),
    ACTIVATION("elu"),
    ACTIVATION("selu"),
    ACTIVATION("gelu"),
    ACTIVATION("sigmoid"),
    ACTIVATION("hard_sigmoid"),
    ACTIVATION("swish"),
    ACTIVATION("tanh"),
    ACTIVATION("softmax"),
    {"  - activation: {activation: gelu}\n  - flatten\n  - dense: {units: 5, activation: gelu}\n",
     3, 3, 2},
    AFTER("relu"),
    AFTER("relu: {max_value: 0.5}"),
    AFTER("relu: {negative_slope: 0.1}"),
    AFTER("relu: {max_value: 0.5, negative_slope: 0.1}"),
    AFTER("relu: {threshold: 0.25}"),
    AFTER("relu: {threshold: 0.25, max_value: 0.5, negative_slope: 0.1}"),
    AFTER("relu: {threshold: 0.5, max_value: 0.25}"),
    AFTER("leaky_relu"),
    AFTER("leaky_relu: {negative_slope: 0}"),
    AFTER("elu: {alpha: 0.7}"),
    AFTER("elu: {alpha: 0}"),
    AFTER("prelu"),
    AFTER("prelu: {shared_axes: [1, 2]}"),
    AFTER("prelu: {shared_axes: [2]}"),
    {"  - flatten\n  - prelu\n", 3, 4, 2},
    AFTER("softmax"),
    AFTER("rescaling: {scale: -0.5, offset: 2}"),
    AFTER("rescaling: {scale: 1, offset: -1}"),
    AFTER("rescaling: {scale: 1}"),
    AFTER("dropout: {rate: 0.5}"),
    AFTER("dropout: {rate: 0}"),
    AFTER("spatial_dropout2d: {rate: 0.5}"),
    AFTER("gaussian_noise: {stddev: 0.5}"),
    {"  - dropout: {rate: 0.5}\n  - gaussian_noise: {stddev: 1}\n", 4, 3, 2},
    {TWO "  - add: {inputs: [a, b]}\n", 4, 3, 2},
    {TWO "  - add: {inputs: [b, a, b]}\n", 4, 3, 2},
    {TWO "  - multiply: {inputs: [a, b]}\n", 4, 3, 2},
    {TWO "  - global_average_pooling2d: {name: g, keepdims: true}\n"
         "  - multiply: {inputs: [a, g]}\n",
     4, 3, 2},
    {CONV "  - multiply: {inputs: [conv2d, conv2d]}\n", 4, 3, 2},
    {TWO "  - average: {inputs: [a, b]}\n", 4, 3, 2},
    {TWO "  - average: {inputs: [a, b, a]}\n", 4, 3, 2},
    {TWO "  - maximum: {inputs: [a, b]}\n", 4, 3, 2},
    {TWO "  - maximum: {inputs: [a, b, a]}\n", 4, 3, 2},
    {TWO "  - concatenate: {inputs: [a, input, b]}\n", 4, 3, 2},
    {"  - flatten: {name: f}\n  - dense: {name: d, units: 5}\n  - concatenate: {inputs: [d, f]}\n"
     "  - dense: {name: e, units: 5}\n  - add: {inputs: [d, e]}\n",
     4, 3, 2},
    AFTER("zero_padding2d"),
    AFTER("zero_padding2d: {padding: [[0, 3], [2, 1]]}"),
    AFTER("cropping2d: {cropping: [[0, 3], [2, 1]]}"),
    AFTER("up_sampling2d: {size: [3, 2]}"),
    AFTER("up_sampling2d: {interpolation: bilinear}"),
    AFTER("resizing: {height: 7, width: 13}"),
    AFTER("resizing: {height: 7, width: 13, interpolation: nearest}"),
    AFTER("resizing: {height: 18, width: 3, interpolation: nearest}"),
    AFTER("resizing: {height: 27, width: 16, interpolation: nearest}"),
    AFTER("resizing: {height: 9, width: 8}"),
    AFTER("resizing: {height: 1, width: 1, interpolation: nearest}"),
    AFTER("flatten"),
    {"  - flatten\n  - flatten\n", 3, 2, 2},
    AFTER("reshape: {target_shape: [6, -1, 4]}"),
    {"  - reshape: {target_shape: [-1]}\n  - dense: {units: 12}\n"
     "  - reshape: {target_shape: [2, 3, 2]}\n  - conv2d: {filters: 3, kernel_size: 2}\n",
     3, 2, 2},
    AFTER("permute: {dims: [2, 1, 3]}"),
    AFTER("permute: {dims: [3, 1, 2]}"),
    AFTER("permute: {dims: [2, 3, 1]}"),
    {"  - flatten\n  - permute: {dims: 1}\n", 3, 2, 2},
};

/* Weights of about 1 / sqrt(fan in); a variance is positive. */
static void fill(mien_model *model) {
    const mien_graph *graph = &model->graph;
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].param_count; k++) {
            const mien_param *p = &graph->nodes[i].params[k];
            const size_t count = mien_shape_count(p->shape);
            const double size = p->fan_in > 0 ? sqrt(3 / p->fan_in) : 0.5;
            const bool variance = strstr(p->name, "variance") != NULL;
            float *values = mien_weights_get(&model->weights, i, k);
            for (size_t e = 0; e < count; e++) {
                const double number = noise((uint32_t)(100 * i + k), e);
                values[e] = (float)(variance ? 0.5 + fabs(number) : size * number);
            }
        }
}

static void make(const net *from, const char *end, mien_model *model) {
    mien_text text = {0};
    mien_tree tree;
    *model = (mien_model){0};
    mien_text_printf(&text, "layers:\n%s%s", from->layers,
                     end ? end
                         : "  - flatten\n  - dense: {units: classes, activation: softmax, name: "
                           "last}\n");
    expect_ok(mien_yaml_parse(text.data, text.size, "net", &tree));
    expect_ok(mien_graph_parse(tree.root, "net",
                               (mien_graph_io){from->height, from->width, from->channels, CLASSES},
                               &model->graph));
    expect_ok(mien_weights_create(&model->graph, 7, &model->weights));
    expect_ok(mien_meta_default(&model->graph, "net", &model->meta));
    mien_tree_release(&tree);
    mien_text_release(&text);
    fill(model);
}

static uint8_t *make_pixels(size_t size) {
    uint8_t *pixels = malloc(size);
    assert_non_null(pixels);
    for (size_t i = 0; i < size; i++)
        pixels[i] = (uint8_t)whole_below(5, i, 256);
    return pixels;
}

static float *answers(const mien_model *model) {
    const mien_shape in = model->graph.nodes[0].out;
    const size_t size = (size_t)IMAGES * (size_t)in.h * (size_t)in.w * (size_t)in.c;
    mien_predictor *predictor;
    uint8_t *pixels = make_pixels(size);
    float *out = malloc(IMAGES * (size_t)model->meta.classes * sizeof *out);
    assert_non_null(out);
    expect_ok(mien_predictor_create(model, backend, IMAGES, &predictor));
    expect_ok(mien_predictor_run(predictor, pixels, IMAGES, out));
    mien_predictor_free(predictor);
    free(pixels);
    return out;
}

/* The largest difference of the answers, relative to the largest answer. */
static double difference(const mien_model *a, const mien_model *b) {
    float *x = answers(a), *y = answers(b);
    double worst = 0, largest = 0;
    assert_int_equal(a->meta.classes, b->meta.classes);
    for (int i = 0; i < IMAGES * a->meta.classes; i++) {
        const double off = fabs((double)x[i] - (double)y[i]);
        worst = isnan(off) || off > worst ? off : worst;
        largest = fmax(largest, fabs((double)x[i]));
    }
    free(x);
    free(y);
    return worst / largest;
}

/* Writes a model, reads it again, and compares. */
static bool survives(const mien_model *model, mien_model *back) {
    *back = (mien_model){0};
    mien_status status = mien_model_save(model, scratch_path("net.onnx"));
    if (status == MIEN_OK) status = mien_model_open(scratch_path("net.onnx"), back);
    if (status != MIEN_OK) {
        print_message("%s\n", mien_error_message());
        return false;
    }
    assert_ptr_equal(back->format, &mien_format_onnx);
    const double off = difference(model, back);
    if (!(off <= tolerance)) print_message("off by %.3g\n", off);
    return off <= tolerance;
}

/* For tests/golden/check_export.py: leaves net `i` in the folder MIEN_EXPORT, with the answers as
 * floats and the pixels. */
static void leave(const mien_model *model, bool inside, size_t i) {
    const char *folder = getenv("MIEN_EXPORT");
    const mien_shape in = model->graph.nodes[0].out;
    const size_t size = (size_t)IMAGES * (size_t)in.h * (size_t)in.w * (size_t)in.c;
    char path[MIEN_PATH];
    mien_text raw = {0};
    if (!folder) return;
    snprintf(path, sizeof path, "%s/%03zu%s.onnx", folder, i, inside ? "-inside" : "");
    expect_ok(mien_model_save(model, path));
    snprintf(path, sizeof path, "%s/%03zu%s.raw", folder, i, inside ? "-inside" : "");
    float *out = answers(model);
    uint8_t *pixels = make_pixels(size);
    mien_text_append(&raw, out, (size_t)(IMAGES * model->meta.classes) * sizeof *out);
    mien_text_append(&raw, pixels, size);
    expect_ok(mien_file_write(path, raw.data, raw.size));
    mien_text_release(&raw);
    free(pixels);
    free(out);
}

/* ---- layers ---- */

static void every_layer_survives(void **state) {
    int bad = 0;
    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        mien_model model, back;
        make(&nets[i], NULL, &model);
        if (!survives(&model, &back)) {
            print_message("in net %zu:\n%s", i, nets[i].layers);
            bad++;
        }
        leave(&model, false, i);
        model.scaled_inside = true;
        leave(&model, true, i);
        mien_model_release(&model);
        mien_model_release(&back);
    }
    assert_int_equal(bad, 0);
}

/* No layer is left out of the list above. */
static void every_layer_is_tried(void **state) {
    size_t count;
    (void)state;
    const mien_layer_def *const *defs = mien_layers(&count);
    for (size_t i = 1; i < count; i++) {
        char word[MIEN_NAME + 8];
        bool found = false;
        snprintf(word, sizeof word, "- %s", defs[i]->name);
        for (size_t k = 0; k < sizeof nets / sizeof nets[0]; k++)
            found |= strstr(nets[k].layers, word) != NULL;
        if (!found) print_message("%s\n", defs[i]->name);
        assert_true(found);
    }
}

/* ---- settings ---- */

static const net small = {CONV "  - max_pooling2d\n", 6, 6, 3};

static void set_meta(mien_meta *meta) {
    snprintf(meta->class_names[1], MIEN_CLASS_NAME, "fröhlich, \"x\" 中");
    meta->normalise =
        (mien_normalise){1 / 255.0, {0.485, 0.456, 0.406, 0}, {0.229, 0.224, 0.225, 1}};
    meta->temperature = 1.75;
    meta->uncertain_below = 0.25;
    meta->crop = (mien_crop){.square = false, .margin = 0.125};
    snprintf(meta->data, sizeof meta->data, "faces.csv");
    snprintf(meta->producer, sizeof meta->producer, "mien 0.0.9");
    meta->step = 12;
}

static void settings_survive(void **state) {
    mien_model model, back;
    mien_text a = {0}, b = {0};
    (void)state;
    make(&small, NULL, &model);
    set_meta(&model.meta);
    assert_true(survives(&model, &back));
    mien_meta_write(&model.meta, &a);
    mien_meta_write(&back.meta, &b);
    assert_string_equal(a.data, b.data);
    mien_text_release(&a);
    mien_text_release(&b);
    mien_model_release(&model);
    mien_model_release(&back);
}

/* What the network does itself is not done twice. */
static void scaling_can_be_inside(void **state) {
    (void)state;
    for (int same = 0; same < 2; same++) {
        mien_model model, back;
        make(&small, NULL, &model);
        set_meta(&model.meta);
        if (same) model.meta.normalise = (mien_normalise){1 / 255.0, {0}, {1, 1, 1, 1}};
        model.scaled_inside = true;
        assert_true(survives(&model, &back));
        assert_true(back.meta.temperature == 1 && back.meta.normalise.scale == 1);
        assert_true(back.meta.normalise.mean[0] == 0 && back.meta.normalise.std[2] == 1);
        assert_string_equal(back.meta.class_names[1], model.meta.class_names[1]);
        mien_model_release(&model);
        mien_model_release(&back);
    }
}

static void scaling_must_be_known(void **state) {
    mien_model model, back;
    (void)state;
    make(&small, NULL, &model);
    model.meta.unknown = MIEN_UNKNOWN_PREPROCESSING | MIEN_UNKNOWN_CLASSES;
    model.scaled_inside = true;
    assert_int_equal(mien_model_save(&model, scratch_path("no.onnx")), MIEN_INVALID);
    expect_in_message("--preprocess");
    assert_false(mien_file_exists(scratch_path("no.onnx")));
    model.scaled_inside = false;
    expect_ok(mien_model_save(&model, scratch_path("asks.onnx")));
    expect_ok(mien_model_open(scratch_path("asks.onnx"), &back));
    assert_int_equal(back.meta.unknown, model.meta.unknown);
    mien_model_release(&model);
    mien_model_release(&back);
}

static void heads_survive(void **state) {
    static const char raw[] = "  - flatten\n  - dense: {units: 6, name: last}\n"
                              "  - activation: {activation: linear}\n";
    static const char sigmoid[] = "  - flatten\n  - dense: {units: 2, activation: sigmoid}\n"
                                  "  - activation: {activation: linear}\n";
    static const struct {
        mien_head head;
        const char *end;
        int rank, shape[2];
        bool inside;
    } cases[] = {
        {MIEN_HEAD_LOGITS, NULL, 0, {0}, false},     {MIEN_HEAD_LOGITS, NULL, 0, {0}, true},
        {MIEN_HEAD_SIGMOID, sigmoid, 0, {0}, false}, {MIEN_HEAD_SIGMOID, raw, 0, {0}, true},
        {MIEN_HEAD_VALUES, raw, 1, {6}, false},      {MIEN_HEAD_VALUES, raw, 2, {3, 2}, true},
        {MIEN_HEAD_VALUES, raw, 0, {0}, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mien_model model, back;
        make(&small, cases[i].end, &model);
        model.meta.head = cases[i].head;
        model.meta.output_rank = cases[i].rank;
        memcpy(model.meta.output_shape, cases[i].shape, sizeof cases[i].shape);
        model.scaled_inside = cases[i].inside;
        assert_true(survives(&model, &back));
        const bool softmax = cases[i].head == MIEN_HEAD_LOGITS && cases[i].inside;
        assert_int_equal(back.meta.head, softmax ? MIEN_HEAD_SOFTMAX : cases[i].head);
        assert_int_equal(back.meta.output_rank, cases[i].rank);
        assert_int_equal(back.meta.output_shape[1], cases[i].shape[1]);
        mien_model_release(&model);
        mien_model_release(&back);
    }
}

/* ---- the file ---- */

static void names_are_free(void **state) {
    static const net odd = {
        "  - conv2d: {name: \"a b:0\", filters: 4, kernel_size: 3, activation: relu}\n"
        "  - conv2d: {name: image, filters: 4, kernel_size: 1}\n"
        "  - batch_normalization: {name: 微笑}\n  - dropout: {name: probabilities, rate: 0}\n"
        "  - separable_conv2d: {name: \"\\\"\", filters: 4, kernel_size: 1, activation: relu}\n",
        5, 5, 2};
    mien_model model, back;
    (void)state;
    make(&odd, NULL, &model);
    assert_true(survives(&model, &back));
    mien_model_release(&back);
    strcpy((char *)model.graph.nodes[1].name, "\xff\xc3"); /* from a file of another program */
    assert_true(survives(&model, &back));
    mien_model_release(&back);
    mien_model_release(&model);
}

static void bytes_are_the_same_each_time(void **state) {
    mien_model model;
    char *a, *b;
    size_t size, again;
    mien_onnx_model file;
    (void)state;
    make(&small, NULL, &model);
    expect_ok(mien_format_onnx.write(&model, "x", &a, &size));
    expect_ok(mien_format_onnx.write(&model, "y", &b, &again));
    assert_int_equal(size, again);
    assert_memory_equal(a, b, size);
    expect_ok(mien_onnx_parse(a, size, "x", &file));
    assert_int_equal(file.opset, 13);
    assert_int_equal(file.inputs[0].dims[0], -1); /* any batch */
    assert_true(mien_slice_is(file.nodes[0].op, "Transpose"));
    assert_true(mien_slice_is(file.outputs[0].name, "probabilities"));
    mien_onnx_release(&file);
    mien_free(a);
    mien_free(b);
    mien_model_release(&model);
}

/* Replaces text of the same length in the written file. */
static void expect_damage(const mien_model *model, const char *from, const char *to,
                          const char *message) {
    char *bytes;
    size_t size, at = 0;
    mien_model back;
    expect_ok(mien_format_onnx.write(model, "x", &bytes, &size));
    while (at + strlen(from) <= size && memcmp(bytes + at, from, strlen(from)) != 0)
        at++;
    assert_true(at + strlen(from) <= size);
    memcpy(bytes + at, to, strlen(to));
    scratch_put("bad.onnx", bytes, size);
    assert_int_equal(mien_model_open(scratch_path("bad.onnx"), &back), MIEN_FORMAT);
    expect_in_message(message);
    mien_model_release(&back);
    mien_free(bytes);
}

static void metadata_must_match(void **state) {
    mien_model model;
    (void)state;
    make(&small, NULL, &model);
    expect_damage(&model, "\"height\": 6", "\"height\": 7", "do not match");
    expect_damage(&model, "\"class 3\"], \"", "\"clas\",\"x\"],\"", "do not match");
    expect_damage(&model, "{\"format\"", "[\"format\"", "bad.onnx");
    model.meta.head = MIEN_HEAD_LOGITS;
    expect_damage(&model, "\"head\": \"logits\"", "\"hiad\": \"logits\"", "do not match");
    mien_model_release(&model);
}

/* Parts of gelu that are no gelu. */
static void other_uses_of_erf_are_refused(void **state) {
    static const net gelu = {CONV "  - activation: {activation: gelu}\n", 5, 5, 2};
    mien_model model, back;
    char *bytes;
    size_t size, at = 0;
    (void)state;
    make(&gelu, NULL, &model);
    expect_ok(mien_format_onnx.write(&model, "x", &bytes, &size));
    const float half = 0.5F, other = 0.75F;
    const char raw[] = {0x4a, 4}; /* raw_data of 4 bytes */
    char wanted[6];
    memcpy(wanted, raw, 2);
    memcpy(wanted + 2, &half, 4);
    while (at + 6 <= size && memcmp(bytes + at, wanted, 6) != 0)
        at++;
    assert_true(at + 6 <= size);
    memcpy(bytes + at + 2, &other, 4);
    scratch_put("erf.onnx", bytes, size);
    assert_int_equal(mien_model_open(scratch_path("erf.onnx"), &back), MIEN_UNSUPPORTED);
    expect_in_message("part of gelu");
    mien_model_release(&back);
    mien_model_release(&model);
    mien_free(bytes);
}

/* Changed bytes: refused, or read as a whole. */
static void mutated_files_do_no_harm(void **state) {
    static const net parts[] = {
        {CONV "  - activation: {activation: gelu}\n"
              "  - resizing: {height: 7, width: 13, interpolation: nearest}\n"
              "  - conv2d_transpose: {filters: 3, kernel_size: 2, strides: 3}\n",
         5, 5, 2},
        {CONV "  - relu: {threshold: 0.25, max_value: 0.5}\n  - prelu\n", 4, 4, 1}};
    int read = 0;
    (void)state;
    for (int n = 0; n < 2; n++) {
        mien_model model;
        char *bytes;
        size_t size;
        make(&parts[n], NULL, &model);
        set_meta(&model.meta);
        expect_ok(mien_format_onnx.write(&model, "x", &bytes, &size));
        for (size_t i = 0; i < 1500; i++) {
            mien_model back;
            char *copy = malloc(size);
            assert_non_null(copy);
            memcpy(copy, bytes, size);
            const size_t changes = 1 + i % 4;
            for (size_t k = 0; k < changes; k++)
                copy[whole_below(11, 10 * i + k, (int)size)] =
                    (char)whole_below(13, 10 * i + k, 256);
            scratch_put("mutated.onnx", copy, i % 5 ? size : size / 2 + i % (size / 2));
            read += mien_model_open(scratch_path("mutated.onnx"), &back) == MIEN_OK;
            mien_model_release(&back);
            free(copy);
        }
        mien_free(bytes);
        mien_model_release(&model);
    }
    print_message("%d of 3000 mutated files were read\n", read);
    assert_true(read > 0 && read < 3000);
}

int main(void) {
    const mien_backend_options options = {.threads = 1};
    if (mien_backend_open("cpu", &options, &backend) != MIEN_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_survives),    cmocka_unit_test(every_layer_is_tried),
        cmocka_unit_test(settings_survive),        cmocka_unit_test(scaling_can_be_inside),
        cmocka_unit_test(scaling_must_be_known),   cmocka_unit_test(heads_survive),
        cmocka_unit_test(names_are_free),          cmocka_unit_test(bytes_are_the_same_each_time),
        cmocka_unit_test(metadata_must_match),     cmocka_unit_test(other_uses_of_erf_are_refused),
        cmocka_unit_test(mutated_files_do_no_harm)};
    const int failed = cmocka_run_group_tests(tests, scratch_make, scratch_drop);
    mien_backend_close(backend);
    return failed;
}
