/* Hostile .onnx files: made by hand from protobuf fields, and those of tests/golden with bytes
 * changed. Each must be refused in one sentence, or be read as a whole. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/formats/format.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

/* ---- writing messages ---- */

static void varint(mien_text *t, uint64_t v) {
    for (; v >= 128; v >>= 7) {
        const char byte = (char)(v | 128);
        mien_text_append(t, &byte, 1);
    }
    const char last = (char)v;
    mien_text_append(t, &last, 1);
}

static void number(mien_text *t, unsigned field, uint64_t v) {
    varint(t, field << 3);
    varint(t, v);
}

static void bytes_of(mien_text *t, unsigned field, const void *data, size_t size) {
    varint(t, field << 3 | 2);
    varint(t, size);
    if (size) mien_text_append(t, data, size);
}

static void text(mien_text *t, unsigned field, const char *value) {
    bytes_of(t, field, value, strlen(value));
}

/* Appends a message and releases it. */
static void message(mien_text *t, unsigned field, mien_text *inner) {
    bytes_of(t, field, inner->data, inner->size);
    mien_text_release(inner);
    *inner = (mien_text){0};
}

typedef struct maker {
    mien_text graph;
} maker;

static void add_info(maker *m, unsigned field, const char *name, const int *dims, int rank) {
    mien_text info = {0}, type = {0}, tensor = {0}, shape = {0};
    for (int i = 0; i < rank; i++) {
        mien_text dim = {0};
        number(&dim, 1, (uint64_t)dims[i]);
        message(&shape, 1, &dim);
    }
    number(&tensor, 1, 1);
    message(&tensor, 2, &shape);
    message(&type, 1, &tensor);
    text(&info, 1, name);
    message(&info, 2, &type);
    message(&m->graph, field, &info);
}

static void add_weight(maker *m, const char *name, const long long *dims, int rank,
                       const float *values, size_t count) {
    mien_text t = {0};
    for (int i = 0; i < rank; i++)
        number(&t, 1, (uint64_t)dims[i]);
    number(&t, 2, 1);
    text(&t, 8, name);
    bytes_of(&t, 9, values, count * sizeof *values);
    message(&m->graph, 5, &t);
}

static void add_external(maker *m, const char *name, const char *file, const char *offset,
                         const char *length) {
    const char *const pairs[][2] = {{"location", file}, {"offset", offset}, {"length", length}};
    mien_text t = {0};
    number(&t, 1, 2);
    number(&t, 1, 2);
    number(&t, 2, 1);
    text(&t, 8, name);
    for (int i = 0; i < 3; i++) {
        mien_text entry = {0};
        text(&entry, 1, pairs[i][0]);
        text(&entry, 2, pairs[i][1]);
        message(&t, 13, &entry);
    }
    number(&t, 14, 1);
    message(&m->graph, 5, &t);
}

static void add_node(maker *m, const char *op, const char *in, const char *in2, const char *out) {
    mien_text node = {0};
    text(&node, 1, in);
    if (in2) text(&node, 1, in2);
    text(&node, 2, out);
    text(&node, 3, out);
    text(&node, 4, op);
    message(&m->graph, 1, &node);
}

static void finish(maker *m, int ir, int opset, mien_text *file) {
    mien_text set = {0};
    number(&set, 2, (uint64_t)opset);
    *file = (mien_text){0};
    number(file, 1, (uint64_t)ir);
    message(file, 7, &m->graph);
    message(file, 8, &set);
    assert_int_equal(file->status, MIEN_OK);
}

/* x [1,1,1,2] -> GlobalAveragePool would lose it: Flatten, MatMul by w [2,2], Softmax. */
static void begin(maker *m) {
    *m = (maker){{0}};
    add_info(m, 11, "x", (const int[]){1, 1, 1, 2}, 4);
    add_info(m, 12, "y", NULL, 0);
}

static const float four[] = {1, 2, 3, 4};
static const long long square[] = {2, 2};

static void complete(maker *m) {
    add_node(m, "Flatten", "x", NULL, "f");
    add_node(m, "MatMul", "f", "w", "p");
    add_node(m, "Softmax", "p", NULL, "y");
}

static mien_status open_bytes(const mien_text *file) {
    mien_model model;
    scratch_put("m.onnx", file->data, file->size);
    const mien_status status = mien_model_open(scratch_path("m.onnx"), &model);
    mien_model_release(&model);
    return status;
}

static void expect_refused(maker *m, mien_status status, const char *part) {
    mien_text file;
    finish(m, 8, 13, &file);
    assert_int_equal(open_bytes(&file), status);
    expect_in_message(part);
    mien_text_release(&file);
}

static void good_one(void **state) {
    maker m;
    mien_text file;
    (void)state;
    begin(&m);
    complete(&m);
    add_weight(&m, "w", square, 2, four, 4);
    finish(&m, 8, 13, &file);
    expect_ok(open_bytes(&file));
    for (size_t size = 0; size < file.size; size++) { /* cut off anywhere */
        const mien_text part = {.data = file.data, .size = size};
        const mien_status status = open_bytes(&part);
        /* without the opset at the end the rest may be whole */
        assert_true(status == MIEN_FORMAT || status == MIEN_UNSUPPORTED);
    }
    mien_text_release(&file);
}

static void weights(void **state) {
    static const float five[] = {1, 2, 3, 4, 5}, bad[] = {1, NAN, 3, 4};
    static const long long wide[] = {2, 3}, huge[] = {1LL << 21, 1LL << 21}, other[] = {3, 2};
    static const float six[] = {1, 2, 3, 4, 5, 6};
    maker m;
    (void)state;
    begin(&m), complete(&m);
    expect_refused(&m, MIEN_FORMAT, "reads 'w', which nothing before it makes");
    begin(&m), complete(&m);
    add_weight(&m, "w", square, 2, five, 5);
    expect_refused(&m, MIEN_FORMAT, "'w' has another number of values");
    begin(&m), complete(&m);
    add_weight(&m, "w", wide, 2, four, 4);
    expect_refused(&m, MIEN_FORMAT, "'w' has another number of values");
    begin(&m), complete(&m);
    add_weight(&m, "w", huge, 2, four, 4);
    expect_refused(&m, MIEN_FORMAT, "'w' declares an impossible size");
    begin(&m), complete(&m);
    add_weight(&m, "w", other, 2, six, 6);
    expect_refused(&m, MIEN_UNSUPPORTED, "3x2 does not fit its input of 2 numbers");
    begin(&m), complete(&m);
    add_weight(&m, "w", square, 2, bad, 4);
    expect_refused(&m, MIEN_FORMAT, "layer 'p': its kernel has a value that is not finite");
    begin(&m), complete(&m);
    add_weight(&m, "w", square, 2, four, 4);
    add_weight(&m, "left", square, 2, four, 4);
    expect_refused(&m, MIEN_FORMAT, "used by no layer: 'left'");
    begin(&m), complete(&m);
    add_weight(&m, "w", square, 2, four, 4);
    add_weight(&m, "w", square, 2, four, 4);
    expect_refused(&m, MIEN_FORMAT, "two weights named 'w'");
}

static void graphs(void **state) {
    maker m;
    (void)state;
    begin(&m);
    add_node(&m, "Relu", "b", NULL, "a");
    add_node(&m, "Relu", "a", NULL, "b");
    add_node(&m, "Add", "x", "b", "y");
    expect_refused(&m, MIEN_FORMAT, "cyclic or damaged");
    begin(&m);
    add_node(&m, "Relu", "x", NULL, "y");
    add_node(&m, "Relu", "x", NULL, "y");
    expect_refused(&m, MIEN_FORMAT, "two nodes make the value 'y'");
    begin(&m);
    add_node(&m, "Frobnicate", "x", NULL, "y");
    expect_refused(&m, MIEN_UNSUPPORTED, "node 'y' (Frobnicate): this operator is not supported");
    begin(&m);
    add_node(&m, "QuantizeLinear", "x", "x", "y");
    expect_refused(&m, MIEN_UNSUPPORTED, "int8 networks are not supported");
    begin(&m);
    add_node(&m, "Relu", "x", NULL, "z");
    expect_refused(&m, MIEN_FORMAT, "no node makes its output 'y'");
    begin(&m);
    expect_refused(&m, MIEN_FORMAT, "no node makes its output 'y'");
    m = (maker){{0}};
    add_info(&m, 12, "y", NULL, 0);
    add_info(&m, 11, "x", (const int[]){1, 16000}, 2);
    add_node(&m, "Relu", "x", NULL, "y");
    expect_refused(&m, MIEN_UNSUPPORTED, "not a batch of images");
}

static void versions(void **state) {
    maker m;
    mien_text file;
    (void)state;
    begin(&m), complete(&m);
    add_weight(&m, "w", square, 2, four, 4);
    finish(&m, 99, 13, &file);
    assert_int_equal(open_bytes(&file), MIEN_UNSUPPORTED);
    expect_in_message("IR version 99");
    mien_text_release(&file);
    begin(&m), complete(&m);
    finish(&m, 8, 3, &file);
    assert_int_equal(open_bytes(&file), MIEN_UNSUPPORTED);
    expect_in_message("opset 3");
    mien_text_release(&file);
}

/* A million nodes are refused before anything is allocated for them. */
static void very_many(void **state) {
    maker m;
    (void)state;
    begin(&m);
    for (int i = 0; i < 1000000; i++)
        bytes_of(&m.graph, 1, "\x0a\x01x\x12\x01y\x22\x04Relu", 12);
    expect_refused(&m, MIEN_UNSUPPORTED, "more than 65536 nodes");
    begin(&m); /* fewer nodes, but more layers than a network may have */
    char in[16] = "x", out[16];
    for (int i = 0; i < 5000; i++) {
        snprintf(out, sizeof out, i == 4999 ? "y" : "v%d", i);
        add_node(&m, "Relu", in, NULL, out);
        strcpy(in, out);
    }
    expect_refused(&m, MIEN_UNSUPPORTED, "more than 4096 layers");
    begin(&m); /* a node may not have as many inputs as fit in a file */
    mien_text node = {0};
    for (int i = 0; i < 300000; i++)
        text(&node, 1, "x");
    text(&node, 4, "Sum");
    message(&m.graph, 1, &node);
    expect_refused(&m, MIEN_UNSUPPORTED, "more than 262144 names");
}

static void refuse_external(const char *file, const char *offset, const char *length,
                            mien_status status, const char *part) {
    maker m;
    begin(&m), complete(&m);
    add_external(&m, "w", file, offset, length);
    expect_refused(&m, status, part);
}

static void external_data(void **state) {
    maker m;
    mien_text file;
    char target[128];
    (void)state;
    refuse_external("/etc/passwd", "0", "16", MIEN_FORMAT, "not a file beside the model");
    refuse_external("../w.data", "0", "16", MIEN_FORMAT, "not a file beside the model");
    refuse_external("..", "0", "16", MIEN_FORMAT, "not a file beside the model");
    refuse_external("", "0", "16", MIEN_FORMAT, "not a file beside the model");
    refuse_external("w.data", "0", "16", MIEN_NOT_FOUND, "'w.data', which is missing");
    scratch_put("w.data", four, sizeof four);
    refuse_external("w.data", "4", "16", MIEN_FORMAT, "outside of its file");
    refuse_external("w.data", "0", "12", MIEN_FORMAT, "outside of its file");
    refuse_external("w.data", "99999999999999999", "16", MIEN_FORMAT, "outside of its file");
    refuse_external("w.data", "-4", "16", MIEN_FORMAT, "is damaged");
    snprintf(target, sizeof target, "%s/w.data", scratch);
    assert_int_equal(symlink(target, scratch_path("link.data")), 0);
    refuse_external("link.data", "0", "16", MIEN_IO, "link.data");
    begin(&m), complete(&m);
    add_external(&m, "w", "w.data", "0", "16");
    finish(&m, 8, 13, &file);
    expect_ok(open_bytes(&file));
    mien_text_release(&file);
}

/* Sixty layers share a weight of 4 MB: read, they would take sixty times as much. */
static void shared_weights(void **state) {
    static const long long dims[] = {1000, 1000};
    float *values = calloc(1000 * 1000, sizeof *values);
    char in[16] = "f", out[16];
    maker m = {{0}};
    (void)state;
    assert_non_null(values);
    add_info(&m, 11, "x", (const int[]){1, 1, 1, 1000}, 4);
    add_info(&m, 12, "y", NULL, 0);
    add_node(&m, "Flatten", "x", NULL, "f");
    for (int i = 0; i < 60; i++) {
        snprintf(out, sizeof out, i == 59 ? "y" : "v%d", i);
        add_node(&m, "MatMul", in, "w", out);
        strcpy(in, out);
    }
    add_weight(&m, "w", dims, 2, values, 1000 * 1000);
    expect_refused(&m, MIEN_UNSUPPORTED, "more weights than the file holds");
    free(values);
}

/* ---- files of other kinds ---- */

static void expect_foreign(const char *name, const char *content, size_t size, const char *part) {
    mien_model model;
    scratch_put(name, content, size);
    assert_int_equal(mien_model_open(scratch_path(name), &model), MIEN_FORMAT);
    expect_in_message(part);
    mien_model_release(&model);
}

static void foreign_files(void **state) {
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 4\n";
    static const char page[] = "\n\n<!DOCTYPE html>\n<html lang=\"en\">";
    static const char torch[] = "PK\3\4\0\0\0\0\0\0\0\0archive/data.pkl\x80\2";
    (void)state;
    expect_foreign("a.onnx", "", 0, "it is empty");
    expect_foreign("a.h5", page, sizeof page, "a web page saved under a model's name");
    expect_foreign("b.onnx", lfs, sizeof lfs, "a pointer of Git LFS");
    expect_foreign("c.pt", torch, sizeof torch, "a pickle");
    expect_foreign("d.pkl", "\x80\4\x95", 3, "a pickle");
    expect_foreign("e.onnx", "\x1c\0\0\0TFL3rest", 12, "a TensorFlow Lite model");
    expect_foreign("f.onnx", "\x08", 1, "damaged or cut off");
}

/* ---- mutations ---- */

static uint32_t seed = 12345;

static uint32_t random_number(void) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static void mutate(char *bytes, size_t *size) {
    const uint32_t changes = 1 + random_number() % 4;
    for (uint32_t i = 0; i<changes && * size> 8; i++) {
        const size_t at = random_number() % *size;
        switch (random_number() % 6) {
        case 0:
            bytes[at] ^= (char)(1 << random_number() % 8);
            break;
        case 1:
            bytes[at] = (char)0xff;
            break;
        case 2:
            *size = at;
            break;
        case 3: /* a piece twice */
            memmove(bytes + at, bytes + random_number() % (at + 1), (*size - at) / 2);
            break;
        case 4: /* a piece is left out */
            memmove(bytes + at, bytes + at + (*size - at) / 2, *size - at - (*size - at) / 2);
            *size -= (*size - at) / 2;
            break;
        default:
            bytes[at] = (char)random_number();
        }
    }
}

static void mutations(void **state) {
    static const char *const names[] = {"ferplus", "nhwc",     "parts",    "old_bn",
                                        "lists",   "views_9",  "tf_mixed", "shuffle_11",
                                        "kinds",   "pools_10", "newest_28"};
    enum { FILES = sizeof names / sizeof names[0] };
    const char *wanted = getenv("MIEN_MUTATIONS");
    const int count = wanted ? atoi(wanted) : 5000;
    char *files[FILES], path[256];
    size_t sizes[FILES];
    int read = 0;
    (void)state;
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "tests/golden/onnx/%s.onnx", names[i]);
        expect_ok(mien_file_read(path, 1 << 20, &files[i], &sizes[i]));
    }
    const double begin_time = mien_seconds();
    for (int i = 0; i < count; i++) {
        static const mien_model_options none = {0};
        mien_model model = {0};
        size_t size = sizes[i % FILES];
        char *bytes = malloc(size + 1);
        assert_non_null(bytes);
        memcpy(bytes, files[i % FILES], size);
        mutate(bytes, &size);
        char *exact = malloc(size + 1); /* so that a sanitizer sees what is read beyond the end */
        assert_non_null(exact);
        memcpy(exact, bytes, size);
        mien_model_source from = {exact, size, "mutated.onnx", &none, -1};
        const double start = mien_seconds();
        const mien_status status = mien_format_onnx.read(&from, &model);
        assert_true(mien_seconds() - start < 5);
        assert_true(status == MIEN_OK || status == MIEN_FORMAT || status == MIEN_UNSUPPORTED ||
                    status == MIEN_INVALID || status == MIEN_NOT_FOUND);
        assert_true(status == MIEN_OK || mien_error_message()[0]);
        read += status == MIEN_OK;
        mien_model_release(&model);
        free(exact);
        free(bytes);
    }
    print_message("%d of %d mutated files were read, %.1f s\n", read, count,
                  mien_seconds() - begin_time);
    for (int i = 0; i < FILES; i++)
        mien_free(files[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(good_one, scratch_make, scratch_drop),
        cmocka_unit_test_setup_teardown(weights, scratch_make, scratch_drop),
        cmocka_unit_test_setup_teardown(graphs, scratch_make, scratch_drop),
        cmocka_unit_test_setup_teardown(versions, scratch_make, scratch_drop),
        cmocka_unit_test_setup_teardown(very_many, scratch_make, scratch_drop),
        cmocka_unit_test_setup_teardown(shared_weights, scratch_make, scratch_drop),
        cmocka_unit_test_setup_teardown(external_data, scratch_make, scratch_drop),
        cmocka_unit_test_setup_teardown(foreign_files, scratch_make, scratch_drop),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
