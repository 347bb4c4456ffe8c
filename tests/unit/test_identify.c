/* Finding scaling, colour order and class order: the statistics on made answers, batch
 * normalisation as a witness, and a whole run on colour images for a network that reads BGR. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/eval/evaluate.h"
#include "host/eval/identify.h"
#include "host/eval/identify_norm.h"
#include "kernels/body/rng.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

enum { CLASSES = 7, ROWS = 400 };
static float p[ROWS * CLASSES];
static uint16_t labels[ROWS];
static const int truth[CLASSES] = {6, 5, 3, 4, 0, 2, 1}; /* the class of each output */
static mien_backend *backend;

static double draw(uint32_t stream, size_t i) {
    return rng_unit(rng_word(11, stream, 0, i));
}

/* Answers of a network that prefers output 2 and is right a little more often than not; class 1 has
 * 8 of 400 images, as disgust has in FER2013. */
static mien_answers make_answers(double skill) {
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        labels[i] = i % 50 == 0 ? 1 : (uint16_t)(i % CLASSES == 1 ? 0 : i % CLASSES);
        for (size_t o = 0; o < CLASSES; o++) {
            const double logit = 3 * draw(1, i * CLASSES + o) + (o == 2 ? 1.5 : 0) +
                                 (truth[o] == labels[i] ? skill : 0);
            p[i * CLASSES + o] = (float)exp(logit);
            sum += exp(logit);
        }
        for (size_t o = 0; o < CLASSES; o++)
            p[i * CLASSES + o] /= (float)sum;
    }
    return (mien_answers){p, labels, ROWS, CLASSES};
}

static void order_is_found(void **state) {
    (void)state;
    const mien_answers a = make_answers(1.5);
    int order[CLASSES];
    double share, chance;
    expect_ok(mien_order_find(&a, order));
    assert_memory_equal(order, truth, sizeof order);
    expect_ok(mien_order_share(&a, order, 200, &share));
    expect_ok(mien_order_chance(&a, 200, &chance));
    assert_true(share > 0.9);
    assert_true(chance < 0.01);
}

static void unrelated_answers_are_unsure(void **state) {
    (void)state;
    const mien_answers a = make_answers(0);
    int order[CLASSES];
    double share, chance;
    expect_ok(mien_order_find(&a, order));
    expect_ok(mien_order_share(&a, order, 200, &share));
    expect_ok(mien_order_chance(&a, 200, &chance));
    assert_true(share < 0.6);
    assert_true(chance > 0.02);
}

/* Sharper answers have the same accuracy and, after their temperature, the same loss. */
static void confidence_does_not_count(void **state) {
    (void)state;
    static double loss[2][ROWS], calibrated[2][ROWS];
    const mien_answers a = make_answers(1.5);
    mien_fit plain, sharp;
    expect_ok(mien_fit_measure(&a, truth, &plain, loss[0], calibrated[0]));
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        for (size_t o = 0; o < CLASSES; o++)
            sum += pow(p[i * CLASSES + o], 3);
        for (size_t o = 0; o < CLASSES; o++)
            p[i * CLASSES + o] = (float)(pow(p[i * CLASSES + o], 3) / sum);
    }
    expect_ok(mien_fit_measure(&a, truth, &sharp, loss[1], calibrated[1]));
    assert_true(plain.accuracy > 0.4 && fabs(plain.accuracy - sharp.accuracy) < 1e-9);
    assert_true(sharp.loss > plain.loss + 0.2);
    assert_true(fabs(sharp.calibrated - plain.calibrated) < 0.01);
    const double *const both[] = {loss[1], loss[0]};
    double shares[2];
    mien_fit_shares(both, 2, ROWS, 100, shares);
    assert_true(shares[1] > 0.95 && fabs(shares[0] + shares[1] - 1) < 1e-9);
}

/* ---- models ---- */

static void build(const char *network, mien_graph_io io, mien_model *model) {
    mien_tree tree;
    *model = (mien_model){0};
    expect_ok(mien_yaml_parse(network, strlen(network), "network", &tree));
    expect_ok(mien_graph_parse(tree.root, "network", io, &model->graph));
    mien_tree_release(&tree);
    expect_ok(mien_weights_zeros(&model->graph, &model->weights));
    expect_ok(mien_meta_default(&model->graph, "network", &model->meta));
    model->meta.unknown = MIEN_UNKNOWN_CLASSES | MIEN_UNKNOWN_PREPROCESSING;
}

static float *weights(const mien_model *model, const char *layer, int param) {
    return mien_weights_get(&model->weights, mien_graph_find(&model->graph, layer), param);
}

enum { SIDE = 12, IMAGES = 40, FILTERS = 2 };

/* The mean and variance of a 3x3 convolution with stride 2 and padding "same" on scaled pixels. */
static void convolve(const uint8_t *pixels, const float *kernel, float *mean, float *variance) {
    for (int k = 0; k < FILTERS; k++) {
        double sum = 0, squares = 0;
        const int n = IMAGES * (SIDE / 2) * (SIDE / 2);
        for (int at = 0; at < n; at++) {
            const int i = at / (SIDE * SIDE / 4), y = at / (SIDE / 2) % (SIDE / 2) * 2,
                      x = at % (SIDE / 2) * 2;
            double v = 0;
            for (int t = 0; t < 9; t++) { /* an even side: one row and column of padding after it */
                const int yy = y + t / 3, xx = x + t % 3;
                if (yy < SIDE && xx < SIDE)
                    v += kernel[t * FILTERS + k] * pixels[(i * SIDE + yy) * SIDE + xx] / 255.0;
            }
            v = v > 0 ? v : 0;
            sum += v;
            squares += v * v;
        }
        mean[k] = (float)(sum / n);
        variance[k] = (float)(squares / n - mean[k] * (double)mean[k]);
    }
}

static void batch_normalisation_knows_its_scaling(void **state) {
    (void)state;
    static uint8_t pixels[IMAGES * SIDE * SIDE];
    const mien_dataset set = {.spec = {SIDE, SIDE, 1}, .count = IMAGES, .pixels = pixels};
    mien_candidate list[] = {
        {.name = "unit", .normalise = {1 / 255.0, {0}, {1}}},
        {.name = "tf", .normalise = {1 / 127.5, {1}, {1}}},
        {.name = "none", .normalise = {1, {0}, {1}}},
        {.name = "own", .per_image = true},
    };
    mien_model model;
    build("name: norm\nlayers:\n"
          "  - conv2d: {filters: 2, kernel_size: 3, strides: 2, padding: same, use_bias: false, "
          "activation: relu, name: first}\n"
          "  - batch_normalization: {name: norm}\n  - flatten\n"
          "  - dense: {units: classes, activation: softmax}\n",
          (mien_graph_io){SIDE, SIDE, 1, 2}, &model);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(60 + 140 * draw(2, i));
    float *kernel = weights(&model, "first", 0);
    for (size_t i = 0; i < 9 * FILTERS; i++)
        kernel[i] = (float)(draw(3, i) - 0.4);
    convolve(pixels, kernel, weights(&model, "norm", 2), weights(&model, "norm", 3));
    expect_ok(mien_norm_misfits(&model, &set, list, 4));
    assert_true(list[0].misfit < 0.01);
    for (int i = 1; i < 4; i++)
        if (!(list[i].misfit > 0.3)) fail_msg("%s: %g", list[i].name, list[i].misfit);
    mien_model_release(&model);
}

static void without_one_it_says_nothing(void **state) {
    (void)state;
    mien_candidate one = {.name = "unit", .normalise = {1, {0}, {1}}, .misfit = NAN};
    const mien_dataset set = {.spec = {2, 2, 1}, .count = 0};
    mien_model model;
    build("name: none\nlayers:\n  - flatten\n  - dense: {units: classes, activation: softmax}\n",
          (mien_graph_io){2, 2, 1, 2}, &model);
    expect_ok(mien_norm_misfits(&model, &set, &one, 1));
    assert_true(isnan(one.misfit));
    mien_model_release(&model);
}

/* ---- colours ---- */

/* Images of three classes, one colour each is bright; some are labelled wrongly. */
static void put_colours(void) {
    static const char *const names[] = {"angry", "happy", "sad"};
    for (size_t i = 0; i < 120; i++) {
        const size_t shown = i % 3, label = i % 5 == 0 ? (shown + 1) % 3 : shown;
        char name[64], ppm[256] = "P6 8 8 255\n";
        const size_t head = strlen(ppm);
        for (size_t k = 0; k < 192; k++)
            ppm[head + k] = (char)(40 + 60 * draw(5, i * 192 + k) + (k % 3 == shown ? 120 : 0));
        snprintf(name, sizeof name, "colours/%s/%zu.ppm", names[label], i);
        scratch_put(name, ppm, head + 192);
    }
}

/* A network for BGR in 0 to 1 whose output k answers for channel k above 0.45. Its batch
 * normalisation expects what such images give: 0.295 in a third of the images, else 0. */
static void save_bgr(const char *path) {
    mien_model model;
    build("name: bgr\nlayers:\n"
          "  - conv2d: {filters: 3, kernel_size: 1, activation: relu, name: first}\n"
          "  - batch_normalization: {name: norm}\n  - global_average_pooling2d\n"
          "  - dense: {units: classes, activation: softmax, name: last}\n",
          (mien_graph_io){8, 8, 3, 3}, &model);
    for (int k = 0; k < 3; k++) {
        weights(&model, "first", 0)[4 * k] = 1;
        weights(&model, "first", 1)[k] = -0.45f;
        weights(&model, "norm", 0)[k] = 1;
        weights(&model, "norm", 2)[k] = 0.098f;
        weights(&model, "norm", 3)[k] = 0.021f;
        weights(&model, "last", 0)[4 * k] = 1.1f;
    }
    expect_ok(mien_model_save(&model, path));
    mien_model_release(&model);
}

static void colours_in_the_wrong_order(void **state) {
    (void)state;
    char model[64], fixed[64], data[64];
    snprintf(model, sizeof model, "%s/bgr.h5", scratch);
    snprintf(fixed, sizeof fixed, "%s/fixed.h5", scratch);
    snprintf(data, sizeof data, "%s/colours", scratch);
    if (mien_h5_available() != MIEN_OK) skip();
    put_colours();
    save_bgr(model);
    const mien_part all = MIEN_NO_PART;
    const mien_identify_request request = {.model = model,
                                           .data = data,
                                           .part = &all,
                                           .limit = MIEN_IDENTIFY_LIMIT,
                                           .options = {.classes = "sad,happy,angry"}};
    mien_identity found;
    expect_ok(mien_identify(&request, backend, &found));
    assert_string_equal(found.doubt, "");
    assert_string_equal(found.list[0].name, "unit");
    assert_true(found.list[0].bgr);
    expect_ok(mien_identify_apply(&found));
    expect_ok(mien_model_save(&found.model, fixed));
    const double accuracy = found.list[0].fit.accuracy;
    mien_identity_release(&found);
    const char *const models[] = {fixed};
    const mien_evaluate_request check = {
        .models = models, .model_count = 1, .data = data, .part = &all};
    mien_evaluation e;
    expect_ok(mien_evaluate(&check, backend, &e));
    assert_true(accuracy > 0.75 && fabs(e.metrics.accuracy - accuracy) < 1e-9);
    mien_evaluation_release(&e);
}

int main(void) {
    static const mien_backend_options options = {.threads = 1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_found),
        cmocka_unit_test(unrelated_answers_are_unsure),
        cmocka_unit_test(confidence_does_not_count),
        cmocka_unit_test(batch_normalisation_knows_its_scaling),
        cmocka_unit_test(without_one_it_says_nothing),
        cmocka_unit_test(colours_in_the_wrong_order),
    };
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-h5 */
    expect_ok(mien_backend_open("cpu", &options, &backend));
    const int failed = cmocka_run_group_tests(tests, scratch_make, scratch_drop);
    mien_backend_close(backend);
    return failed;
}
