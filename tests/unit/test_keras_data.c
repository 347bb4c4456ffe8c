/* The Keras files of $MIEN_DATA/keras, which their makers published, give the outputs in its
 * expected.json, in this process and through `mien predict`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/format.h"
#include "host/image/encode.h"
#include "host/infer/ensemble.h"
#include "include/mien/predictor.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

enum { ROWS = 4, OUTPUTS = 64, FILE_MAX = 64 << 20 };
static const double agreement = 1e-5;

/* ---- numpy.random.default_rng(7).integers(0, 256, dtype=uint8) ---- */

typedef unsigned __int128 wide;
typedef struct numpy {
    wide state, increment;
    uint32_t buffer, high;
    int bytes;
    bool has_high;
} numpy;

static uint32_t hash_mix(uint32_t value, uint32_t *constant, uint32_t factor) {
    value ^= *constant;
    *constant *= factor;
    value *= *constant;
    return value ^ value >> 16;
}

static void step(numpy *n) {
    const wide factor = (wide)0x2360ED051FC65DA4u << 64 | 0x4385DF649FCCF645u;
    n->state = n->state * factor + n->increment;
}

static void seed(numpy *n, uint32_t entropy) {
    uint32_t pool[4], constant = 0x43b0d7e5, words[8];
    uint64_t s[4];
    for (int i = 0; i < 4; i++)
        pool[i] = hash_mix(i ? 0 : entropy, &constant, 0x931e8875);
    for (int from = 0; from < 4; from++)
        for (int to = 0; to < 4; to++) {
            if (from == to) continue;
            const uint32_t mixed =
                0xca01f9ddu * pool[to] - 0x4973f715u * hash_mix(pool[from], &constant, 0x931e8875);
            pool[to] = mixed ^ mixed >> 16;
        }
    constant = 0x8b51f9dd;
    for (int i = 0; i < 8; i++)
        words[i] = hash_mix(pool[i % 4], &constant, 0x58f38ded);
    for (int i = 0; i < 4; i++)
        s[i] = words[2 * i] | (uint64_t)words[2 * i + 1] << 32;
    *n = (numpy){.increment = ((wide)s[2] << 64 | s[3]) << 1 | 1};
    step(n);
    n->state += (wide)s[0] << 64 | s[1];
    step(n);
}

static uint32_t next32(numpy *n) {
    n->has_high = !n->has_high;
    if (!n->has_high) return n->high;
    step(n);
    const uint64_t x = (uint64_t)(n->state >> 64) ^ (uint64_t)n->state;
    const unsigned turn = (unsigned)(n->state >> 122);
    const uint64_t out = x >> turn | x << (-turn & 63);
    n->high = (uint32_t)(out >> 32);
    return (uint32_t)out;
}

static uint8_t next8(numpy *n) {
    n->buffer = n->bytes ? n->buffer >> 8 : next32(n);
    n->bytes = n->bytes ? n->bytes - 1 : 3;
    return (uint8_t)n->buffer;
}

/* ---- files ---- */

static const char *folder(void) {
    static char path[MIEN_PATH];
    const char *data = getenv("MIEN_DATA");
    snprintf(path, sizeof path, "%s/keras", data ? data : "../shared/data");
    return path;
}

static bool near(double got, double want) {
    return fabs(got - want) <= agreement * fmax(1, fabs(want));
}

static void compare(const char *file, const char *way, const float *got, const mien_value *rows) {
    for (const mien_value *row = rows->first; row; row = row->next)
        for (const mien_value *v = row->first; v; v = v->next, got++)
            if (!near(*got, v->number))
                fail_msg("%s, %s: %.9g instead of %.9g", file, way, *got, v->number);
}

static void in_process(mien_backend *backend, const char *path, const char *classes,
                       const char *preprocess, const uint8_t *images, const mien_value *rows) {
    const mien_model_options options = {.classes = classes, .preprocess = preprocess};
    float scores[ROWS * OUTPUTS], values[ROWS * OUTPUTS];
    mien_model model;
    mien_predictor *p;
    expect_ok(mien_model_open_with(path, &options, &model));
    expect_ok(mien_predictor_create(&model, backend, ROWS, &p));
    expect_ok(mien_predictor_outputs(p, images, ROWS, scores, values));
    compare(path, "in process", model.meta.head == MIEN_HEAD_SOFTMAX ? scores : values, rows);
    mien_predictor_free(p);
    mien_model_release(&model);
}

static void read_line(const char *line, size_t outputs, float *out) {
    mien_tree tree;
    expect_ok(mien_json_parse(line, strlen(line), "mien predict", &tree));
    const mien_value *face = mien_value_get(tree.root, "faces")->first;
    const mien_value *list = mien_value_get(face, outputs > 1 ? "scores" : "values");
    assert_non_null(list);
    assert_int_equal(list->count, outputs);
    for (const mien_value *v = list->first; v; v = v->next)
        *out++ = (float)v->number;
    mien_tree_release(&tree);
}

static void by_command(const char *path, const char *classes, const char *preprocess,
                       size_t outputs, const mien_value *rows) {
    char command[3 * MIEN_PATH], line[8192];
    float got[ROWS * OUTPUTS];
    snprintf(command, sizeof command,
             "%s/mien predict '%s' --model '%s' --detector none --preprocess %s --json %s%s",
             getenv("MIEN_BUILD") ? getenv("MIEN_BUILD") : "build/release", scratch_path("faces"),
             path, preprocess, classes ? "--classes " : "", classes ? classes : "");
    FILE *out = popen(command, "r");
    assert_non_null(out);
    int count = 0;
    while (fgets(line, sizeof line, out) && count < ROWS)
        read_line(line, outputs, got + (size_t)count++ * outputs);
    assert_int_equal(pclose(out), 0);
    assert_int_equal(count, ROWS);
    compare(path, "by command", got, rows);
}

static void check_entry(mien_backend *backend, const mien_value *entry) {
    const mien_value *shape = mien_value_get(entry, "input_shape");
    const mien_value *rows[] = {mien_value_get(entry, "out_u8_over_255"),
                                mien_value_get(entry, "out_u8_raw")};
    const int h = (int)shape->first->number, w = (int)shape->first->next->number,
              c = (int)shape->last->number;
    const size_t outputs = rows[0]->first->count, image = (size_t)h * (size_t)w * (size_t)c;
    char classes[512] = "", path[MIEN_PATH], name[32];
    uint8_t *images;
    numpy n;
    seed(&n, 7);
    expect_ok(mien_new(&images, ROWS * image, 1));
    for (size_t i = 0; i < ROWS * image; i++)
        images[i] = next8(&n);
    for (int i = 0; i < ROWS; i++) {
        mien_image copy = {
            .width = w, .height = h, .channels = c, .pixels = images + (size_t)i * image};
        snprintf(name, sizeof name, "faces/%d.png", i);
        scratch_put(name, "", 0);
        expect_ok(mien_image_write_png(&copy, scratch_path(name)));
    }
    for (size_t i = 0; i < outputs; i++)
        snprintf(classes + strlen(classes), sizeof classes - strlen(classes), "%sc%zu",
                 i ? "," : "", i);
    expect_ok(mien_path_join(path, folder(), mien_value_string(entry, "file")));
    for (int k = 0; k < 2; k++) {
        const char *preprocess = k ? "none" : "unit", *own = outputs > 1 ? classes : NULL;
        in_process(backend, path, own, preprocess, images, rows[k]);
        by_command(path, own, preprocess, outputs, rows[k]);
    }
    mien_free(images);
}

static void published_files_give_their_outputs(void **state) {
    (void)state;
    char path[MIEN_PATH], *text;
    size_t size;
    mien_tree tree;
    mien_backend *backend;
    int count = 0;
    expect_ok(mien_path_join(path, folder(), "expected.json"));
    if (!mien_file_exists(path) || mien_h5_available() != MIEN_OK) skip();
    expect_ok(mien_file_read(path, FILE_MAX, &text, &size));
    expect_ok(mien_json_parse(text, size, path, &tree));
    mien_free(text);
    expect_ok(mien_backend_open("cpu", NULL, &backend));
    for (const mien_value *v = tree.root->first; v; v = v->next)
        if (!mien_path_ends(mien_value_string(v, "file"), ".onnx")) {
            check_entry(backend, v);
            count++;
        }
    mien_backend_close(backend);
    mien_tree_release(&tree);
    assert_true(count >= 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_files_give_their_outputs)};
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-h5 */
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
