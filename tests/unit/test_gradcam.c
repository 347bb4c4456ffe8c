/* Grad-CAM against Keras (tests/golden/make_gradcam.py), and where it does not apply. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/file.h"
#include "host/base/yaml.h"
#include "host/infer/gradcam.h"
#include "tests/support/device.h"
#include "tests/support/golden.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static mien_backend *backend;
static golden_file golden;

static mien_model parse(const char *text, mien_graph_io io) {
    mien_model model = {0};
    mien_tree tree;
    expect_ok(mien_yaml_parse(text, strlen(text), "network", &tree));
    expect_ok(mien_graph_parse(tree.root, "network", io, &model.graph));
    mien_tree_release(&tree);
    expect_ok(mien_weights_create(&model.graph, 1, &model.weights));
    model.meta.classes = model.graph.classes;
    return model;
}

static const char *meta(const char *name, const char *key) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", name, key);
    return golden_meta(&golden, path);
}

static mien_model load(const char *name) {
    mien_graph_io io = {0};
    const int read = sscanf(meta(name, "input"), "{height: %d, width: %d, channels: %d}",
                            &io.height, &io.width, &io.channels);
    assert_int_equal(read, 3);
    mien_model model = parse(meta(name, "model"), io);
    for (int i = 0; i < model.graph.count; i++)
        for (int k = 0; k < model.graph.nodes[i].param_count; k++) {
            const mien_node *node = &model.graph.nodes[i];
            /* a layer of two operators is one in Keras */
            const int length = (int)strcspn(node->name, "/");
            const mien_st_tensor *t =
                golden_find(&golden, "%s/%.*s/%s", name, length, node->name, node->params[k].name);
            if (!t) fail_msg("no %s/%s/%s", name, node->name, node->params[k].name);
            expect_ok(mien_st_floats(t, mien_weights_get(&model.weights, i, k), t->count));
        }
    return model;
}

static float *floats(const char *name, const char *part, size_t *count) {
    const mien_st_tensor *t = golden_find(&golden, "%s/%s", name, part);
    assert_non_null(t);
    float *out = malloc(t->count * sizeof *out);
    assert_non_null(out);
    expect_ok(mien_st_floats(t, out, t->count));
    *count = t->count;
    return out;
}

static double worst_of(const float *got, const float *want, size_t count) {
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
    return worst;
}

/* `copies` of the images: more than one batch. */
static void check(const char *name, int copies) {
    mien_model model = load(name);
    mien_gradcam *cam;
    size_t pixels, coarse, fine, three = 0;
    float *x = floats(name, "x", &pixels), *want = floats(name, "coarse", &coarse);
    float *want_maps = floats(name, "maps", &fine);
    double *labels = golden_numbers(golden_find(&golden, "%s/labels", name));
    const size_t most = (size_t)copies;
    float *images = malloc(most * pixels * sizeof *images), *maps = malloc(most * fine * sizeof *x);
    float *small = malloc(most * coarse * sizeof *small);
    uint16_t *classes = malloc(most * 3 * sizeof *classes);
    assert_non_null(images);
    assert_non_null(maps);
    assert_non_null(small);
    assert_non_null(classes);
    for (size_t c = 0; c < most; c++) {
        memcpy(images + c * pixels, x, pixels * sizeof *x);
        for (three = 0; three < 3; three++)
            classes[3 * c + three] = (uint16_t)labels[three];
    }
    expect_ok(mien_gradcam_create(&model, backend, &cam));
    int height, width;
    mien_gradcam_size(cam, &height, &width);
    assert_int_equal((size_t)height * (size_t)width * 3, coarse);
    expect_ok(mien_gradcam_coarse(cam, images, classes, 3 * copies, small));
    expect_ok(mien_gradcam_maps(cam, images, classes, 3 * copies, maps));
    for (size_t c = 0; c < most; c++) {
        const double off = worst_of(small + c * coarse, want, coarse);
        const double off_maps = worst_of(maps + c * fine, want_maps, fine);
        if (c == 0) print_message("# %s: within %.2g, resized %.2g\n", name, off, off_maps);
        assert_true(off <= 1e-4 && off_maps <= 1e-4);
    }
    mien_gradcam_free(cam);
    mien_model_release(&model);
    free(x);
    free(want);
    free(want_maps);
    free(labels);
    free(images);
    free(maps);
    free(small);
    free(classes);
}

static void as_keras(void **state) {
    (void)state;
    check("classic", 1);
    check("flat", 1);
    check("residual", 1);
    check("xception", 1);
    check("pools", 1);
    check("overlap", 1);
    check("branches", 1);
}

static void several_batches(void **state) {
    (void)state;
    check("residual", 23);
    check("classic", 11);
}

static void expect_refusal(const char *text, mien_head head, const char *message) {
    mien_model model = parse(text, (mien_graph_io){8, 8, 1, 3});
    mien_gradcam *cam;
    model.meta.head = head;
    assert_int_equal(mien_gradcam_create(&model, backend, &cam), MIEN_UNSUPPORTED);
    assert_null(cam);
    expect_in_message(message);
    mien_model_release(&model);
}

static void does_not_apply(void **state) {
    (void)state;
    expect_refusal("layers:\n  - flatten\n  - dense: {units: classes, activation: softmax}\n",
                   MIEN_HEAD_SOFTMAX, "no convolution");
    expect_refusal("layers:\n  - max_pooling2d\n  - flatten\n"
                   "  - dense: {units: classes, activation: softmax}\n",
                   MIEN_HEAD_SOFTMAX, "no convolution");
    /* a convolution over the whole image leaves no positions */
    expect_refusal("layers:\n  - conv2d: {filters: 4, kernel_size: 8}\n  - flatten\n"
                   "  - dense: {units: classes, activation: softmax}\n",
                   MIEN_HEAD_SOFTMAX, "no convolution");
    expect_refusal("layers:\n  - conv2d: {filters: 4, kernel_size: 3}\n  - flatten\n"
                   "  - dense: {units: classes, activation: linear}\n"
                   "  - activation: {activation: linear}\n",
                   MIEN_HEAD_VALUES, "does not answer in classes");
}

static void classes_are_checked(void **state) {
    (void)state;
    mien_model model = load("flat");
    mien_gradcam *cam;
    const uint16_t class = 5;
    float x[360] = {0}, map[120];
    expect_ok(mien_gradcam_create(&model, backend, &cam));
    assert_int_equal(mien_gradcam_maps(cam, x, &class, 1, map), MIEN_INVALID);
    expect_in_message("class 5");
    mien_gradcam_free(cam);
    mien_gradcam_free(NULL);
    mien_model_release(&model);
}

/* A sigmoid at the end is left out: where it saturates, no gradient would come through. */
static void sigmoid_that_saturates(void **state) {
    (void)state;
    mien_model model = parse("layers:\n  - conv2d: {filters: 4, kernel_size: 3, activation: relu}\n"
                             "  - flatten\n  - dense: {units: classes, activation: sigmoid}\n"
                             "  - activation: {activation: linear}\n",
                             (mien_graph_io){8, 8, 1, 3});
    mien_gradcam *cam;
    float x[64], map[64], top = 0;
    const uint16_t class = 1;
    model.meta.head = MIEN_HEAD_SIGMOID;
    const int dense = mien_graph_find(&model.graph, "dense");
    float *bias = mien_weights_get(&model.weights, dense, 1);
    float *kernel = mien_weights_get(&model.weights, dense, 0);
    bias[1] = 200;
    for (int i = 0; i < 6 * 6 * 4; i++)
        kernel[3 * i + 1] = 1;
    for (int i = 0; i < 64; i++)
        x[i] = (float)noise(1, (size_t)i);
    expect_ok(mien_gradcam_create(&model, backend, &cam));
    expect_ok(mien_gradcam_maps(cam, x, &class, 1, map));
    for (int i = 0; i < 64; i++)
        top = fmaxf(top, map[i]);
    assert_true(top > 0.5f && top <= 1);
    mien_gradcam_free(cam);
    mien_model_release(&model);
}

/* The emulation of a GPU, in f32: with tf32 factors the maps are off by some 1e-4. */
static void on_cuda(void **state) {
    (void)state;
    const char *build = getenv("MIEN_BUILD");
    char fake[512], module[544];
    mien_backend *const cpu = backend;
    snprintf(fake, sizeof fake, "%s/fake", build ? build : "build/release");
    snprintf(module, sizeof module, "%s/mien-cuda.so", fake);
    if (!mien_file_exists(module)) skip();
    setenv("MIEN_MODULES", fake, 1);
    backend = device_open(MIEN_COMPUTE_F32, false);
    check("classic", 1);
    check("residual", 12);
    mien_backend_close(backend);
    backend = cpu;
}

static void shipped_model(void **state) {
    (void)state;
    enum { COUNT = 200 };
    mien_model model;
    mien_gradcam *cam;
    if (mien_h5_available() != MIEN_OK) skip();
    expect_ok(mien_model_open("models/" MIEN_MODEL_NAME, &model));
    const mien_shape in = model.graph.nodes[0].out;
    const size_t image = mien_shape_sample(in);
    float *x = malloc(COUNT * image * sizeof *x), *maps = malloc(COUNT * image * sizeof *maps);
    uint16_t classes[COUNT];
    assert_non_null(x);
    assert_non_null(maps);
    for (size_t i = 0; i < COUNT * image; i++)
        x[i] = (float)noise(3, i);
    for (int i = 0; i < COUNT; i++)
        classes[i] = (uint16_t)(i % model.meta.classes);
    const double start = mien_seconds();
    expect_ok(mien_gradcam_create(&model, backend, &cam));
    expect_ok(mien_gradcam_maps(cam, x, classes, COUNT, maps));
    print_message("# the shipped model: %d images in %.2f s\n", COUNT, mien_seconds() - start);
    int bright = 0;
    for (int i = 0; i < COUNT; i++) {
        float top = 0;
        for (size_t k = 0; k < image / (size_t)in.c; k++) {
            const float v = maps[(size_t)i * (image / (size_t)in.c) + k];
            assert_true(v >= 0 && v <= 1);
            top = fmaxf(top, v);
        }
        bright += top > 0.5f;
    }
    assert_true(bright > COUNT / 2);
    mien_gradcam_free(cam);
    mien_model_release(&model);
    free(x);
    free(maps);
}

static int start(void **state) {
    (void)state;
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-h5 */
    golden_open(&golden, "gradcam");
    return mien_backend_open("cpu", NULL, &backend) != MIEN_OK;
}

static int stop(void **state) {
    (void)state;
    mien_backend_close(backend);
    golden_close(&golden);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_keras),
                                       cmocka_unit_test(several_batches),
                                       cmocka_unit_test(does_not_apply),
                                       cmocka_unit_test(classes_are_checked),
                                       cmocka_unit_test(sigmoid_that_saturates),
                                       cmocka_unit_test(shipped_model),
                                       cmocka_unit_test(on_cuda)};
    return cmocka_run_group_tests(tests, start, stop);
}
