/* The table of model formats: complete rows, detection by content, choice of the output format by
 * suffix; and the defaults for metadata that a file lacks. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/formats/format.h"
#include "host/formats/safetensors.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

enum { SIDE = 12, CLASSES = 3 };

static const char network[] =
    "name: tiny\nlayers:\n  - conv2d: {filters: 8, kernel_size: 3, activation: relu}\n"
    "  - flatten\n  - dense: {units: classes, activation: softmax}\n";

static void parse_network(int side, int channels, mien_graph *graph) {
    mien_tree tree;
    expect_ok(mien_yaml_parse(network, strlen(network), "tiny", &tree));
    expect_ok(
        mien_graph_parse(tree.root, "tiny", (mien_graph_io){side, side, channels, CLASSES}, graph));
    mien_tree_release(&tree);
}

/* A model with default settings; `int8`: with an int8 layer. */
static void make(bool int8, mien_model *model) {
    *model = (mien_model){0};
    parse_network(SIDE, 1, &model->graph);
    expect_ok(mien_weights_create(&model->graph, 7, &model->weights));
    expect_ok(mien_meta_default(&model->graph, "tiny", &model->meta));
    if (!int8) return;
    expect_ok(mien_quant_create(&model->graph, &model->quant));
    expect_ok(mien_quant_add(&model->graph, &model->quant, 1));
    model->quant.layers[1].x_scale = 0.5F;
    for (int k = 0; k < model->graph.nodes[1].out.c; k++)
        model->quant.layers[1].w_scale[k] = 1 / 64.0F;
}

static bool can_write(const mien_model_format *format) {
    const bool h5 = format == &mien_format_keras_h5 || format == &mien_format_keras_zip;
    return format->write && (!h5 || mien_h5_available() == MIEN_OK);
}

static bool has_suffix(const mien_model_format *format, const char *suffix) {
    for (size_t k = 0; format && k < MIEN_SUFFIXES_MAX && format->suffixes[k]; k++)
        if (strcmp(format->suffixes[k], suffix) == 0) return true;
    return false;
}

/* ---- the table ---- */

static void every_row_is_complete(void **state) {
    (void)state;
    const mien_model_format *f;
    for (size_t i = 0; (f = mien_model_format_at(i)) != NULL; i++) {
        assert_true(f->name && *f->name && f->content && *f->content);
        assert_true(f->sniff && f->read && f->suffixes[0]);
        assert_false(f->flags & MIEN_FORMAT_WRITTEN);
        for (size_t k = 0; k < MIEN_SUFFIXES_MAX && f->suffixes[k]; k++) {
            const char *suffix = f->suffixes[k];
            assert_int_equal(suffix[0], '.');
            for (const char *c = suffix; *c; c++)
                assert_false(isupper((unsigned char)*c));
            assert_non_null(mien_model_format_of(suffix));
        }
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(f->name, mien_model_format_at(k)->name);
    }
    assert_true(has_suffix(mien_model_format_of("a/b.H5"), ".h5"));
    assert_true(has_suffix(mien_model_format_of("b.h5.safetensors"), ".safetensors"));
    assert_null(mien_model_format_of("b.h5/classic"));
    assert_null(mien_model_format_of("classic.yaml"));
}

static void content_matches_one_row(void **state) {
    (void)state;
    static const char zeros[2048];
    static const char *const others[] = {"", "emotion,pixels\n", "PK\3\4", "\x89HDF\r\n\x1a"};
    const mien_model_format *f;
    for (size_t i = 0; (f = mien_model_format_at(i)) != NULL; i++) {
        mien_model model;
        char *bytes = NULL;
        size_t size;
        if (!can_write(f)) continue;
        make(f->flags & MIEN_FORMAT_INT8, &model);
        expect_ok(f->write(&model, "made", &bytes, &size));
        for (size_t k = 0; mien_model_format_at(k); k++)
            assert_int_equal(mien_model_format_at(k)->sniff(bytes, size), k == i);
        assert_ptr_equal(mien_model_format_sniff(bytes, size), f);
        mien_free(bytes);
        mien_model_release(&model);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_null(mien_model_format_sniff(others[i], strlen(others[i])));
    assert_null(mien_model_format_sniff(zeros, sizeof zeros));
}

/* Other safetensors files match no row. */
static void other_safetensors_match_nothing(void **state) {
    (void)state;
    static const char *const formats[] = {"pt", "mien-int8-2", "mien-f32-2", "mien-int8-1",
                                          "mien-f32-1"};
    const float one = 1;
    const mien_st_entry entry = {.name = "a", .rank = 0, .data = &one};
    for (int i = 0; i < 5; i++) {
        mien_text text = {0};
        const mien_st_meta meta = {"format", formats[i]};
        expect_ok(mien_safetensors_compose(&entry, 1, &meta, 1, &text));
        assert_ptr_equal(mien_model_format_sniff(text.data, text.size), i == 3 ? &mien_format_int8
                                                                        : i == 4
                                                                            ? &mien_format_float
                                                                            : NULL);
        mien_text_release(&text);
    }
}

static bool lists(const char *list, const char *suffix) {
    char padded[160], word[32];
    snprintf(padded, sizeof padded, " or %s or ", list);
    snprintf(word, sizeof word, " or %s or ", suffix);
    return strstr(padded, word) != NULL;
}

/* The first suffix of each row that has the flags, in the table's order, each once. */
static void expect_listed(unsigned flags) {
    char got[128], want[128] = "";
    const mien_model_format *f;
    for (size_t i = 0; (f = mien_model_format_at(i)) != NULL; i++) {
        const unsigned own = f->flags | (f->write ? MIEN_FORMAT_WRITTEN : 0u);
        if ((own & flags) != flags || lists(want, f->suffixes[0])) continue;
        if (want[0]) strcat(want, " or ");
        strcat(want, f->suffixes[0]);
    }
    mien_model_suffixes(flags, got, sizeof got);
    assert_string_equal(got, want);
}

static void suffixes_are_listed(void **state) {
    (void)state;
    char text[128], little[4];
    mien_model_suffixes(0, text, sizeof text);
    expect_in(text, ".h5");
    expect_in(text, " or ");
    expect_listed(0);
    expect_listed(MIEN_FORMAT_INT8 | MIEN_FORMAT_WRITTEN);
    expect_listed(MIEN_FORMAT_TRAINABLE);
    mien_model_suffixes(0, little, sizeof little);
    assert_int_equal(strlen(little), 3);
}

/* At any position, also beyond the blocks that the loop is cut into. */
static void values_that_are_not_finite_are_found(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    static float values[COUNT];
    static const float bad[] = {(float)NAN, (float)INFINITY, (float)-INFINITY};
    for (size_t i = 0; i < COUNT; i++)
        values[i] = i % 2 ? -3.4e38F : 1e-40F;
    assert_true(mien_all_finite(values, COUNT));
    assert_true(mien_all_finite(values, 0));
    for (size_t i = 0; i < COUNT; i += 7) {
        const float kept = values[i];
        values[i] = bad[i % 3];
        assert_false(mien_all_finite(values, COUNT));
        assert_true(mien_all_finite(values, i));
        values[i] = kept;
    }
}

/* ---- files ---- */

/* Opens a file and expects this format and the weights of `model`. */
static void expect_same_model(const char *path, const mien_model_format *format,
                              const mien_model *model) {
    mien_model back;
    expect_ok(mien_model_open(path, &back));
    assert_ptr_equal(back.format, format);
    assert_int_equal(back.graph.count, model->graph.count);
    for (int i = 0; i < model->graph.count; i++)
        for (int k = 0; k < model->graph.nodes[i].param_count; k++) {
            if (model->quant.nodes && model->quant.layers[i].w_scale && k == 0) continue;
            assert_memory_equal(
                mien_weights_get(&back.weights, i, k), mien_weights_get(&model->weights, i, k),
                mien_shape_count(model->graph.nodes[i].params[k].shape) * sizeof(float));
        }
    assert_int_equal(back.meta.classes, CLASSES);
    assert_string_equal(back.meta.class_names[2], "class 2");
    mien_model_release(&back);
}

static void suffix_chooses_what_is_written(void **state) {
    (void)state;
    const mien_model_format *f;
    for (size_t i = 0; (f = mien_model_format_at(i)) != NULL; i++) {
        char name[32];
        mien_model model;
        if (!can_write(f)) continue;
        const bool int8 = f->flags & MIEN_FORMAT_INT8;
        make(int8, &model);
        snprintf(name, sizeof name, "m%s", f->suffixes[0]);
        if (mien_model_format_for(name, int8) == f) { /* or a row before it has the same suffix */
            expect_ok(mien_model_save(&model, scratch_path(name)));
            expect_same_model(scratch_path(name), f, &model);
        }
        mien_model_release(&model);
    }
}

/* A file with a wrong suffix is recognised by its content. */
static void content_decides(void **state) {
    (void)state;
    char *bytes = NULL;
    size_t size;
    mien_model model;
    make(true, &model);
    expect_ok(mien_format_int8.write(&model, "made", &bytes, &size));
    scratch_put("int8.h5", bytes, size);
    scratch_put("int8", bytes, size);
    expect_same_model(scratch_path("int8.h5"), &mien_format_int8, &model);
    expect_same_model(scratch_path("int8"), &mien_format_int8, &model);
    mien_free(bytes);
    mien_model_release(&model);
}

/* The format of a file, and of one that is only named. */
static void format_in_a_file(void **state) {
    (void)state;
    char *bytes = NULL;
    size_t size;
    mien_model model;
    make(true, &model);
    expect_ok(mien_format_int8.write(&model, "made", &bytes, &size));
    scratch_put("a.bin", bytes, size);
    scratch_put("a.h5", bytes, size);
    scratch_put("text.h5", "layers:\n", 8);
    scratch_put("net.yaml", "layers:\n", 8);
    assert_ptr_equal(mien_model_format_in(scratch_path("a.bin")), &mien_format_int8);
    assert_ptr_equal(mien_model_format_in(scratch_path("a.h5")), &mien_format_int8);
    assert_ptr_equal(mien_model_format_in(scratch_path("text.h5")), mien_model_format_of(".h5"));
    assert_ptr_equal(mien_model_format_in(scratch_path("no.h5")), mien_model_format_of(".h5"));
    assert_null(mien_model_format_in(scratch_path("net.yaml")));
    assert_null(mien_model_format_in(scratch_path("no.yaml")));
    mien_free(bytes);
    mien_model_release(&model);
}

/* HDF5 may begin after a block of 512, 1024, … arbitrary bytes. */
static void hdf5_after_a_block(void **state) {
    (void)state;
    static const size_t blocks[] = {512, 1024, 8192};
    char *bytes = NULL;
    size_t size;
    mien_model model;
    if (mien_h5_available() != MIEN_OK) skip();
    make(false, &model);
    expect_ok(mien_format_keras_h5.write(&model, "made", &bytes, &size));
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        mien_text text = {0};
        while (text.size < blocks[i])
            mien_text_append(&text, "{\n", 1);
        mien_text_append(&text, bytes, size);
        assert_null(mien_model_format_sniff(text.data + 1, text.size - 1)); /* 511 bytes */
        scratch_put_text("block.h5", &text);
        expect_same_model(scratch_path("block.h5"), &mien_format_keras_h5, &model);
    }
    mien_free(bytes);
    mien_model_release(&model);
}

static void refuse_file(const char *name, const char *part) {
    mien_model model;
    scratch_put(name, "emotion,pixels\n", 15);
    assert_int_equal(mien_model_open(scratch_path(name), &model), MIEN_FORMAT);
    expect_in_message(name);
    expect_in_message(part);
    mien_model_release(&model);
}

static void suffix_chooses_the_message(void **state) {
    (void)state;
    refuse_file("faces.csv", "nor HDF5 (.h5)");
    refuse_file("faces.csv", "neither int8 safetensors (.safetensors)");
    refuse_file("faces.h5", "it is not HDF5");
    refuse_file("faces.safetensors", "header");
}

static void refuse_save(bool int8, const char *name, const char *part) {
    mien_model model;
    make(int8, &model);
    assert_int_equal(mien_model_save(&model, scratch_path(name)), MIEN_INVALID);
    expect_in_message(name);
    expect_in_message(part);
    assert_false(mien_file_exists(scratch_path(name)));
    mien_model_release(&model);
}

static void what_cannot_be_written(void **state) {
    (void)state;
    refuse_save(false, "m.onnx2", ".h5");
    refuse_save(false, "m.onnx2", ".safetensors");
    refuse_save(false, "m", "must end in");
    if (!mien_model_format_for("m.safetensors", false))
        refuse_save(false, "float.safetensors", "not in int8");
    refuse_save(true, "quantised.h5", "this one is in int8");
}

/* ---- defaults ---- */

static void expect_defaults(const mien_meta *meta) {
    assert_string_equal(meta->resize, "area");
    assert_true(meta->normalise.scale == 1 / 255.0);
    for (int c = 0; c < MIEN_INPUT_CHANNELS_MAX; c++)
        assert_true(meta->normalise.mean[c] == 0 && meta->normalise.std[c] == 1);
    assert_true(meta->crop.square && meta->crop.margin == 0);
    assert_true(meta->temperature == 1 && meta->uncertain_below == MIEN_UNCERTAIN_BELOW);
    assert_int_equal(meta->split.by, MIEN_BY_USAGE);
    assert_int_equal(meta->split.seed, 1);
    assert_string_equal(meta->data, "");
}

static void defaults_of_a_graph(void **state) {
    (void)state;
    mien_graph graph;
    mien_meta meta;
    parse_network(SIDE, 3, &graph);
    expect_ok(mien_meta_default(&graph, "tiny", &meta));
    expect_defaults(&meta);
    assert_int_equal(meta.input.height, SIDE);
    assert_int_equal(meta.input.width, SIDE);
    assert_int_equal(meta.input.channels, 3);
    assert_int_equal(meta.classes, CLASSES);
    assert_string_equal(meta.class_names[0], "class 0");
    assert_string_equal(meta.class_names[2], "class 2");
    mien_free(meta.class_names);
    graph.nodes[0].out.c = 5;
    assert_int_equal(mien_meta_default(&graph, "tiny", &meta), MIEN_UNSUPPORTED);
    expect_in_message("5 channels");
    graph.nodes[0].out = (mien_shape){1, 5000, SIDE, 1};
    assert_int_equal(mien_meta_default(&graph, "tiny", &meta), MIEN_UNSUPPORTED);
    expect_in_message("5000x12");
    graph.nodes[0].out.h = SIDE;
    graph.classes = MIEN_CLASSES_MAX + 1;
    assert_int_equal(mien_meta_default(&graph, "tiny", &meta), MIEN_UNSUPPORTED);
    expect_in_message("4097 classes");
    mien_graph_release(&graph);
}

static mien_status read_meta(const char *text, mien_meta *meta) {
    mien_tree tree;
    expect_ok(mien_json_parse(text, strlen(text), "meta", &tree));
    const mien_status status = mien_meta_read(tree.root, "meta", meta);
    mien_tree_release(&tree);
    return status;
}

/* A minimal attribute: everything else gets the defaults. */
static void an_attribute_begins_with_the_defaults(void **state) {
    (void)state;
    mien_meta meta;
    expect_ok(read_meta("{\"format\": 1, \"classes\": [\"a\", \"b\"], \"input\": {\"height\": 8, "
                        "\"width\": 9, \"channels\": 1, \"scale\": [\"0.0039215686274509803\"], "
                        "\"mean\": [\"0\"], \"std\": [\"1\"]}, \"data\": {\"split\": {\"shares\": "
                        "[\"0\", \"0\"], \"by\": 1}}}",
                        &meta));
    expect_defaults(&meta);
    assert_int_equal(meta.input.width, 9);
    assert_string_equal(meta.class_names[1], "b");
    mien_free(meta.class_names);
}

/* ---- the numbers in the attribute ---- */

/* An attribute of format 1, which stored numbers as strings. */
static const char of_format_1[] =
    "{\"format\": 1, \"producer\": \"mien 0.1.0\", \"classes\": [\"a\", \"b\"], \"input\": "
    "{\"height\": 48, \"width\": 48, \"channels\": 1, \"resize\": \"area\", \"scale\": "
    "[\"0.0039215700000000001\"], \"mean\": [\"0.50733855000000005\"], \"std\": "
    "[\"0.25498124999999999\"]}, \"crop\": {\"square\": false, \"margin\": "
    "[\"0.14999999999999999\"]}, \"temperature\": 1.25, \"uncertain_below\": 0.4, \"data\": "
    "{\"source\": \"x\", \"split\": {\"shares\": [\"0.10000000000000001\", \"0.125\"], \"by\": 2, "
    "\"seed\": 3}}}";

static void expect_format_1(const mien_meta *meta) {
    assert_true(meta->normalise.scale == 0.00392157);
    assert_true(meta->normalise.mean[0] == 0.50733855 && meta->normalise.std[0] == 0.25498125);
    assert_true(!meta->crop.square && meta->crop.margin == 0.15);
    assert_true(meta->split.val == 0.1 && meta->split.test == 0.125);
    assert_int_equal(meta->split.by, MIEN_BY_STRATIFIED);
    assert_true(meta->temperature == 1.25 && meta->uncertain_below == 0.4);
}

static void old_numbers_are_read_and_new_ones_written(void **state) {
    (void)state;
    mien_meta meta, again;
    mien_text text = {0};
    expect_ok(read_meta(of_format_1, &meta));
    expect_format_1(&meta);
    mien_meta_write(&meta, &text);
    expect_ok(text.status);
    expect_in(text.data, "\"scale\": [0.00392157], \"mean\": [0.50733855]");
    expect_in(text.data, "\"margin\": [0.15]");
    expect_in(text.data, "\"shares\": [0.1, 0.125]");
    expect_ok(read_meta(text.data, &again));
    expect_format_1(&again);
    mien_text_release(&text);
    mien_free(meta.class_names);
    mien_free(again.class_names);
}

/* Doubles that need many digits survive bit for bit. */
static void numbers_are_exact(void **state) {
    (void)state;
    static const double awkward[] = {
        1 / 255.0, 1 / 3.0, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 123456789012345680, -2.5, 1};
    mien_graph graph;
    mien_meta meta, again;
    parse_network(SIDE, 4, &graph);
    expect_ok(mien_meta_default(&graph, "tiny", &meta));
    for (int c = 0; c < 2; c++) {
        mien_text text = {0};
        memcpy(c ? meta.normalise.std : meta.normalise.mean, awkward + (c ? 0 : 4),
               sizeof meta.normalise.mean);
        mien_meta_write(&meta, &text);
        expect_ok(read_meta(text.data, &again));
        assert_memory_equal(&again.normalise, &meta.normalise, sizeof meta.normalise);
        mien_text_release(&text);
        mien_free(again.class_names);
    }
    mien_free(meta.class_names);
    mien_graph_release(&graph);
}

/* Numbers that are in a file beside the container: only inside that file, and only where a reader
 * has one, as that of mien-h5's containers. */
static void offsets_stay_in_the_file(void **state) {
    (void)state;
    static const char file[] = "0123456789abcdef";
    static const struct {
        const char *shape, *rest;
        const char *data; /* what is found; NULL: it is refused */
    } cases[] = {
        {"[2]", "\"data_offsets\":[0,0],\"file_offset\":8", "89abcdef"},
        {"[4]", "\"data_offsets\":[0,0],\"file_offset\":0", "0123456789abcdef"},
        {"[0]", "\"data_offsets\":[0,0],\"file_offset\":16", ""},
        {"[2]", "\"data_offsets\":[0,0],\"file_offset\":9", NULL},
        {"[2]", "\"data_offsets\":[0,0],\"file_offset\":-1", NULL},
        {"[2]", "\"data_offsets\":[0,0],\"file_offset\":1.5", NULL},
        {"[2]", "\"data_offsets\":[0,0],\"file_offset\":\"8\"", NULL},
        {"[2]", "\"data_offsets\":[0,0],\"file_offset\":18446744073709551608", NULL},
        {"[5]", "\"data_offsets\":[0,0],\"file_offset\":0", NULL},
        {"[4611686018427387905]", "\"data_offsets\":[0,0],\"file_offset\":0", NULL},
        {"[2]", "\"data_offsets\":[0,8],\"file_offset\":0", NULL},
        {"[2]", "\"data_offsets\":[0,0]", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[300] = {0};
        mien_safetensors found = {0};
        const int length =
            snprintf(bytes + 8, sizeof bytes - 8, "{\"t\":{\"dtype\":\"F32\",\"shape\":%s,%s}}",
                     cases[i].shape, cases[i].rest);
        bytes[0] = (char)length;
        const size_t size = 8 + (size_t)length;
        const mien_status status =
            mien_safetensors_parse_over(bytes, size, "x", file, sizeof file - 1, &found);
        if ((status == MIEN_OK) != (cases[i].data != NULL)) fail_msg("case %zu", i);
        if (status == MIEN_OK) {
            const size_t want = strlen(cases[i].data);
            assert_int_equal(found.tensors[0].count * sizeof(float), want);
            assert_memory_equal(found.tensors[0].data, cases[i].data, want);
        }
        mien_safetensors_release(&found);
        const bool empty = strcmp(cases[i].shape, "[0]") == 0;
        assert_int_equal(mien_safetensors_parse(bytes, size, "x", &found) == MIEN_OK, empty);
        mien_safetensors_release(&found);
    }
}

static void refuse_meta(const char *from, const char *to) {
    char text[sizeof of_format_1 + 32];
    mien_meta meta;
    const char *at = strstr(of_format_1, from);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - of_format_1), of_format_1, to,
             at + strlen(from));
    assert_int_not_equal(read_meta(text, &meta), MIEN_OK);
    expect_in_message("attribute 'mien'");
    mien_free(meta.class_names);
}

static void invalid_numbers(void **state) {
    (void)state;
    refuse_meta("\"0.0039215700000000001\"", "true");
    refuse_meta("\"0.0039215700000000001\"", "\"none\"");
    refuse_meta("\"0.0039215700000000001\"", "NaN");
    refuse_meta("\"0.0039215700000000001\"", "1, 2");
    refuse_meta("\"0.25498124999999999\"", "0");
    refuse_meta("\"format\": 1", "\"format\": 3");
    refuse_meta("\"format\": 1", "\"format\": 1.5");
}

int main(void) {
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-h5 */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(content_matches_one_row),
        cmocka_unit_test(other_safetensors_match_nothing),
        cmocka_unit_test(suffixes_are_listed),
        cmocka_unit_test(values_that_are_not_finite_are_found),
        cmocka_unit_test(suffix_chooses_what_is_written),
        cmocka_unit_test(content_decides),
        cmocka_unit_test(format_in_a_file),
        cmocka_unit_test(hdf5_after_a_block),
        cmocka_unit_test(suffix_chooses_the_message),
        cmocka_unit_test(what_cannot_be_written),
        cmocka_unit_test(defaults_of_a_graph),
        cmocka_unit_test(an_attribute_begins_with_the_defaults),
        cmocka_unit_test(old_numbers_are_read_and_new_ones_written),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(invalid_numbers),
        cmocka_unit_test(offsets_stay_in_the_file),
    };
    return cmocka_run_group_tests_name("formats", tests, scratch_make, scratch_drop);
}
