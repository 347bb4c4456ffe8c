/* int8 networks: calibration, agreement with f32, files and damaged files. */
#include "tests/support/net.h"
#include "tests/support/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/base/yaml.h"
#include "host/formats/format.h"
#include "host/formats/safetensors.h"
#include "host/infer/calibrate.h"
#include "include/mien/predictor.h"
#include "tests/support/test.h"

static mien_backend *cpu, *plain;

static int open_backends(void **state) {
    (void)state;
    const mien_backend_options one = {.threads = 1};
    expect_ok(mien_cpu_open(&one, &cpu));
    expect_ok(reference_open(false, &plain));
    return 0;
}

static int close_backends(void **state) {
    (void)state;
    mien_backend_close(cpu);
    mien_backend_close(plain);
    return 0;
}

#define CONV "conv2d: {filters: 16, kernel_size: 3, padding: same"
static const char classic[] = "layers:\n"
                              "  - conv2d: {filters: 32, kernel_size: 3, activation: relu}\n"
                              "  - conv2d: {filters: 72, kernel_size: 3, activation: relu}\n"
                              "  - max_pooling2d\n  - dropout: {rate: 0.2}\n"
                              "  - conv2d: {filters: 32, kernel_size: 3, activation: relu}\n"
                              "  - max_pooling2d\n  - dropout: {rate: 0.2}\n  - flatten\n"
                              "  - dense: {units: 64, activation: relu}\n  - dropout: {rate: 0.5}\n"
                              "  - dense: {units: classes, activation: softmax}\n";
enum { SIDE = 20, CLASSES = 5, IMAGES = 60 };
static uint8_t pixels[IMAGES * SIDE * SIDE], part_of[IMAGES];
static uint16_t labels[IMAGES];

static mien_dataset images(size_t count) {
    for (int i = 0; i < IMAGES * SIDE * SIDE; i++)
        pixels[i] =
            (uint8_t)(whole_below(9, (size_t)i, 100) + whole_below(10, (size_t)(i / 40), 150));
    memset(part_of, MIEN_TRAIN, sizeof part_of);
    return (mien_dataset){.source = "images",
                          .spec = {SIDE, SIDE, 1},
                          .count = count,
                          .pixels = pixels,
                          .labels = labels,
                          .part = part_of,
                          .classes = CLASSES};
}

static void make_model(const char *text, mien_model *model) {
    const mien_graph_io io = {SIDE, SIDE, 1, CLASSES};
    mien_tree tree;
    *model = (mien_model){0};
    expect_ok(mien_yaml_parse(text, strlen(text), "model", &tree));
    expect_ok(mien_graph_parse(tree.root, "model", io, &model->graph));
    mien_tree_release(&tree);
    expect_ok(mien_weights_create(&model->graph, 3, &model->weights));
    for (int i = 0; i < model->graph.count; i++) /* non-trivial normalisations */
        for (int k = 0; k < model->graph.nodes[i].param_count; k++) {
            const mien_param *p = &model->graph.nodes[i].params[k];
            float *to = mien_weights_get(&model->weights, i, k);
            for (size_t e = 0; !p->linear && e < mien_shape_count(p->shape); e++)
                to[e] += 0.3f * (float)fabs(noise((uint32_t)(50 + i * 8 + k), e));
        }
    model->meta.input = (mien_image_spec){SIDE, SIDE, 1};
    model->meta.classes = CLASSES;
    model->meta.temperature = 1;
    model->meta.split.by = MIEN_BY_USAGE;
    model->meta.normalise = (mien_normalise){1 / 255.0, {0.5}, {0.25}};
    expect_ok(mien_new(&model->meta.class_names, CLASSES, MIEN_CLASS_NAME));
    for (int k = 0; k < CLASSES; k++)
        snprintf(model->meta.class_names[k], MIEN_CLASS_NAME, "class%d", k);
}

static void calibrated(const char *text, mien_model *model) {
    mien_calibration result;
    const mien_dataset set = images(IMAGES);
    make_model(text, model);
    expect_ok(mien_calibrate(model, &set, MIEN_TRAIN, cpu, &result));
    assert_int_equal(result.images, IMAGES);
    assert_true(result.layers > 0);
}

/* Logits of the first `rows` images; `micro` rows at a time. */
static double *logits_of(const mien_model *model, mien_backend *b, const mien_quant *quant,
                         int rows, int micro) {
    const mien_plan_options options = {.max_batch = rows, .micro_batch = micro, .quant = quant};
    const size_t numbers_out = (size_t)rows * CLASSES;
    mien_plan *plan;
    mien_loader loader;
    const mien_dataset set = images(IMAGES);
    expect_ok(mien_plan_create(&model->graph, b, &options, &plan));
    expect_ok(mien_plan_load(plan, &model->weights));
    expect_ok(mien_loader_create(&set, &model->meta.normalise, b, rows, 0, &loader));
    expect_ok(mien_loader_order(&loader, MIEN_TRAIN, false, 0, 0));
    const mien_tensor x = mien_plan_input(plan, rows), y = mien_plan_logits(plan, rows);
    const mien_batch batch = {.rows = rows};
    float raw[IMAGES * CLASSES];
    const unsigned saved = mien_float_enter();
    memset(plan->act, 0xff, plan->act_bytes);
    expect_ok(mien_loader_batch(&loader, &batch, &x, NULL));
    const uint64_t allocations = mien_allocation_count();
    expect_ok(mien_plan_forward(plan, rows, false, 0));
    assert_int_equal(mien_allocation_count(), allocations);
    mien_float_leave(saved);
    expect_ok(b->ops->download(b, raw, &y));
    double *out = numbers(numbers_out);
    for (size_t i = 0; i < numbers_out; i++)
        out[i] = (double)raw[i];
    mien_loader_release(&loader);
    mien_plan_free(plan);
    return out;
}

/* Compares int8 with the original f32 network, with its own quantized weights in f32, and with
 * itself in other batches. */
static void check_network(const char *text, double tolerance) {
    mien_model before, model;
    make_model(text, &before);
    calibrated(text, &model);
    double *want = logits_of(&before, cpu, NULL, 17, 5);
    double *rounded = logits_of(&model, plain, &model.quant, 17, 5);
    double *got = logits_of(&model, cpu, &model.quant, 17, 5);
    double *whole = logits_of(&model, cpu, &model.quant, 17, 17);
    double *alone = logits_of(&model, cpu, &model.quant, 1, 1);
    const double a = relative_distance(got, want, 17 * CLASSES);
    const double b = relative_distance(got, rounded, 17 * CLASSES);
    print_message("# %.2g from f32, %.2g from its weights in f32\n", a, b);
    if (!(a <= tolerance) || !(b <= tolerance))
        fail_msg("%s\nlogits differ by %.3g and %.3g", text, a, b);
    if (a == 0) fail_msg("%s\nnothing ran in int8", text);
    assert_true(relative_distance(whole, got, 17 * CLASSES) <= 1e-5);
    assert_true(relative_distance(alone, got, CLASSES) <= 1e-5);
    mien_model_release(&before);
    mien_model_release(&model);
    free(want);
    free(rounded);
    free(got);
    free(whole);
    free(alone);
}

static void test_networks(void **state) {
    (void)state;
    static const char *const rest = "  - flatten\n  - dense: {units: 40, activation: relu}\n"
                                    "  - dense: {units: classes, activation: softmax}\n";
    static const char *const bodies[] = {
        "layers:\n  - " CONV ", use_bias: false}\n  - batch_normalization\n"
        "  - activation: {activation: relu}\n  - " CONV "}\n  - batch_normalization\n"
        "  - activation: {activation: relu}\n  - max_pooling2d: {pool_size: 4}\n",
        /* odd channels; a layer without int8 between layers with it */
        "layers:\n  - conv2d: {filters: 7, kernel_size: 3, activation: relu}\n"
        "  - conv2d: {filters: 35, kernel_size: 3, strides: 2, activation: swish}\n"
        "  - average_pooling2d\n  - conv2d: {filters: 24, kernel_size: 3}\n  - max_pooling2d\n",
        /* one value with several consumers: int8 for all, or f32 for all */
        "layers:\n  - " CONV ", name: a, activation: relu}\n"
        "  - " CONV ", name: b, inputs: [a], activation: relu}\n"
        "  - " CONV ", name: c, inputs: [a]}\n  - add: {inputs: [b, c]}\n"
        "  - activation: {activation: relu}\n  - max_pooling2d: {pool_size: 4}\n",
        "layers:\n  - " CONV ", name: a, activation: relu}\n"
        "  - " CONV ", name: b, inputs: [a]}\n  - add: {name: s, inputs: [a, b]}\n"
        "  - " CONV ", activation: relu}\n  - max_pooling2d: {pool_size: 4}\n"};
    if (!reference_has_int8(cpu)) skip();
    check_network(classic, 0.03);
    for (int i = 0; i < 4; i++) {
        char text[1400];
        snprintf(text, sizeof text, "%s%s", bodies[i], rest);
        check_network(text, 0.03);
    }
}

/* Every value between the image and the logits that can be int8 is int8; pooling runs in the pass
 * of the second convolution, not of the third, whose 72 channels do not suit the loops that pool.
 */
static void test_types(void **state) {
    (void)state;
    static const struct {
        const char *name;
        mien_dtype dtype;
        bool skipped;
    } want[] = {{"conv2d", MIEN_U8, false},       {"conv2d_1", MIEN_U8, false},
                {"max_pooling2d", MIEN_U8, true}, {"dropout", MIEN_U8, true},
                {"conv2d_2", MIEN_U8, false},     {"max_pooling2d_1", MIEN_U8, false},
                {"flatten", MIEN_U8, true},       {"dense", MIEN_F32, false},
                {"dense_1", MIEN_F32, false}};
    mien_model model;
    mien_plan *plan, *f32;
    if (!reference_has_int8(cpu)) skip();
    calibrated(classic, &model);
    mien_plan_options options = {.max_batch = 8, .quant = &model.quant};
    expect_ok(mien_plan_create(&model.graph, cpu, &options, &plan));
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const int node = mien_graph_find(&model.graph, want[i].name);
        assert_true(node > 0);
        assert_int_equal(plan->nodes[node].value.dtype, want[i].dtype);
        assert_int_equal(plan->nodes[node].fusion.skipped, want[i].skipped);
    }
    assert_int_equal(mien_quant_count(&model.quant), 3);
    expect_ok(mien_plan_create(&model.graph, plain, &options, &f32)); /* has no int8: f32 */
    assert_null(f32->quant);
    mien_plan_free(f32);
    mien_plan_free(plan);
    options.training = true;
    assert_int_equal(mien_plan_create(&model.graph, cpu, &options, &plan), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "cannot be trained"));
    mien_model_release(&model);
}

static void test_refusals(void **state) {
    (void)state;
    mien_model model;
    mien_calibration result;
    mien_dataset few = images(MIEN_CALIBRATION_LEAST - 1);
    make_model(classic, &model);
    assert_int_equal(mien_calibrate(&model, &few, MIEN_TRAIN, cpu, &result), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "at least 32 images"));
    assert_int_equal(mien_calibrate(&model, &few, MIEN_VAL, cpu, &result), MIEN_INVALID);
    few.count = IMAGES;
    expect_ok(mien_calibrate(&model, &few, MIEN_TRAIN, cpu, &result));
    assert_int_equal(mien_calibrate(&model, &few, MIEN_TRAIN, cpu, &result), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "already int8"));
    mien_model_release(&model);
    make_model("layers:\n  - conv2d: {filters: 4, kernel_size: 3}\n  - flatten\n"
               "  - dense: {units: classes, activation: softmax}\n",
               &model);
    assert_int_equal(mien_calibrate(&model, &few, MIEN_TRAIN, cpu, &result), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "no layer that gains"));
    mien_model_release(&model);
}

/* ---- ranges ---- */

static void test_clips(void **state) {
    (void)state;
    static mien_histogram h;
    assert_true(mien_clip_find(&h, MIEN_CLIP_MSE, 255) == 0);
    h.most = 10;
    for (int i = 0; i < MIEN_HISTOGRAM; i++) /* nearly all values below 1, one at 10 */
        h.bins[i] = floor(1e6 * exp(-i / 40.0));
    h.bins[MIEN_HISTOGRAM - 1] = 1;
    assert_true(mien_clip_find(&h, MIEN_CLIP_MAX, 255) == 10);
    for (int clip = MIEN_CLIP_PERCENTILE; clip < MIEN_CLIPS; clip++) {
        const float edge = mien_clip_find(&h, (mien_clip)clip, 255);
        if (!(edge >= 0.9f && edge < 5))
            fail_msg("%s cuts at %g", mien_clip_name((mien_clip)clip), (double)edge);
    }
    for (int i = 0; i < MIEN_HISTOGRAM; i++) /* uniform: nothing may be clipped */
        h.bins[i] = 100;
    assert_true(mien_clip_find(&h, MIEN_CLIP_MSE, 255) > 9.9f);
    assert_true(mien_clip_find(&h, MIEN_CLIP_KL, 255) > 9.0f);
}

/* ---- files ---- */

static const char *scratch_file(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/mien-test-int8-%d.safetensors", (int)getpid());
    return path;
}

static void probabilities(const mien_model *model, float *out) {
    mien_predictor *p;
    images(IMAGES);
    expect_ok(mien_predictor_create(model, cpu, 8, &p));
    expect_ok(mien_predictor_run(p, pixels, 11, out));
    mien_predictor_free(p);
}

static void test_file(void **state) {
    (void)state;
    mien_model model, *loaded;
    float before[11 * CLASSES], after[11 * CLASSES];
    calibrated(classic, &model);
    snprintf(model.calibration, sizeof model.calibration, "sixty images");
    expect_ok(mien_model_save(&model, scratch_file()));
    expect_ok(mien_model_load(scratch_file(), &loaded));
    probabilities(&model, before);
    probabilities(loaded, after);
    assert_memory_equal(before, after, sizeof before);
    assert_string_equal(loaded->calibration, "sixty images");
    assert_string_equal(mien_model_class_name(loaded, 2), "class2");
    assert_int_equal(mien_quant_count(&loaded->quant), 3);
    mien_model_free(loaded);
    mien_model_release(&model);
    unlink(scratch_file());
}

/* Opens a damaged file and, if it is accepted, predicts with it. */
static mien_status try_bytes(const char *bytes, size_t size) {
    mien_model model = {0};
    float out[11 * CLASSES];
    mien_model_source from = {.bytes = malloc(size + 1), .size = size, .name = "damaged"};
    assert_non_null(from.bytes);
    memcpy(from.bytes, bytes, size);
    const mien_status status = mien_format_int8.read(&from, &model);
    mien_free(from.bytes);
    if (status == MIEN_OK && model.meta.classes == CLASSES && model.meta.input.width == SIDE)
        probabilities(&model, out);
    mien_model_release(&model);
    return status;
}

/* Replaces the first `from` by `to`, of the same length, and expects an error with `why` in it. */
static void refuse_change(const char *bytes, size_t size, const char *from, const char *to,
                          const char *why) {
    char *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    char *at = memmem(copy, size, from, strlen(from));
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    const mien_status status = try_bytes(copy, size);
    if (status == MIEN_OK || !strstr(mien_error_message(), why))
        fail_msg("%s -> %s: status %d, %s", from, to, status, mien_error_message());
    free(copy);
}

/* The same with all floats of a tensor set to a value. */
static void refuse_number(const char *bytes, size_t size, const char *tensor, float value,
                          const char *why) {
    mien_safetensors file;
    char *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    expect_ok(mien_safetensors_parse(copy, size, "file", &file));
    const mien_st_tensor *t = mien_safetensors_find(&file, tensor);
    assert_non_null(t);
    memcpy(copy + ((const char *)t->data - copy), &value, sizeof value);
    mien_safetensors_release(&file);
    const mien_status status = try_bytes(copy, size);
    if (status == MIEN_OK || !strstr(mien_error_message(), why))
        fail_msg("%s = %g: status %d, %s", tensor, (double)value, status, mien_error_message());
    free(copy);
}

/* The file of a calibrated model, in memory; the caller frees it. */
static char *file_of(const char *text, size_t *size) {
    mien_model model;
    char *bytes;
    calibrated(text, &model);
    expect_ok(mien_model_save(&model, scratch_file()));
    mien_model_release(&model);
    expect_ok(mien_file_read(scratch_file(), 1 << 24, &bytes, size));
    unlink(scratch_file());
    return bytes;
}

/* Adds a tensor that the network does not use. */
static void refuse_extra(const char *bytes, size_t size) {
    static const char *const keys[] = {"format", "mien", "model_config"};
    const float one = 1;
    mien_safetensors file;
    mien_st_entry entries[64] = {{.name = "conv2d/kernel_scale", .data = &one}};
    mien_st_meta meta[3];
    mien_text text = {0};
    expect_ok(mien_safetensors_parse(bytes, size, "file", &file));
    assert_true(file.count < 64);
    for (size_t i = 0; i < file.count; i++) {
        const mien_st_tensor *t = &file.tensors[i];
        entries[i + 1] =
            (mien_st_entry){.name = t->name, .rank = t->rank, .data = t->data, .type = t->type};
        memcpy(entries[i + 1].shape, t->shape, sizeof t->shape);
    }
    for (int i = 0; i < 3; i++)
        meta[i] = (mien_st_meta){keys[i], mien_safetensors_meta(&file, keys[i])};
    expect_ok(mien_safetensors_compose(entries, file.count + 1, meta, 3, &text));
    assert_int_equal(try_bytes(text.data, text.size), MIEN_FORMAT);
    assert_non_null(strstr(mien_error_message(), "the network uses"));
    mien_text_release(&text);
    mien_safetensors_release(&file);
}

/* A value that two layers read has one scale. */
static void test_scales_of_a_value(void **state) {
    (void)state;
    static const char text[] = "layers:\n  - " CONV ", name: a, activation: relu}\n"
                               "  - " CONV ", name: b, inputs: [a]}\n"
                               "  - " CONV ", name: c, inputs: [a]}\n  - add: {inputs: [b, c]}\n"
                               "  - flatten\n"
                               "  - dense: {units: classes, activation: softmax}\n";
    size_t size;
    char *bytes = file_of(text, &size);
    assert_int_equal(try_bytes(bytes, size), MIEN_OK);
    refuse_number(bytes, size, "c/input_scale", 0.5f,
                  "'b' and 'c' read the same value at different");
    mien_free(bytes);
}

static void test_damaged_files(void **state) {
    (void)state;
    size_t size, taken = 0;
    char *bytes = file_of(classic, &size);
    refuse_extra(bytes, size);
    refuse_change(bytes, size, "mien-int8-1", "mien-int8-2", "mien-int8-1");
    refuse_change(bytes, size, "\"conv2d_1/kernel\"", "\"conv2d_9/kernel\"", "missing");
    refuse_change(bytes, size, "\"conv2d_1/kernel_scale\"", "\"conv2d_1/kernel_scalf\"",
                  "scales are missing");
    refuse_change(bytes, size, "width\\\": 20", "width\\\": 21", "do not match");
    refuse_number(bytes, size, "conv2d_1/kernel_scale", NAN, "not finite");
    refuse_number(bytes, size, "conv2d_1/kernel_scale", 0, "not between 1e-30 and 1e30");
    refuse_number(bytes, size, "conv2d_1/kernel_scale", -1, "not between 1e-30 and 1e30");
    refuse_number(bytes, size, "conv2d_2/input_scale", 1e35f, "not between 1e-30 and 1e30");
    refuse_number(bytes, size, "dense_1/kernel", INFINITY, "not finite");
    for (size_t cut = 0; cut < 200; cut++)
        assert_int_not_equal(try_bytes(bytes, size * cut / 200), MIEN_OK);
    for (uint32_t round = 0; round < 500; round++) { /* no crash, no sanitizer report */
        char *copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, bytes, size);
        const size_t reach = round % 2 ? size : 6000; /* the header, or anywhere */
        for (size_t i = 0; i <= round % 4; i++)
            copy[(size_t)whole_below(round, 2 * i, (int)reach)] =
                (char)whole_below(round, 2 * i + 1, 256);
        taken += try_bytes(copy, size) == MIEN_OK;
        free(copy);
    }
    print_message("# %zu of 500 damaged files still make a model\n", taken);
    assert_true(taken < 500);
    mien_free(bytes);
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_networks),
                                       cmocka_unit_test(test_types),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_clips),
                                       cmocka_unit_test(test_file),
                                       cmocka_unit_test(test_damaged_files),
                                       cmocka_unit_test(test_scales_of_a_value)};
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
