/* Transfer learning: new heads, frozen layers, and networks of keras.applications without theirs.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/formats/keras.h"
#include "host/train/config.h"
#include "host/train/freeze.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static const mien_graph_io io = {12, 12, 1, 3};
typedef char class_names[8][MIEN_CLASS_NAME];

/* ---- heads ---- */

/* A model of these layers; its classes are happy, sad and angry, its weights 1, 2, 3, …. */
static void make_model(const char *layers, mien_head head, mien_model *model) {
    static const char *const names[] = {"happy", "sad", "angry"};
    mien_text text = {0};
    mien_tree tree;
    *model = (mien_model){0};
    mien_text_printf(&text, "name: net\nlayers:\n%s", layers);
    expect_ok(text.status);
    expect_ok(mien_yaml_parse(text.data, text.size, "net.yaml", &tree));
    expect_ok(mien_graph_parse(tree.root, "net.yaml", io, &model->graph));
    mien_tree_release(&tree);
    mien_text_release(&text);
    expect_ok(mien_weights_zeros(&model->graph, &model->weights));
    for (int i = 0; i < model->graph.count; i++)
        for (int k = 0; k < model->graph.nodes[i].param_count; k++)
            for (size_t e = 0; e < mien_shape_count(model->graph.nodes[i].params[k].shape); e++)
                mien_weights_get(&model->weights, i, k)[e] = (float)(e + 1);
    expect_ok(mien_meta_default(&model->graph, "net.yaml", &model->meta));
    model->meta.head = head;
    model->meta.temperature = 1.5;
    for (int k = 0; k < model->meta.classes && k < 3; k++)
        strcpy(model->meta.class_names[k], names[k]);
}

static const class_names wanted = {"angry", "contempt", "happiness", "sad"};

static int replace(mien_model *model, int *kept) {
    int first;
    expect_ok(mien_model_replace_head(model, "net", wanted, 4, 1, true, &first, kept));
    assert_int_equal(model->meta.classes, 4);
    assert_int_equal(model->graph.classes, 4);
    assert_string_equal(model->meta.class_names[1], "contempt");
    assert_true(model->meta.temperature == 1);
    assert_false(model->graph.raw);
    return first;
}

/* The dense layer of a classifier gives way; classes that it knows keep their columns. */
static void test_dense(void **state) {
    (void)state;
    mien_model model;
    int kept;
    make_model("  - conv2d: {name: c, filters: 2, kernel_size: 3}\n"
               "  - global_average_pooling2d: {name: g}\n"
               "  - dropout: {name: d, rate: 0.5}\n"
               "  - dense: {name: top, units: classes, activation: softmax}\n",
               MIEN_HEAD_SOFTMAX, &model);
    const float *conv = mien_weights_get(&model.weights, 1, 0);
    const int first = replace(&model, &kept);
    assert_int_equal(kept, 3);
    assert_string_equal(model.graph.nodes[first - 1].name, "d");
    assert_string_equal(model.graph.nodes[first].name, "head");
    assert_int_equal(model.graph.count, first + 2); /* the dense layer and its softmax */
    assert_ptr_equal(mien_weights_get(&model.weights, 1, 0), conv);
    const float *kernel = mien_weights_get(&model.weights, first, 0);
    const float *bias = mien_weights_get(&model.weights, first, 1);
    const float rows[2][4] = {{3, 0, 1, 2}, {6, 0, 4, 5}}; /* the old one counts 1 to 6 by rows */
    for (int i = 0; i < 8; i++)
        if (i % 4 != 1) assert_true(kernel[i] == rows[i / 4][i % 4]);
    assert_true(kernel[1] != 0 && fabsf(kernel[1]) < 2 && kernel[1] != kernel[5]);
    assert_true(bias[0] == 3 && bias[1] == 0 && bias[2] == 1 && bias[3] == 2);
    mien_model_release(&model);
}

/* A head of drawn weights only. */
static void test_fresh(void **state) {
    (void)state;
    mien_model model;
    int first, kept;
    make_model("  - flatten\n  - dense: {units: classes, activation: softmax}\n", MIEN_HEAD_SOFTMAX,
               &model);
    expect_ok(mien_model_replace_head(&model, "net", wanted, 4, 1, false, &first, &kept));
    assert_int_equal(kept, 0);
    for (int i = 0; i < 4 * 144; i++)
        assert_true(fabsf(mien_weights_get(&model.weights, first, 0)[i]) < 1);
    mien_model_release(&model);
}

/* Classes by a convolution: its inputs are pooled for a dense layer. */
static void test_convolution(void **state) {
    (void)state;
    mien_model model;
    int kept;
    make_model("  - conv2d: {name: c, filters: 2, kernel_size: 3, activation: relu}\n"
               "  - conv2d: {name: top, filters: 3, kernel_size: 1}\n"
               "  - global_average_pooling2d\n"
               "  - activation: {activation: softmax}\n",
               MIEN_HEAD_SOFTMAX, &model);
    const int first = replace(&model, &kept);
    assert_int_equal(kept, 3); /* a 1x1 convolution has the same columns */
    assert_string_equal(model.graph.nodes[first].def->name, "global_average_pooling2d");
    assert_int_equal(model.graph.nodes[first].in[0].c, 2);
    mien_model_release(&model);
}

#define FEATURES                                                                                   \
    "  - conv2d: {name: c, filters: 20, kernel_size: 3, activation: relu}\n"                       \
    "  - max_pooling2d: {name: p, pool_size: 2}\n"

/* Networks that end in features get a head behind them. */
static void test_features(void **state) {
    (void)state;
    mien_model model;
    int kept;
    make_model(FEATURES "  - flatten: {name: f}\n  - activation: {activation: linear}\n",
               MIEN_HEAD_VALUES, &model);
    model.meta.output_rank = 3;
    int first = replace(&model, &kept);
    assert_int_equal(kept, 0);
    assert_string_equal(model.graph.nodes[first - 1].name, "p");
    assert_string_equal(model.graph.nodes[first].def->name, "global_average_pooling2d");
    assert_string_equal(model.graph.nodes[first + 1].name, "head");
    mien_model_release(&model);
    make_model(FEATURES "  - flatten: {name: f}\n  - activation: {activation: linear}\n",
               MIEN_HEAD_VALUES, &model);
    first = replace(&model, &kept); /* a list of numbers stays one */
    assert_string_equal(model.graph.nodes[first - 1].name, "f");
    assert_string_equal(model.graph.nodes[first].name, "head");
    mien_model_release(&model);
    make_model("  - flatten\n  - dense: {name: d, units: 20, activation: relu}\n"
               "  - dense: {name: age, units: 1}\n  - activation: {activation: linear}\n",
               MIEN_HEAD_VALUES, &model);
    first = replace(&model, &kept); /* one number is no feature */
    assert_string_equal(model.graph.nodes[first].name, "head");
    assert_int_equal(model.graph.nodes[first].in[0].c, 20);
    mien_model_release(&model);
}

static void test_no_head(void **state) {
    (void)state;
    mien_model model;
    int first, kept;
    make_model("  - flatten: {name: f}\n  - dense: {name: a, units: 3}\n"
               "  - dense: {name: b, units: 3, inputs: [f]}\n  - add: {inputs: [a, b]}\n"
               "  - activation: {activation: softmax}\n",
               MIEN_HEAD_SOFTMAX, &model);
    assert_int_equal(mien_model_replace_head(&model, "two.h5", wanted, 4, 1, true, &first, &kept),
                     MIEN_UNSUPPORTED);
    expect_in_message("'two.h5': no single layer makes its classes");
    mien_model_release(&model);
}

/* ---- freezing ---- */

/* The nodes that are trained after these rules. */
static void freeze(const char *rules, mien_status want, char *out) {
    mien_model model;
    mien_config config;
    char set[128];
    make_model("  - conv2d: {name: a1, filters: 2, kernel_size: 3}\n"
               "  - separable_conv2d: {name: a2, filters: 2, kernel_size: 3, activation: relu}\n"
               "  - batch_normalization: {name: n1, trainable: false}\n"
               "  - flatten\n  - dense: {name: b1, units: 4, activation: relu}\n"
               "  - dense: {name: top, units: classes, activation: softmax}\n",
               MIEN_HEAD_SOFTMAX, &model);
    expect_ok(mien_config_start(&config));
    snprintf(set, sizeof set, "model.freeze=%s", rules);
    expect_ok(mien_keys_set(mien_config_keys(), &config, set));
    assert_int_equal(mien_freeze(&config.model.freeze, "net", 0, &model), want);
    *out = 0;
    for (int i = 1; i < model.graph.count; i++) {
        const mien_node *node = &model.graph.nodes[i];
        if (!node->param_count || !((const mien_layer_common *)node->attrs)->trainable) continue;
        strcat(out, node->name);
        strcat(out, " ");
    }
    mien_config_release(&config);
    mien_model_release(&model);
}

static void test_rules(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"[]", "a1 a2 a2/pointwise b1 top "}, /* as in the file */
        {"[\"!*\"]", "a1 a2 a2/pointwise n1 b1 top "},
        {"base", "top "},
        {"[base, \"!b1\"]", "b1 top "},
        {"[\"a*\"]", "b1 top "},
        {"[\"?1\"]", "a2 a2/pointwise top "},
        {"[\"*\", \"!n1\", \"!top\"]", "n1 top "},
    };
    char trained[256];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        freeze(rows[i][0], MIEN_OK, trained);
        if (strcmp(trained, rows[i][1]) != 0)
            fail_msg("%s: trained are %s, not %s", rows[i][0], trained, rows[i][1]);
    }
    freeze("[tpo]", MIEN_NOT_FOUND, trained);
    expect_in_message("no layer 'tpo'");
    expect_in_message("did you mean 'top'");
    expect_in_message("a1, a2, n1, b1, top");
    freeze("[\"!block*\"]", MIEN_NOT_FOUND, trained);
    expect_in_message("no layer 'block*'");
}

/* ---- frozen layers in a step ---- */

enum { BATCH = 6, STEPS = 5 };
static mien_backend *cpu;
static const mien_ops *genuine;
static int calls; /* of functions that only backward passes need */

static mien_status count_filter(mien_linear *op, void *dw, void *db, const mien_tensor *dy,
                                const mien_tensor *x, void *room, bool accumulate) {
    calls++;
    return genuine->linear_backward_filter(op, dw, db, dy, x, room, accumulate);
}

static mien_status count_data(mien_linear *op, const mien_tensor *dx, const mien_tensor *dy,
                              const void *w, const mien_tensor *mask, void *room, bool accumulate) {
    calls++;
    return genuine->linear_backward_data(op, dx, dy, w, mask, room, accumulate);
}

static mien_status count_norm(mien_backend *b, const mien_tensor *dx, const mien_tensor *dy,
                              const mien_tensor *x, const mien_tensor *y, const mien_batchnorm *n,
                              bool frozen, bool accumulate) {
    calls++;
    return genuine->batchnorm_backward(b, dx, dy, x, y, n, frozen, accumulate);
}

/* Images, targets and one training step without the update. */
static void run_pass(const test_net *net) {
    double x[BATCH * 144], targets[BATCH * 3] = {0};
    const mien_tensor input = mien_plan_input(net->plan, BATCH);
    const mien_tensor target = mien_plan_targets(net->plan, BATCH);
    for (int i = 0; i < BATCH * 144; i++)
        x[i] = noise(7, (size_t)i);
    for (int i = 0; i < BATCH; i++)
        targets[i * 3 + i % 3] = 1;
    net_write(net, &input, x);
    net_write(net, &target, targets);
    net_forward(net, true);
    net_loss(net, NULL);
    net_backward(net);
}

/* A network whose layers are frozen by three words: below, between, none. */
static void open_net(test_net *net, const char *below, const char *between, bool norm,
                     const body_rule *rule) {
    char model[1024];
    snprintf(model, sizeof model,
             "layers:\n"
             "  - conv2d: {name: c1, filters: 16, kernel_size: 3, activation: relu%s}\n"
             "%s%s%s"
             "  - max_pooling2d: {pool_size: 2}\n"
             "  - conv2d: {name: c2, filters: 16, kernel_size: 3, activation: relu%s}\n"
             "  - flatten\n"
             "  - dense: {name: d1, units: 8, activation: relu}\n"
             "  - dense: {name: d2, units: 8, activation: relu%s}\n"
             "  - dense: {name: d3, units: 3, activation: softmax}\n",
             below, norm ? "  - batch_normalization: {name: n" : "", norm ? below : "",
             norm ? "}\n" : "", below, between);
    net_open(net, cpu, model, io, (net_options){.batch = BATCH, .rule = rule, .seed = 3});
}

#define FROZEN ", trainable: false"

/* What is trained gets the gradient that it would get if all were. */
static void test_gradients(void **state) {
    (void)state;
    test_net all, some;
    open_net(&all, "", "", false, NULL);
    open_net(&some, FROZEN, FROZEN, false, NULL);
    run_pass(&all);
    run_pass(&some);
    int compared = 0;
    for (int i = 0; i < some.graph.count; i++)
        for (int k = 0; k < some.graph.nodes[i].param_count; k++) {
            const size_t count = net_param_count(&some, i, k);
            const bool trained = mien_plan_param_grad(some.plan, i, k) != NULL;
            const char *name = some.graph.nodes[i].name;
            assert_true(trained == (strcmp(name, "d1") == 0 || strcmp(name, "d3") == 0));
            if (!trained) continue;
            double *want = numbers(count), *got = numbers(count);
            net_get(&all, all.plan->grad, i, k, want);
            net_get(&some, some.plan->grad, i, k, got);
            assert_true(relative_distance(got, want, count) <= 1e-6);
            free(want);
            free(got);
            compared++;
        }
    assert_int_equal(compared, 4);
    net_close(&all);
    net_close(&some);
}

/* Backward stops at the lowest trained layer; frozen weights have no gradients and no moments. */
static void test_no_work(void **state) {
    (void)state;
    static const body_rule adam = {.kind = BODY_ADAM, .beta_1 = 0.9, .beta_2 = 0.999};
    mien_ops counting = *genuine;
    test_net all, some;
    counting.linear_backward_filter = count_filter;
    counting.linear_backward_data = count_data;
    counting.batchnorm_backward = count_norm;
    open_net(&all, "", "", true, &adam);
    open_net(&some, FROZEN, "", true, &adam);
    some.plan->ops = &counting;
    calls = 0;
    run_pass(&some);
    some.plan->ops = genuine;
    assert_int_equal(calls, 3 + 2); /* three dense layers, two of which pass a gradient on */
    const size_t frozen = 16 * 9 + 16 + 2 * 16 + 16 * 16 * 9 + 16; /* c1, n, c2 */
    assert_true(some.plan->trained + frozen <= all.plan->trained);
    assert_true(some.plan->act_bytes < all.plan->act_bytes);
    for (int i = 0; i < mien_graph_find(&some.graph, "d1"); i++)
        assert_false(some.plan->nodes[i].requires_grad);
    net_close(&all);
    net_close(&some);
}

/* Frozen weights, running statistics and averages keep their bits; the others move. */
static void test_bits(void **state) {
    (void)state;
    static const body_rule rule = {.kind = BODY_ADAM,
                                   .beta_1 = 0.9,
                                   .beta_2 = 0.999,
                                   .epsilon = 1e-7,
                                   .weight_decay = 0.1,
                                   .ema = 0.9,
                                   .warm_averages = true};
    test_net net;
    mien_weights before, after;
    open_net(&net, FROZEN, "", true, &rule);
    expect_ok(mien_weights_zeros(&net.graph, &before));
    expect_ok(mien_weights_zeros(&net.graph, &after));
    expect_ok(mien_plan_store(net.plan, true, &before));
    for (int step = 0; step < STEPS; step++) {
        body_step at = net_step(&net);
        at.learning_rate = 0.01;
        net_set_step(&net, &at);
        run_pass(&net);
        expect_ok(mien_plan_update(net.plan, BATCH));
    }
    for (int average = 0; average < 2; average++) {
        expect_ok(mien_plan_store(net.plan, average, &after));
        for (int i = 0; i < net.graph.count; i++)
            for (int k = 0; k < net.graph.nodes[i].param_count; k++) {
                const bool same =
                    memcmp(mien_weights_get(&before, i, k), mien_weights_get(&after, i, k),
                           net_param_count(&net, i, k) * sizeof(float)) == 0;
                assert_true(same == (i < mien_graph_find(&net.graph, "d1")));
            }
    }
    mien_weights_release(&before);
    mien_weights_release(&after);
    net_close(&net);
}

/* ---- networks of keras.applications ---- */

/* The size of the input and the last layer, for a file of so many layers with weights. */
static void fit(const char *name, size_t layers, int side, const char *last, int want) {
    static keras_weight *no_items[1];
    char path[MIEN_PATH];
    mien_text text = {0};
    const mien_model_options options = {.height = side, .width = side};
    keras_reader reader = {.source = "notop.h5", .options = &options};
    keras_group *groups;
    expect_ok(mien_new(&groups, layers + 1, sizeof *groups));
    for (size_t i = 0; i < layers; i++)
        groups[i] = (keras_group){.items = no_items, .count = 1};
    reader.file.groups = groups; /* and one more, of a layer without weights */
    reader.file.group_count = layers + 1;
    snprintf(path, sizeof path, "configs/architectures/%s", keras_family_file(name));
    expect_ok(keras_family_write(name, path, &text));
    expect_ok(mien_json_parse(text.data, text.size, path, &reader.tree));
    mien_text_release(&text);
    expect_ok(keras_known_fit(&reader, name));
    const mien_value *config = mien_value_get(reader.tree.root, "config");
    const mien_value *list = mien_value_get(config, "layers");
    const mien_value *output = mien_value_get(config, "output_layers")->first->first;
    const mien_value *shape =
        mien_value_get(mien_value_get(list->first, "config"), "batch_input_shape");
    assert_string_equal(output->text, last);
    assert_string_equal(mien_value_string(list->last, "name"), last);
    assert_int_equal((int)shape->first->next->number, want);
    assert_int_equal((int)shape->last->number, 3);
    mien_tree_release(&reader.tree);
    mien_free(groups);
}

static void test_known(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t layers; /* with weights, without the classifier */
        const char *last;
    } rows[] = {{"vgg16", 13, "block5_pool"},          {"vgg19", 16, "block5_pool"},
                {"resnet50", 106, "conv5_block3_out"}, {"mobilenet_v2", 104, "out_relu"},
                {"mobilenet", 54, "conv_pw_13_relu"},  {"xception", 80, "block14_sepconv2_act"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        fit(rows[i].name, rows[i].layers, 48, rows[i].last, 48);
    fit("vgg16", 16, 48, "predictions", 224); /* flattened: it takes no other size */
    fit("resnet50", 107, 64, "predictions", 64);
    fit("vgg16", 13, 0, "block5_pool", 224);
}

/* Zeros that Keras computes from the size of the image depend on it; NASNet's shift does not. */
static void test_paddings(void **state) {
    (void)state;
    static const struct {
        const char *network, *layer;
        int h, w, want[4]; /* of 0, 1, 0, 1 */
    } rows[] = {{"mobilenet_v2", "block_1_pad", 112, 112, {0, 1, 0, 1}},
                {"mobilenet_v2", "block_1_pad", 111, 112, {1, 1, 0, 1}},
                {"nasnet_mobile", "reduction_pad_1_stem_2", 56, 55, {0, 1, 1, 1}},
                {"nasnet_mobile", "auto12_stem_1", 111, 111, {0, 1, 0, 1}},
                {"efficientnetb0", "zero_padding2d", 111, 111, {0, 1, 0, 1}},
                {"resnet50", "conv1_pad", 111, 111, {0, 1, 0, 1}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int sides[] = {0, 1, 0, 1};
        const mien_model_options options = {0};
        keras_reader reader = {.source = "net.h5", .options = &options};
        expect_ok(mien_json_parse("{\"config\":{\"layers\":[{}]}}", 26, "net", &reader.tree));
        expect_ok(keras_known_fit(&reader, rows[i].network));
        keras_known_padding(&reader, rows[i].layer, rows[i].h, rows[i].w, sides);
        assert_memory_equal(sides, rows[i].want, sizeof sides);
        mien_tree_release(&reader.tree);
    }
}

static int start(void **state) {
    (void)state;
    expect_ok(mien_backend_open("cpu", &(mien_backend_options){.threads = 1}, &cpu));
    genuine = cpu->ops;
    return 0;
}

static int end(void **state) {
    (void)state;
    mien_backend_close(cpu);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),       cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_convolution), cmocka_unit_test(test_features),
        cmocka_unit_test(test_no_head),     cmocka_unit_test(test_rules),
        cmocka_unit_test(test_gradients),   cmocka_unit_test(test_no_work),
        cmocka_unit_test(test_bits),        cmocka_unit_test(test_known),
        cmocka_unit_test(test_paddings),
    };
    return cmocka_run_group_tests_name("transfer", tests, start, end);
}
