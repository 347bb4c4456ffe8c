/* Writes a model as .onnx: docs/onnx.md. */
#include "host/formats/onnx_write.h"

#include <stdio.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/format.h"
#include "host/formats/onnx.h"
#include "host/formats/proto_write.h"
#include "include/mien/mien.h"

/* Fields of the messages in onnx.proto. */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_PRODUCER_VERSION = 3, MODEL_DOC = 6 };
enum { MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_METADATA = 14, OPSET_VERSION = 2 };
enum { GRAPH_NAME = 2, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

static const size_t file_max = ((size_t)1 << 31) - 1; /* of protobuf */
static const int nhwc_to_nchw[] = {0, 3, 1, 2};

/* ---- inputs and outputs ---- */

/* A tensor of floats whose first axis is the batch. */
static void add_info(mien_text *graph, unsigned field, const char *name, const int *dims,
                     int rank) {
    mien_text info = {0}, type = {0}, tensor = {0}, shape = {0}, batch = {0};
    mien_proto_text(&batch, 2, "batch"); /* dim_param */
    mien_proto_message(&shape, 1, &batch);
    for (int i = 0; i < rank; i++) {
        mien_text dim = {0};
        mien_proto_number(&dim, 1, (unsigned)dims[i]); /* dim_value */
        mien_proto_message(&shape, 1, &dim);
    }
    mien_proto_number(&tensor, 1, MIEN_ONNX_FLOAT);
    mien_proto_message(&tensor, 2, &shape);
    mien_proto_message(&type, 1, &tensor);
    mien_proto_text(&info, 1, name);
    mien_proto_message(&info, 2, &type);
    mien_proto_message(graph, field, &info);
}

/* (x * scale - mean) / std of [N, C, H, W], where one number may serve for all channels. */
static mien_onnx_name scale_pixels(mien_onnx_writer *w, mien_onnx_name x) {
    const mien_meta *meta = &w->model->meta;
    const mien_normalise *n = &meta->normalise;
    float factor[MIEN_INPUT_CHANNELS_MAX], offset[MIEN_INPUT_CHANNELS_MAX];
    const int channels = meta->input.channels;
    bool same = true, moves = false;
    for (int c = 0; c < channels; c++) {
        factor[c] = (float)(n->scale / n->std[c]);
        offset[c] = (float)(-n->mean[c] / n->std[c]);
        same &= factor[c] == factor[0] && offset[c] == offset[0];
        moves |= offset[c] != 0;
    }
    const long long dims[] = {channels, 1, 1};
    const int rank = same ? 0 : 3;
    x = mien_onnx_emit2(w, "Mul", x.text, mien_onnx_weight(w, "scale", dims, rank, factor).text,
                        NULL);
    if (!moves) return x;
    return mien_onnx_emit2(w, "Add", x.text, mien_onnx_weight(w, "offset", dims, rank, offset).text,
                           NULL);
}

static void begin(mien_onnx_writer *w) {
    mien_onnx_begin_layer(w, &w->model->graph.nodes[0]);
    w->values[0] = mien_onnx_transposed(w, MIEN_ONNX_INPUT, nhwc_to_nchw);
    if (w->model->scaled_inside) w->values[0] = scale_pixels(w, w->values[0]);
}

/* The head of the written network: with its scaling, logits become probabilities. */
static mien_head head_of(const mien_model *model) {
    const mien_head head = model->meta.head;
    return head == MIEN_HEAD_LOGITS && model->scaled_inside ? MIEN_HEAD_SOFTMAX : head;
}

static const char *output_name(const mien_model *model) {
    static const char *const names[] = {"probabilities", "logits", "probabilities", "outputs"};
    return names[head_of(model)];
}

/* The network's end, which is flat. Values of several axes are given theirs. */
static void end(mien_onnx_writer *w) {
    const mien_model *model = w->model;
    const mien_graph *graph = &model->graph;
    const mien_meta *meta = &model->meta;
    mien_onnx_name x = w->values[graph->logits];
    const char *inputs[] = {x.text, NULL};
    mien_text attributes = {0};
    w->node = &graph->nodes[graph->count - 1];
    if (head_of(model) == MIEN_HEAD_SOFTMAX) {
        mien_onnx_begin_layer(w, w->node->implicit ? w->node - 1 : w->node);
        if (model->scaled_inside && meta->temperature != 1)
            x = mien_onnx_emit2(
                w, "Div", x.text,
                mien_onnx_weight(w, "temperature", NULL, 0, &(float){(float)meta->temperature})
                    .text,
                NULL);
        mien_onnx_put_int(&attributes, "axis", 1);
        mien_onnx_emit_as(w, "Softmax", inputs, 1, &attributes, output_name(model));
    } else if (meta->head == MIEN_HEAD_VALUES && meta->output_rank > 1) {
        long long shape[1 + MIEN_OUTPUT_RANK_MAX] = {-1};
        for (int i = 0; i < meta->output_rank; i++)
            shape[1 + i] = meta->output_shape[i];
        mien_onnx_begin_layer(w, w->node);
        const mien_onnx_name axes = mien_onnx_integers(w, shape, 1 + meta->output_rank);
        inputs[1] = axes.text;
        mien_onnx_emit_as(w, "Reshape", inputs, 2, NULL, output_name(model));
    } else {
        mien_onnx_emit_as(w, "Identity", inputs, 1, NULL, output_name(model));
    }
}

/* ---- the file ---- */

static void add_entry(mien_text *file, const char *key, const mien_text *value) {
    mien_text entry = {0};
    mien_proto_text(&entry, ENTRY_KEY, key);
    mien_proto_bytes(&entry, ENTRY_VALUE, value->data, value->size);
    if (value->status != MIEN_OK) entry.status = value->status;
    mien_proto_message(file, MODEL_METADATA, &entry);
}

/* `mien` is the attribute of an .h5, from which Mien reads its settings again; `classes`, a list in
 * JSON, is for others. */
static void add_metadata(const mien_model *model, mien_text *file) {
    mien_meta meta = model->meta;
    mien_text text = {0}, names = {0};
    mien_json json = {.text = &names};
    meta.head = head_of(model);
    if (model->scaled_inside) { /* what the network itself does now */
        meta.normalise = (mien_normalise){.scale = 1, .std = {1, 1, 1, 1}};
        if (!model->graph.raw) meta.temperature = 1;
    }
    mien_meta_write(&meta, &text);
    add_entry(file, "mien", &text);
    mien_text_release(&text);
    if (meta.head == MIEN_HEAD_VALUES || (meta.unknown & MIEN_UNKNOWN_CLASSES)) return;
    mien_json_open(&json, NULL, '[');
    for (int i = 0; i < meta.classes; i++)
        mien_json_string(&json, NULL, meta.class_names[i]);
    mien_json_close(&json, ']');
    add_entry(file, "classes", &names);
    mien_text_release(&names);
}

static void describe(const mien_model *model, mien_text *out) {
    const mien_meta *meta = &model->meta;
    const mien_normalise *n = &meta->normalise;
    mien_text_printf(out, "Input: %s images, float32 [batch, %d, %d, %d], ",
                     meta->input.channels == 1   ? "gray"
                     : meta->input.channels == 3 ? "RGB"
                                                 : "",
                     meta->input.height, meta->input.width, meta->input.channels);
    if (model->scaled_inside)
        mien_text_puts(out, "pixels 0 to 255.");
    else if (meta->unknown & MIEN_UNKNOWN_PREPROCESSING)
        mien_text_puts(out, "in a scaling that is not known.");
    else
        mien_text_printf(out, "(pixel * %.9g - mean) / std", n->scale);
    if (!model->scaled_inside && !(meta->unknown & MIEN_UNKNOWN_PREPROCESSING)) {
        mien_text_puts(out, " with mean");
        for (int c = 0; c < meta->input.channels; c++)
            mien_text_printf(out, " %.9g", n->mean[c]);
        mien_text_puts(out, ", std");
        for (int c = 0; c < meta->input.channels; c++)
            mien_text_printf(out, " %.9g", n->std[c]);
        mien_text_puts(out, ".");
    }
    mien_text_printf(out, " Output: %s.", output_name(model));
}

static void compose(mien_onnx_writer *w, mien_text *file) {
    const mien_model *model = w->model;
    const mien_meta *meta = &model->meta;
    const mien_shape in = model->graph.nodes[0].out;
    const bool shaped = meta->head == MIEN_HEAD_VALUES && meta->output_rank > 1;
    mien_text graph = {0}, opset = {0}, doc = {0};
    if (w->nodes.status != MIEN_OK) graph.status = w->nodes.status;
    mien_text_append(&graph, w->nodes.data, w->nodes.size);
    mien_proto_text(&graph, GRAPH_NAME, "mien");
    if (w->weights.status != MIEN_OK) graph.status = w->weights.status;
    if (w->weights.size) mien_text_append(&graph, w->weights.data, w->weights.size);
    add_info(&graph, GRAPH_INPUT, MIEN_ONNX_INPUT, (const int[]){in.h, in.w, in.c}, 3);
    add_info(&graph, GRAPH_OUTPUT, output_name(model),
             shaped ? meta->output_shape : &model->graph.classes, shaped ? meta->output_rank : 1);
    describe(model, &doc);
    mien_proto_number(&opset, OPSET_VERSION, MIEN_ONNX_WRITTEN_OPSET);
    mien_proto_number(file, MODEL_IR, MIEN_ONNX_WRITTEN_IR);
    mien_proto_text(file, MODEL_PRODUCER, "mien");
    mien_proto_text(file, MODEL_PRODUCER_VERSION, MIEN_VERSION);
    mien_proto_message(file, MODEL_DOC, &doc);
    mien_proto_message(file, MODEL_GRAPH, &graph);
    mien_proto_message(file, MODEL_OPSET, &opset);
    add_metadata(model, file);
}

static mien_status write_nodes(mien_onnx_writer *w) {
    const mien_graph *graph = &w->model->graph;
    begin(w);
    for (int i = 1; i < graph->count - 1; i++) {
        w->node = &graph->nodes[i];
        if (!w->node->implicit) mien_onnx_begin_layer(w, w->node);
        MIEN_TRY(mien_onnx_export_node(w));
    }
    end(w);
    return MIEN_OK;
}

mien_status mien_onnx_write(const mien_model *model, const char *path, char **bytes, size_t *size) {
    mien_onnx_writer w = {.model = model, .path = path};
    mien_text file = {0};
    mien_status status;
    if (model->scaled_inside && (model->meta.unknown & MIEN_UNKNOWN_PREPROCESSING))
        return MIEN_FAIL(INVALID,
                         "'%s' cannot hold the scaling of pixels, which the model does not say: "
                         "give --preprocess",
                         path);
    MIEN_GO(mien_new(&w.values, (size_t)model->graph.count, sizeof *w.values));
    MIEN_GO(write_nodes(&w));
    compose(&w, &file);
    if (file.status == MIEN_OK && file.size > file_max)
        status =
            MIEN_FAIL(INVALID, "'%s' would have more than 2 GB, which ONNX does not allow", path);
    else
        status = file.status;
    if (status != MIEN_OK) goto out;
    *bytes = file.data;
    *size = file.size;
    file = (mien_text){0};
out:
    mien_text_release(&file);
    mien_text_release(&w.nodes);
    mien_text_release(&w.weights);
    mien_free(w.values);
    return status;
}
