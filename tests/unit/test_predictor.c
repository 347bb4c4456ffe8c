/* The public API: a predictor gives the results of its plan, for any number of images. */
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/yaml.h"
#include "host/formats/model.h"
#include "include/mien/mien.h"
#include "tests/support/test.h"

enum { SIDE = 12, CLASSES = 3, MOST = 40 };

static const char network[] =
    "name: tiny\nlayers:\n"
    "  - conv2d: {name: a_name_of_more_than_fifty_two_letters_which_is_allowed_here, filters: 16, "
    "kernel_size: 3, padding: same, activation: relu}\n"
    "  - batch_normalization\n"
    "  - add: {inputs: [batch_normalization, "
    "a_name_of_more_than_fifty_two_letters_which_is_allowed_here]}\n"
    "  - max_pooling2d\n  - flatten\n  - dense: {units: classes, activation: softmax}\n";

static uint8_t some_images[MOST * SIDE * SIDE];
static mien_model model;
static mien_backend *backend;

static mien_status make_model(const char *text, int side, mien_model *out) {
    mien_tree tree;
    const mien_graph_io io = {side, side, 1, CLASSES};
    mien_status status = mien_yaml_parse(text, strlen(text), "network", &tree);
    if (status == MIEN_OK) status = mien_graph_parse(tree.root, "network", io, &out->graph);
    mien_tree_release(&tree);
    if (status == MIEN_OK) status = mien_weights_create(&out->graph, 7, &out->weights);
    out->meta.input = (mien_image_spec){side, side, 1};
    out->meta.classes = CLASSES;
    out->meta.temperature = 1;
    out->meta.normalise = (mien_normalise){1 / 255.0, {0.5}, {0.25}};
    return status;
}

static int open_model(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof some_images; i++)
        some_images[i] = (uint8_t)(i * 2654435761u >> 24);
    mien_status status = make_model(network, SIDE, &model);
    if (status == MIEN_OK) status = mien_backend_open("cpu", NULL, &backend);
    return status != MIEN_OK;
}

static int close_model(void **state) {
    (void)state;
    mien_backend_close(backend);
    mien_model_release(&model);
    return 0;
}

typedef struct call {
    mien_predictor *predictor;
    float out[MOST * CLASSES];
    int threads; /* of the process afterwards */
} call;

static int threads_of_process(void) {
    int count = -2; /* "." and ".." */
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    while (readdir(tasks))
        count++;
    closedir(tasks);
    return count;
}

static void *run_call(void *context) {
    call *c = context;
    if (mien_predictor_run(c->predictor, some_images, MOST, c->out) == MIEN_OK)
        c->threads = threads_of_process();
    return NULL;
}

/* A predictor computes with the threads of its backend, whichever thread calls it: operators are
 * prepared for so many. */
static void any_thread(void **state) {
    (void)state;
    static call here, there;
    for (int threads = 1; threads <= 4; threads++) {
        const mien_backend_options options = {.threads = threads};
        mien_backend *own;
        mien_predictor *p;
        pthread_t thread;
        assert_int_equal(mien_backend_open("cpu", &options, &own), MIEN_OK);
        assert_int_equal(mien_predictor_create(&model, own, MOST, &p), MIEN_OK);
        here.predictor = there.predictor = p;
        run_call(&here);
        assert_int_equal(pthread_create(&thread, NULL, run_call, &there), 0);
        pthread_join(thread, NULL);
        assert_true(there.threads <= here.threads + threads);
        assert_memory_equal(here.out, there.out, sizeof here.out);
        mien_predictor_free(p);
        mien_backend_close(own);
    }
}

/* All batch sizes from one image up: more than operators keep prepared. */
static void any_number_of_images(void **state) {
    (void)state;
    static float alone[MOST * CLASSES], together[MOST * CLASSES];
    mien_predictor *p;
    assert_int_equal(mien_predictor_create(&model, backend, 16, &p), MIEN_OK);
    for (int i = 0; i < MOST; i++)
        assert_int_equal(
            mien_predictor_run(p, some_images + i * SIDE * SIDE, 1, alone + i * CLASSES), MIEN_OK);
    for (int n = 1; n <= MOST; n++) {
        assert_int_equal(mien_predictor_run(p, some_images, n, together), MIEN_OK);
        for (int i = 0; i < n * CLASSES; i++)
            assert_true(fabsf(together[i] - alone[i]) < 1e-5f);
    }
    assert_int_equal(mien_predictor_run(p, some_images, 0, together), MIEN_INVALID);
    mien_predictor_free(p);
}

/* Whichever thread takes which slice of a batch. */
static void the_same_bits_every_time(void **state) {
    (void)state;
    static float first[MOST * CLASSES], again[MOST * CLASSES];
    mien_predictor *p;
    assert_int_equal(mien_predictor_create(&model, backend, MOST, &p), MIEN_OK);
    for (int n = 1; n <= MOST; n++) {
        assert_int_equal(mien_predictor_run(p, some_images, n, first), MIEN_OK);
        for (int i = 0; i < (n == 1 ? 200 : 20); i++) { /* one image: in each way */
            assert_int_equal(mien_predictor_run(p, some_images, n, again), MIEN_OK);
            assert_memory_equal(first, again, sizeof *first * (size_t)n * CLASSES);
        }
    }
    mien_predictor_free(p);
}

/* A network whose first layers, in a slice of several images, run image by image, and its last ones
 * on the whole slice; a value passes from one part to the other beside the layer in between. */
static void large_images(void **state) {
    (void)state;
    enum { LARGE = 192, COUNT = 19 };
    static const char text[] =
        "name: large\nlayers:\n"
        "  - conv2d: {filters: 16, kernel_size: 3, padding: same, activation: relu}\n"
        "  - max_pooling2d: {pool_size: 3, strides: 2}\n"
        "  - depthwise_conv2d: {kernel_size: 3, strides: 2}\n"
        "  - activation: {name: r, activation: relu6}\n"
        "  - conv2d: {filters: 16, kernel_size: 1}\n  - batch_normalization: {name: n}\n"
        "  - add: {inputs: [n, r]}\n  - max_pooling2d: {pool_size: 6}\n"
        "  - conv2d: {filters: 512, kernel_size: 3}\n"
        "  - conv2d: {filters: 512, kernel_size: 3}\n"
        "  - global_average_pooling2d\n  - dense: {units: classes, activation: softmax}\n";
    static float alone[COUNT * CLASSES], together[COUNT * CLASSES];
    const size_t pixels = LARGE * LARGE;
    uint8_t *images = malloc(COUNT * pixels);
    mien_model large = {0};
    mien_predictor *p;
    assert_non_null(images);
    for (size_t i = 0; i < COUNT * pixels; i++)
        images[i] = (uint8_t)((i * 2654435761u >> 24) % (i / pixels * 12 + 9));
    assert_int_equal(make_model(text, LARGE, &large), MIEN_OK);
    assert_int_equal(mien_predictor_create(&large, backend, COUNT, &p), MIEN_OK);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(mien_predictor_run(p, images + i * pixels, 1, alone + i * CLASSES),
                         MIEN_OK);
    assert_int_equal(mien_predictor_run(p, images, COUNT, together), MIEN_OK);
    for (size_t i = 0; i < COUNT * CLASSES; i++)
        if (!(fabsf(together[i] - alone[i]) < 1e-5f))
            fail_msg("%zu: %g, alone %g", i, (double)together[i], (double)alone[i]);
    assert_true(fabsf(alone[0] - alone[(COUNT - 1) * CLASSES]) > 1e-4f); /* images that differ */
    mien_predictor_free(p);
    mien_model_release(&large);
    free(images);
}

/* Consumers of a layer with a long name must read its activation, not the value before it. */
static void long_names_keep_their_activation(void **state) {
    (void)state;
    const int add = mien_graph_find(&model.graph, "add");
    assert_true(add > 0);
    const mien_node *node = &model.graph.nodes[add];
    assert_true(model.graph.nodes[node->inputs[1]].implicit);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_number_of_images),
                                       cmocka_unit_test(the_same_bits_every_time),
                                       cmocka_unit_test(any_thread), cmocka_unit_test(large_images),
                                       cmocka_unit_test(long_names_keep_their_activation)};
    return cmocka_run_group_tests(tests, open_model, close_model);
}
