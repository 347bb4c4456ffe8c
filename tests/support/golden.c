#include "tests/support/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "tests/support/test.h"

enum { GOLDEN_LIMIT = 1 << 24 };

void golden_open(golden_file *golden, const char *name) {
    char path[256];
    size_t size;
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", name);
    expect_ok(mien_file_read(path, GOLDEN_LIMIT, &golden->bytes, &size));
    expect_ok(mien_safetensors_parse(golden->bytes, size, path, &golden->file));
}

void golden_close(golden_file *golden) {
    mien_safetensors_release(&golden->file);
    mien_free(golden->bytes);
}

const mien_st_tensor *golden_find(const golden_file *golden, const char *format, ...) {
    char name[256];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return mien_safetensors_find(&golden->file, name);
}

double *golden_numbers(const mien_st_tensor *tensor) {
    assert_non_null(tensor);
    double *out = numbers(tensor->count);
    const char *from = tensor->data;
    for (size_t i = 0; i < tensor->count; i++) {
        float f;
        int64_t n;
        switch (tensor->type) {
        case MIEN_ST_F32:
            memcpy(&f, from + 4 * i, 4);
            out[i] = (double)f;
            break;
        case MIEN_ST_F64:
            memcpy(&out[i], from + 8 * i, 8);
            break;
        default:
            memcpy(&n, from + 8 * i, 8);
            out[i] = (double)n;
        }
    }
    return out;
}

const char *golden_meta(const golden_file *golden, const char *key) {
    const char *text = mien_safetensors_meta(&golden->file, key);
    if (!text) fail_msg("the golden file has no metadata '%s'", key);
    return text;
}

mien_graph_io golden_input(const golden_file *golden) {
    mien_graph_io io = {0};
    const int read = sscanf(golden_meta(golden, "input"), "{height: %d, width: %d, channels: %d}",
                            &io.height, &io.width, &io.channels);
    assert_int_equal(read, 3);
    return io;
}

void golden_load(const golden_file *golden, const char *prefix, const test_net *net) {
    for (int i = 0; i < net->graph.count; i++)
        for (int k = 0; k < net->graph.nodes[i].param_count; k++) {
            const mien_node *node = &net->graph.nodes[i];
            const mien_st_tensor *t = golden_find(golden, "%s%s%s/%s", prefix, *prefix ? "/" : "",
                                                  node->name, node->params[k].name);
            if (!t) fail_msg("the golden file lacks %s/%s", node->name, node->params[k].name);
            assert_int_equal(t->count, net_param_count(net, i, k));
            double *values = golden_numbers(t);
            net_set(net, net->plan->param, i, k, values);
            free(values);
        }
}

void golden_load_inference(const golden_file *golden, const test_net *net) {
    mien_weights weights;
    expect_ok(mien_weights_create(&net->graph, 0, &weights));
    for (int i = 0; i < net->graph.count; i++)
        for (int k = 0; k < net->graph.nodes[i].param_count; k++) {
            const mien_node *node = &net->graph.nodes[i];
            const mien_st_tensor *t =
                golden_find(golden, "%s/%s", node->name, node->params[k].name);
            if (!t) fail_msg("the golden file lacks %s/%s", node->name, node->params[k].name);
            expect_ok(
                mien_st_floats(t, mien_weights_get(&weights, i, k), net_param_count(net, i, k)));
        }
    expect_ok(mien_plan_load(net->plan, &weights));
    mien_weights_release(&weights);
}
