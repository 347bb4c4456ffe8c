/* Models of Keras 1 to 3, which the real Keras wrote (tests/golden/make_keras.py), give its
 * outputs; damaged and hostile ones are refused in one sentence or read as a whole. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/format.h"
#include "host/formats/keras.h"
#include "host/formats/zip_members.h"
#include "host/infer/ensemble.h"
#include "include/mien/predictor.h"
#include "tests/support/keras_file.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

#define GOLDEN "tests/golden/keras/"
enum { ROWS = 2, OUTPUTS = 64 };
static const double agreement = 1e-5;

/* The same numbers as in make_keras.py. */
static void pixels(size_t count, uint8_t *out) {
    for (size_t i = 0; i < count; i++) {
        uint32_t n = (uint32_t)(i * 2654435761u + 12345u);
        n ^= n >> 13;
        n *= 1597334677u;
        out[i] = (uint8_t)(n >> 24);
    }
}

static void compare(mien_backend *backend, const mien_model *model, const mien_value *entry,
                    const char *name) {
    const size_t count = mien_image_bytes(model->meta.input) * ROWS;
    float scores[ROWS * OUTPUTS], values[ROWS * OUTPUTS];
    mien_predictor *p;
    uint8_t *images = NULL;
    expect_ok(mien_new(&images, count, 1));
    pixels(count, images);
    expect_ok(mien_predictor_create(model, backend, ROWS, &p));
    expect_ok(mien_predictor_outputs(p, images, ROWS, scores, values));
    const float *got = model->meta.head == MIEN_HEAD_SOFTMAX ? scores : values;
    double worst = 0;
    for (const mien_value *row = mien_value_get(entry, "outputs")->first; row; row = row->next)
        for (const mien_value *v = row->first; v; v = v->next, got++) {
            const double d = fabs(*got - v->number);
            if (!(d <= worst)) worst = d;
        }
    if (!(worst <= agreement)) fail_msg("%s: differs from Keras by %g", name, worst);
    mien_predictor_free(p);
    mien_free(images);
}

static void check_file(mien_backend *backend, const mien_value *entry) {
    const char *name = entry->key, *architecture = mien_value_string(entry, "architecture");
    const mien_value *unit = mien_value_get(entry, "unit");
    const size_t outputs = mien_value_get(entry, "outputs")->first->count;
    char classes[512] = "", path[MIEN_PATH], file[MIEN_PATH];
    size_t used = 0;
    assert_true(outputs >= 1 && outputs <= OUTPUTS);
    for (size_t i = 0; i < outputs; i++)
        used += (size_t)snprintf(classes + used, sizeof classes - used, "%sc%zu", i ? "," : "", i);
    mien_model_options options = {.preprocess = unit->number != 0 ? "unit" : "none",
                                  .output = mien_value_string(entry, "output"),
                                  .classes = classes};
    if (architecture) {
        snprintf(path, sizeof path, "%s", keras_file_unpack(architecture));
        options.architecture = path;
    }
    mien_model model = {0};
    snprintf(file, sizeof file, "%s", keras_file_unpack(name));
    const mien_status status = mien_model_open_with(file, &options, &model);
    if (status != MIEN_OK) fail_msg("%s: %s", name, mien_error_message());
    assert_int_equal(model.meta.classes, outputs);
    compare(backend, &model, entry, name);
    mien_model_release(&model);
}

static void read_expected(mien_tree *tree) {
    char *text;
    size_t size;
    expect_ok(mien_file_read(GOLDEN "expected.json", KERAS_FILE_MAX, &text, &size));
    expect_ok(mien_json_parse(text, size, "expected.json", tree));
    mien_free(text);
}

static void all_files_give_the_outputs_of_keras(void **state) {
    (void)state;
    mien_tree tree;
    mien_backend *backend;
    size_t count = 0;
    if (mien_h5_available() != MIEN_OK) skip();
    read_expected(&tree);
    keras_file_unpack("weights_only.json");
    keras_file_unpack("json_in_json.json");
    keras_file_unpack("k3.json");
    expect_ok(mien_backend_open("cpu", NULL, &backend));
    for (const mien_value *v = tree.root->first; v; v = v->next, count++)
        check_file(backend, v);
    mien_backend_close(backend);
    mien_tree_release(&tree);
    assert_true(count >= 80);
}

/* Written by Mien in both formats and read again, a model keeps its settings and outputs. */
static void read_models_can_be_written(void **state) {
    (void)state;
    static const char *const names[] = {"k3_residual.h5", "k3_nested_twice.keras",
                                        "k2_efficientnet.h5", "k3_age.h5", "era_1_th.h5"};
    static const char *const copies[] = {"again.h5", "again.keras"};
    mien_tree tree;
    mien_backend *backend;
    if (mien_h5_available() != MIEN_OK) skip();
    read_expected(&tree);
    expect_ok(mien_backend_open("cpu", NULL, &backend));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int k = 0; k < 2; k++) {
            const mien_value *entry = mien_value_get(tree.root, names[i]);
            assert_non_null(entry);
            const size_t outputs = mien_value_get(entry, "outputs")->first->count;
            const mien_model_options options = {
                .preprocess = mien_value_get(entry, "unit")->number != 0 ? "unit" : "none",
                .classes = outputs == 7   ? "a,b,c,d,e,f,g"
                           : outputs == 5 ? "a,b,c,d,e"
                           : outputs == 3 ? "a,b,c"
                                          : NULL};
            mien_model model;
            expect_ok(mien_model_open_with(keras_file_unpack(names[i]), &options, &model));
            expect_ok(mien_model_save(&model, scratch_path(copies[k])));
            mien_model_release(&model);
            expect_ok(mien_model_open(scratch_path(copies[k]), &model));
            expect_ok(mien_model_complete(&model, copies[k]));
            compare(backend, &model, entry, names[i]);
            mien_model_release(&model);
        }
    mien_backend_close(backend);
    mien_tree_release(&tree);
}

/* ---- edited files ---- */

/* Replaces the first `from` of the architecture, which must then be refused with both words. */
static void expect_refused(const keras_file_parts *p, const char *from, const char *to,
                           const char *word, const char *other) {
    const char *at = strstr(p->config, from);
    mien_text text = {0};
    assert_non_null(at);
    mien_text_append(&text, p->config, (size_t)(at - p->config));
    mien_text_puts(&text, to);
    mien_text_puts(&text, at + strlen(from));
    const mien_status status = keras_file_import(p, text.data, text.size);
    mien_text_release(&text);
    if (status == MIEN_OK) fail_msg("'%s' is accepted for '%s'", to, from);
    expect_in_message(word);
    expect_in_message(other);
}

static void edited_architectures_are_refused_by_name(void **state) {
    (void)state;
    keras_file_parts p;
    if (mien_h5_available() != MIEN_OK) skip();
    keras_file_take_apart("k3_residual.h5", &p);
    expect_ok(keras_file_import(&p, p.config, p.config_size));
    expect_refused(&p, "\"SeparableConv2D\"", "\"Mystery\"", "Mystery", "not supported");
    expect_refused(&p, "\"padding\"", "\"cushion\"", "cushion", "Conv2D");
    expect_refused(&p, "\"filters\": 4", "\"filters\": 5", "kernel is 3x3x1x4", "3x3x1x5");
    expect_refused(&p, "\"filters\": 4", "\"filters\": 4398046511104", "conv2d", "filters");
    expect_refused(&p, "\"filters\": 4", "\"filters\": 65000", "kernel", "conv2d");
    expect_refused(&p, "\"use_bias\": false", "\"use_bias\": true", "conv2d", "weights");
    expect_refused(&p, "\"scale\": true", "\"scale\": false", "batch_normalization", "weights");
    expect_refused(&p, "\"keras_history\": [\"conv2d",
                   "\"keras_history\": [\"predictions\", 0, 0], "
                   "\"x\": [\"conv2d",
                   "cyclic", "depends on itself");
    expect_refused(&p, "\"keras_history\": [\"conv2d", "\"keras_history\": [\"nobody", "nobody",
                   "no layer");
    expect_refused(&p, "\"batch_shape\": [null, 16, 16, 1]", "\"batch_shape\": [null, null, 16, 1]",
                   "input", "fixed");
    expect_refused(&p, "\"batch_shape\": [null, 16, 16, 1]", "\"batch_shape\": [null, 16, 16]",
                   "conv2d", "image");
    expect_refused(&p, "\"class_name\": \"Functional\"", "\"class_name\": \"MyNet\"", "MyNet",
                   "code");
    keras_file_drop(&p);
}

static void a_million_layers_are_refused(void **state) {
    (void)state;
    keras_file_parts p;
    mien_text text = {0};
    if (mien_h5_available() != MIEN_OK) skip();
    keras_file_take_apart("k2_sequential.h5", &p);
    mien_text_puts(&text, "{\"class_name\": \"Sequential\", \"config\": [");
    for (int i = 0; i < 1000000; i++)
        mien_text_puts(&text, i ? ",{}" : "{}");
    mien_text_puts(&text, "]}");
    assert_int_not_equal(keras_file_import(&p, text.data, text.size), MIEN_OK);
    expect_in_message("net.h5");
    mien_text_release(&text);
    keras_file_drop(&p);
}

/* A value of the container's first tensor of this name. */
static char *find_data(const keras_file_parts *p, const char *name) {
    mien_safetensors file;
    expect_ok(mien_safetensors_parse(p->container, p->container_size, "net", &file));
    for (size_t i = 0; i < file.count; i++)
        if (strstr(file.tensors[i].name, name)) {
            char *at = p->container + ((const char *)file.tensors[i].data - p->container);
            mien_safetensors_release(&file);
            return at;
        }
    fail();
    return NULL;
}

static void damaged_weights_are_refused_by_name(void **state) {
    (void)state;
    keras_file_parts p;
    const float nan = NAN;
    if (mien_h5_available() != MIEN_OK) skip();
    keras_file_take_apart("k3_residual.h5", &p);
    memcpy(find_data(&p, "pointwise_kernel"), &nan, sizeof nan);
    assert_int_equal(keras_file_import(&p, p.config, p.config_size), MIEN_FORMAT);
    expect_in_message("separable_conv2d");
    expect_in_message("not finite");
    keras_file_drop(&p);
    /* a layer less: its weights are left over */
    keras_file_take_apart("k2_vgg.h5", &p);
    char *last = strstr(p.config, "{\"class_name\": \"Dense\"");
    assert_non_null(last);
    char *second = strstr(last + 1, "{\"class_name\": \"Dense\"");
    if (!second) second = strstr(last + 1, "\"class_name\": \"Dense\"");
    assert_non_null(second);
    char *cut = second;
    while (*cut != ',')
        cut--;
    mien_text text = {0};
    mien_text_append(&text, p.config, (size_t)(cut - p.config));
    mien_text_puts(&text, "]}}");
    assert_int_not_equal(keras_file_import(&p, text.data, text.size), MIEN_OK);
    expect_in_message("net.h5");
    expect_in_message("used by no layer");
    mien_text_release(&text);
    keras_file_drop(&p);
}

static void weights_without_a_network_say_what_to_do(void **state) {
    (void)state;
    mien_model model;
    char path[MIEN_PATH];
    if (mien_h5_available() != MIEN_OK) skip();
    snprintf(path, sizeof path, "%s", keras_file_unpack("other_names.h5"));
    assert_int_equal(mien_model_open(path, &model), MIEN_INVALID);
    expect_in_message("--architecture");
    mien_model_release(&model);
    snprintf(path, sizeof path, "%s", keras_file_unpack("k2_sequential.h5"));
    const mien_model_options options = {.architecture = path};
    assert_int_equal(mien_model_open_with(path, &options, &model), MIEN_INVALID);
    expect_in_message("leave out --architecture");
    mien_model_release(&model);
}

static void write_known(const char *name, mien_text *out) {
    char path[MIEN_PATH];
    assert_non_null(keras_family_file(name));
    snprintf(path, sizeof path, "configs/architectures/%s", keras_family_file(name));
    expect_ok(keras_family_write(name, path, out));
}

/* Their layers are known, so that a file of other weights lacks some. */
static void known_networks_are_read(void **state) {
    (void)state;
    mien_text names = {0};
    mien_model model;
    mien_model_options options = {0};
    char path[MIEN_PATH], name[64];
    const char *part;
    size_t length;
    int count = 0;
    if (mien_h5_available() != MIEN_OK) skip();
    snprintf(path, sizeof path, "%s", keras_file_unpack("other_names.h5"));
    keras_family_names(&names);
    for (const char *rest = names.data; mien_next_part(&rest, ',', &part, &length); count++) {
        part += *part == ' ' ? length--, 1 : 0;
        snprintf(name, sizeof name, "%.*s", (int)length, part);
        mien_text text = {0};
        char file[MIEN_PATH];
        write_known(name, &text);
        scratch_put_text("known.json", &text);
        snprintf(file, sizeof file, "%s", scratch_path("known.json"));
        options.architecture = file;
        assert_int_equal(mien_model_open_with(path, &options, &model), MIEN_FORMAT);
        expect_in_message("are missing");
        mien_model_release(&model);
    }
    assert_int_equal(count, 35);
    options.architecture = "resnet51";
    assert_int_equal(mien_model_open_with(path, &options, &model), MIEN_NOT_FOUND);
    expect_in_message("vgg16, ");
    expect_in_message("xception");
    mien_model_release(&model);
    mien_text_release(&names);
}

/* As many layers as Keras makes. */
static void known_networks_have_their_layers(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t layers; /* of Keras, without its custom ones */
    } known[] = {{"vgg16", 23},          {"resnet152v2", 566},        {"densenet201", 709},
                 {"nasnet_mobile", 771}, {"mobilenet_v3_small", 182}, {"efficientnetv2l", 1031},
                 {"xception", 134},      {"inception_v3", 313}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        mien_text text = {0};
        mien_tree tree;
        write_known(known[i].name, &text);
        expect_ok(mien_json_parse(text.data, text.size, known[i].name, &tree));
        const mien_value *layers = mien_value_get(mien_value_get(tree.root, "config"), "layers");
        assert_int_equal(layers->count, known[i].layers);
        mien_tree_release(&tree);
        mien_text_release(&text);
    }
}

/* A damaged file of a family ends in a sentence. */
static void damaged_families_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"networks\":{\"a\":[]}}",
        "{\"networks\":{\"a\":[[\"@1\",\"x\"]]}}",
        "{\"networks\":{\"a\":[[\"Conv2D\",\"c\",{},[]],[\"@1\",\"x\"],[\"Conv2D\",\"d\",{},[]]]}}",
        "{\"blocks\":{\"1\":[[1]]},\"networks\":{\"a\":[[\"Conv2D\",\"c\",{},[]],[\"@1\",\"x\"],"
        "[\"Conv2D\",\"d\",{},[]]]}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mien_text text = {0};
        scratch_put("family.json", texts[i], strlen(texts[i]));
        assert_int_equal(keras_family_write("a", scratch_path("family.json"), &text), MIEN_FORMAT);
        expect_in_message("'a'");
        mien_text_release(&text);
    }
}

/* ---- Lambda ---- */

static void only_scaling_is_recognised_in_compiled_functions(void **state) {
    (void)state;
    double scale, offset;
    /* lambda x: x / 127.5 - 1, by Python 2.7, 3.6 and 3.11; __import__('os').system(…) by 3.11 */
    static const char *const tf[] = {"YwEAAAABAAAAAgAAAEMAAABzDAAAAHwAAGQBABtkAgAYUygDAAAATmcAAAAAA"
                                     "OBfQGkBAAAAKAAAAAAoAQAAAHQBAAAA"
                                     "eCgAAAAAKAAAAAB0AQAAAGZ0CAAAADxsYW1iZGE+AQAAAHMAAAAA",
                                     "4wEAAAAAAAAAAQAAAAIAAABDAAAAcwwAAAB8AGQBGwBkAhgAUwApA05nAAAAA"
                                     "ADgX0DpAQAAAKkAqQHaAXhyAgAAAA=="};
    for (size_t i = 0; i < 2; i++) {
        assert_true(keras_lambda_affine(tf[i], true, &scale, &offset));
        assert_true(fabs(scale - 1 / 127.5) < 1e-12 && offset == -1);
    }
    assert_false(keras_lambda_affine("", true, &scale, &offset));
    assert_false(keras_lambda_affine("bWFsaWNpb3Vz", true, &scale, &offset));
    /* a call instead of the division */
    assert_false(
        keras_lambda_affine("4wEAAAAAAAAAAQAAAAIAAABDAAAAcwwAAAB8AGQBgwFkAhgAUwApA05nAAAAAADg"
                            "X0DpAQAAAKkAqQHaAXhyAgAAAA==",
                            true, &scale, &offset));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_files_give_the_outputs_of_keras),
        cmocka_unit_test(read_models_can_be_written),
        cmocka_unit_test(edited_architectures_are_refused_by_name),
        cmocka_unit_test(a_million_layers_are_refused),
        cmocka_unit_test(damaged_weights_are_refused_by_name),
        cmocka_unit_test(weights_without_a_network_say_what_to_do),
        cmocka_unit_test(known_networks_are_read),
        cmocka_unit_test(known_networks_have_their_layers),
        cmocka_unit_test(damaged_families_are_refused),
        cmocka_unit_test(only_scaling_is_recognised_in_compiled_functions),
    };
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-h5 */
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
