/* Nodes and weights of an ONNX graph as protobuf fields. */
#include <stdio.h>
#include <string.h>

#include "host/formats/onnx_proto.h"
#include "host/formats/onnx_write.h"
#include "host/formats/proto_write.h"

/* Fields of the messages in onnx.proto. */
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_LABEL = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTR_NAME = 1, ATTR_F = 2, ATTR_I = 3, ATTR_S = 4, ATTR_INTS = 8, ATTR_TYPE = 20 };
enum { TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_STRING = 3, TYPE_INTS = 7 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5 };

/* ---- attributes ---- */

void mien_onnx_put_int(mien_text *attributes, const char *name, long long value) {
    mien_text a = {0};
    mien_proto_text(&a, ATTR_NAME, name);
    mien_proto_number(&a, ATTR_I, (unsigned long long)value);
    mien_proto_number(&a, ATTR_TYPE, TYPE_INT);
    mien_proto_message(attributes, NODE_ATTRIBUTE, &a);
}

void mien_onnx_put_ints(mien_text *attributes, const char *name, const int *values, int count) {
    mien_text a = {0};
    mien_proto_text(&a, ATTR_NAME, name);
    for (int i = 0; i < count; i++)
        mien_proto_number(&a, ATTR_INTS, (unsigned long long)(long long)values[i]);
    mien_proto_number(&a, ATTR_TYPE, TYPE_INTS);
    mien_proto_message(attributes, NODE_ATTRIBUTE, &a);
}

void mien_onnx_put_float(mien_text *attributes, const char *name, double value) {
    mien_text a = {0};
    mien_proto_text(&a, ATTR_NAME, name);
    mien_proto_float(&a, ATTR_F, (float)value);
    mien_proto_number(&a, ATTR_TYPE, TYPE_FLOAT);
    mien_proto_message(attributes, NODE_ATTRIBUTE, &a);
}

void mien_onnx_put_text(mien_text *attributes, const char *name, const char *value) {
    mien_text a = {0};
    mien_proto_text(&a, ATTR_NAME, name);
    mien_proto_text(&a, ATTR_S, value);
    mien_proto_number(&a, ATTR_TYPE, TYPE_STRING);
    mien_proto_message(attributes, NODE_ATTRIBUTE, &a);
}

/* ---- names ---- */

/* Length of the UTF-8 letter at `s`; 0 if it is none. */
static int letter(const unsigned char *s) {
    const int more = s[0] < 0x80                   ? 0
                     : s[0] >= 0xC2 && s[0] < 0xE0 ? 1
                     : s[0] >= 0xE0 && s[0] < 0xF0 ? 2
                     : s[0] >= 0xF0 && s[0] < 0xF5 ? 3
                                                   : -1;
    for (int i = 1; i <= more; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    return more + 1;
}

/* Strings in protobuf must be UTF-8, which the names in a file of another program may not be. */
void mien_onnx_begin_layer(mien_onnx_writer *w, const mien_node *layer) {
    bool good = true;
    for (const unsigned char *s = (const unsigned char *)layer->name; *s && good; s += letter(s))
        good = letter(s) > 0;
    if (good)
        snprintf(w->layer, sizeof w->layer, "%s", layer->name);
    else
        snprintf(w->layer, sizeof w->layer, "%s #%d", layer->def->name, layer->index);
    w->made = 0;
}

static mien_onnx_name new_name(mien_onnx_writer *w, const char *part) {
    mien_onnx_name name;
    if (w->made)
        snprintf(name.text, sizeof name.text, "%s/%.50s_%d", w->layer, part, w->made);
    else
        snprintf(name.text, sizeof name.text, "%s/%.50s", w->layer, part);
    w->made++;
    return name;
}

/* ---- nodes ---- */

void mien_onnx_emit_as(mien_onnx_writer *w, const char *op, const char *const *inputs, int count,
                       mien_text *attributes, const char *output) {
    mien_text node = {0};
    for (int i = 0; i < count; i++)
        mien_proto_text(&node, NODE_INPUT, inputs[i]);
    mien_proto_text(&node, NODE_OUTPUT, output);
    mien_proto_text(&node, NODE_LABEL, output);
    mien_proto_text(&node, NODE_OP, op);
    if (attributes) {
        if (attributes->size) mien_text_append(&node, attributes->data, attributes->size);
        if (attributes->status != MIEN_OK) node.status = attributes->status;
        mien_text_release(attributes);
        *attributes = (mien_text){0};
    }
    mien_proto_message(&w->nodes, GRAPH_NODE, &node);
}

mien_onnx_name mien_onnx_emit(mien_onnx_writer *w, const char *op, const char *const *inputs,
                              int count, mien_text *attributes) {
    const mien_onnx_name name = new_name(w, op);
    mien_onnx_emit_as(w, op, inputs, count, attributes, name.text);
    return name;
}

mien_onnx_name mien_onnx_emit1(mien_onnx_writer *w, const char *op, const char *input,
                               mien_text *attributes) {
    return mien_onnx_emit(w, op, &input, 1, attributes);
}

mien_onnx_name mien_onnx_emit2(mien_onnx_writer *w, const char *op, const char *a, const char *b,
                               mien_text *attributes) {
    const char *const inputs[] = {a, b};
    return mien_onnx_emit(w, op, inputs, 2, attributes);
}

mien_onnx_name mien_onnx_transposed(mien_onnx_writer *w, const char *input, const int *axes) {
    mien_text attributes = {0};
    mien_onnx_put_ints(&attributes, "perm", axes, 4);
    return mien_onnx_emit1(w, "Transpose", input, &attributes);
}

/* ---- weights ---- */

static void add_tensor(mien_onnx_writer *w, const char *name, int type, const long long *dims,
                       int rank, const void *values, size_t size) {
    mien_text t = {0};
    for (int i = 0; i < rank; i++)
        mien_proto_number(&t, TENSOR_DIMS, (unsigned long long)dims[i]);
    mien_proto_number(&t, TENSOR_TYPE, (unsigned)type);
    mien_proto_text(&t, TENSOR_NAME, name);
    mien_proto_bytes(&t, TENSOR_RAW, values, size);
    mien_proto_message(&w->weights, GRAPH_INITIALIZER, &t);
}

mien_onnx_name mien_onnx_weight(mien_onnx_writer *w, const char *part, const long long *dims,
                                int rank, const float *values) {
    mien_onnx_name name;
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    if (part)
        snprintf(name.text, sizeof name.text, "%s/%.50s", w->layer, part);
    else
        name = new_name(w, "constant");
    add_tensor(w, name.text, MIEN_ONNX_FLOAT, dims, rank, values, count * sizeof *values);
    return name;
}

mien_onnx_name mien_onnx_number(mien_onnx_writer *w, double value) {
    const float number = (float)value;
    return mien_onnx_weight(w, NULL, NULL, 0, &number);
}

mien_onnx_name mien_onnx_integers(mien_onnx_writer *w, const long long *values, int count) {
    const mien_onnx_name name = new_name(w, "constant");
    const long long dims[] = {count};
    add_tensor(w, name.text, MIEN_ONNX_INT64, dims, 1, values, (size_t)count * sizeof *values);
    return name;
}
