/* Models of other programs as .onnx: docs/onnx.md. */
#include "host/formats/onnx.h"

#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/format.h"

static const size_t external_limit = (size_t)2 << 30;
/* Weights beyond twice the file's size, as halves become floats and some are shared. */
static const size_t spare_bytes = (size_t)64 << 20;

/* ---- external data ---- */

/* Only a regular file in the model's own folder is read, so the name is taken as one of a file. */
static mien_status read_external(mien_onnx_reader *r) {
    char folder[MIEN_PATH], path[MIEN_PATH];
    for (size_t i = 0; i < r->model.tensor_count; i++) {
        const mien_onnx_tensor *t = &r->model.tensors[i];
        if (!t->external) continue;
        const mien_slice name = t->location;
        if (!name.size || name.size >= sizeof r->external_name ||
            memchr(name.data, '/', name.size) || memchr(name.data, '\\', name.size) ||
            memchr(name.data, 0, name.size) || mien_slice_is(name, ".") ||
            mien_slice_is(name, ".."))
            return MIEN_FAIL(FORMAT,
                             "%s: the weight '%.*s' is in '%.*s', which is not a file beside the "
                             "model",
                             r->source, MIEN_SLICE(t->name), MIEN_SLICE(name));
        if (!r->external_name[0])
            memcpy(r->external_name, name.data, name.size);
        else if (!mien_slice_is(name, r->external_name))
            return MIEN_FAIL(UNSUPPORTED, "%s: its weights are in several files", r->source);
    }
    if (!r->external_name[0]) return MIEN_OK;
    mien_path_folder(folder, r->source);
    MIEN_TRY(mien_path_join(path, folder, r->external_name));
    if (!mien_file_exists(path))
        return MIEN_FAIL(
            NOT_FOUND,
            "%s: its weights are in the file '%s', which is missing: put it beside the "
            "model, under that name",
            r->source, r->external_name);
    return mien_file_read_plain(path, external_limit, &r->external, &r->external_size);
}

/* ---- input ---- */

static bool is_channels(long long n) {
    return n >= 1 && n <= MIEN_INPUT_CHANNELS_MAX;
}

static mien_status bad_input(const mien_onnx_reader *r, const mien_onnx_input *in,
                             const char *what) {
    return MIEN_FAIL(UNSUPPORTED, "%s: its input '%.*s' %s", r->source, MIEN_SLICE(in->name), what);
}

/* The image: [N, C, H, W] or [N, H, W, C]. */
static mien_status make_image(const mien_onnx_reader *r, const mien_onnx_input *in,
                              mien_onnx_view *view) {
    const long long *d = in->dims;
    if (in->type != MIEN_ONNX_FLOAT)
        return bad_input(r, in, "is not of 32-bit floats: export the model with a float input");
    if (in->rank != 4)
        return bad_input(r, in,
                         "is not a batch of images with 4 axes; speech and text models are "
                         "not supported");
    const mien_image_spec *own = &r->own.input;
    const bool nhwc =
        r->has_own && d[1] == own->height && d[2] == own->width && d[3] == own->channels;
    const bool first = !nhwc && is_channels(d[1]) && !(is_channels(d[3]) && d[1] > d[3]);
    if (!first && !is_channels(d[3])) return bad_input(r, in, "has no axis of 1 to 4 channels");
    mien_onnx_view like = {.rank = 4, .dims = {1, d[1], d[2], d[3]}};
    const int *axes = first ? (const int[]){0, 2, 3, 1} : NULL;
    const long long h = first ? d[2] : d[1], w = first ? d[3] : d[2], c = first ? d[1] : d[3];
    if (h < 1 || w < 1)
        return bad_input(r, in,
                         "has no fixed height and width: export the model with an input of "
                         "a fixed size");
    if (h > MIEN_INPUT_SIDE_MAX || w > MIEN_INPUT_SIDE_MAX)
        return bad_input(r, in, "has sides of more than 4096 pixels");
    mien_onnx_view_make(view, MIEN_IMPORT_IMAGE, &like, axes, (int)h, (int)w, (int)c, false);
    return MIEN_OK;
}

/* Older files list the weights among the inputs. */
static mien_status read_inputs(mien_onnx_reader *r, mien_graph_io *io) {
    const mien_onnx_input *image = NULL;
    for (size_t i = 0; i < r->model.input_count; i++) {
        const mien_onnx_input *in = &r->model.inputs[i];
        const int value = mien_onnx_find(r, in->name);
        if (value < 0 || r->values[value].kind) continue;
        if (image)
            return MIEN_FAIL(UNSUPPORTED,
                             "%s: it has several inputs ('%.*s', '%.*s'); one image is "
                             "supported",
                             r->source, MIEN_SLICE(image->name), MIEN_SLICE(in->name));
        image = in;
        mien_onnx_view *view = &r->values[value].view;
        MIEN_TRY(make_image(r, in, view));
        *io = (mien_graph_io){view->h, view->w, view->c, 0};
    }
    if (!image) return MIEN_FAIL(FORMAT, "%s: no node reads an image", r->source);
    r->values[mien_onnx_find(r, image->name)].kind = MIEN_ONNX_TENSOR;
    return MIEN_OK;
}

/* ---- nodes ---- */

static const mien_onnx_operator *find_operator(const mien_onnx_node *node) {
    static const mien_onnx_operator *const tables[] = {mien_onnx_window_ops, mien_onnx_shape_ops,
                                                       mien_onnx_arithmetic_ops,
                                                       mien_onnx_layer_ops, mien_onnx_part_ops};
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const mien_onnx_operator *o = tables[t]; o->op; o++)
            if (mien_slice_is(node->op, o->op)) return o;
    return NULL;
}

static mien_status unknown_operator(const mien_onnx_op *op) {
    static const char *const int8[] = {
        "QuantizeLinear", "DequantizeLinear",        "QLinearConv", "QLinearMatMul",
        "ConvInteger",    "MatMulInteger",           "QLinearAdd",  "DynamicQuantizeLinear",
        "QLinearSigmoid", "QLinearGlobalAveragePool"};
    for (size_t i = 0; i < sizeof int8 / sizeof int8[0]; i++)
        if (mien_slice_is(op->node->op, int8[i]))
            return mien_onnx_refuse(op, "int8 networks are not supported: give the one in floats "
                                        "that it was made from, and let mien convert quantise it");
    return mien_onnx_refuse(op, "this operator is not supported");
}

static mien_status read_node(mien_onnx_reader *r, size_t index) {
    const mien_onnx_node *node = &r->model.nodes[index];
    mien_onnx_op op;
    bool done;
    mien_onnx_begin(r, node, &op);
    for (int i = 0; i < op.in_count; i++)
        if (op.in[i] >= 0 && !r->values[op.in[i]].kind)
            return MIEN_FAIL(
                FORMAT,
                "%s: node '%s' (%.*s) reads '%.*s', which nothing before it makes: the "
                "graph is cyclic or damaged",
                r->source, op.name, MIEN_SLICE(node->op), MIEN_SLICE(r->values[op.in[i]].name));
    if (node->domain.size && !mien_slice_is(node->domain, "ai.onnx"))
        return mien_onnx_refuse(&op, "operators of '%.*s' are not supported",
                                MIEN_SLICE(node->domain));
    const mien_onnx_operator *found = find_operator(node);
    MIEN_TRY(mien_onnx_fold(&op, &done));
    if (done) return MIEN_OK;
    if (!found) return unknown_operator(&op);
    const bool binary = !mien_onnx_constant_in(&op, 0) || op.in_count > 1;
    if (!mien_slice_is(node->op, "Constant") && !mien_onnx_view_in(&op, 0) &&
        !(binary && mien_onnx_constant_in(&op, 0) && mien_onnx_view_in(&op, 1)))
        return mien_onnx_refuse(&op, "it does not depend on the image in a way that is supported");
    return found->read(&op);
}

/* ---- output ---- */

static mien_status choose_output(const mien_onnx_reader *r, const char *wanted, int *out) {
    const mien_onnx_model *m = &r->model;
    mien_text names = {0};
    *out = -1;
    if (!m->output_count) return MIEN_FAIL(FORMAT, "%s: it has no output", r->source);
    for (size_t i = 0; i < m->output_count; i++) {
        if (wanted ? mien_slice_is(m->outputs[i].name, wanted) : m->output_count == 1)
            *out = mien_onnx_find(r, m->outputs[i].name);
        if (i < 20)
            mien_text_printf(&names, "%s'%.*s'", i ? ", " : "", MIEN_SLICE(m->outputs[i].name));
    }
    mien_status status = MIEN_OK;
    if (*out < 0 && m->output_count == 1 && !wanted)
        status = MIEN_FAIL(FORMAT, "%s: no node makes its output %s", r->source, names.data);
    else if (*out < 0)
        status =
            MIEN_FAIL(INVALID, "%s has the output%s %s: choose one with --output NAME", r->source,
                      m->output_count > 1 ? "s" : "", names.data ? names.data : "?");
    mien_text_release(&names);
    return status;
}

/* The layer that computes a value, before those that only move it. */
static const mien_import_layer *maker(const mien_import *import, int layer) {
    while (layer >= 0) {
        const mien_import_layer *l = &import->layers[layer];
        if (strcmp(l->def, "reshape") != 0 && strcmp(l->def, "flatten") != 0 &&
            strcmp(l->def, "permute") != 0)
            return l;
        layer = l->inputs[0];
    }
    return NULL;
}

static bool is_linear(const mien_import_layer *l) {
    static const char *const names[] = {"dense",
                                        "conv2d",
                                        "batch_normalization",
                                        "rescaling",
                                        "add",
                                        "global_average_pooling2d",
                                        "average_pooling2d",
                                        "depthwise_conv2d"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(l->def, names[i]) == 0) return true;
    return false;
}

static mien_head head_of(const mien_onnx_reader *r, const mien_onnx_view *view, bool classes) {
    const mien_import_layer *last = maker(&r->import, view->layer);
    const long long count = mien_onnx_count(view);
    bool vector = false;
    for (int i = 0; i < view->rank; i++)
        vector |= view->dims[i] == count;
    if (!last || !vector || count > MIEN_CLASSES_MAX) return MIEN_HEAD_VALUES;
    if (strcmp(last->def, "softmax") == 0 && view->flat && count > 1) return MIEN_HEAD_SOFTMAX;
    const char *activation = mien_value_string(last->keys, "activation");
    if (strcmp(last->def, "activation") == 0 && activation && strcmp(activation, "sigmoid") == 0)
        return classes ? MIEN_HEAD_SIGMOID : MIEN_HEAD_VALUES;
    return is_linear(last) && count > 1 && classes ? MIEN_HEAD_LOGITS : MIEN_HEAD_VALUES;
}

static mien_status mismatch(const char *source) {
    return MIEN_FAIL(FORMAT, "%s: the network and its metadata 'mien' do not match", source);
}

/* Ends the network in the form that a graph needs. */
static mien_status end_network(mien_onnx_reader *r, int output, bool classes, mien_meta *meta,
                               int *last) {
    mien_onnx_view view = r->values[output].view;
    const mien_onnx_node end = {.op = {"output", 6}};
    const mien_onnx_op op = {r, &end, NULL, NULL, 0, 0, "output"};
    if (r->values[output].kind != MIEN_ONNX_TENSOR)
        return MIEN_FAIL(FORMAT, "%s: its output does not depend on the image", r->source);
    meta->head = head_of(r, &view, classes);
    if (r->has_own && meta->head != r->own.head) {
        if (r->own.head == MIEN_HEAD_SOFTMAX) return mismatch(r->source);
        meta->head = r->own.head;
    }
    const long long count = mien_onnx_count(&view);
    if (count < 1 || count > MIEN_OUTPUTS_MAX)
        return MIEN_FAIL(UNSUPPORTED, "%s: its output has %lld numbers; at most %d are supported",
                         r->source, count, MIEN_OUTPUTS_MAX);
    for (int i = 0; i < view.rank && meta->head == MIEN_HEAD_VALUES; i++)
        if ((i || view.dims[i] != 1) && meta->output_rank < MIEN_OUTPUT_RANK_MAX)
            meta->output_shape[meta->output_rank++] = (int)view.dims[i];
    *last = view.layer;
    if (meta->head == MIEN_HEAD_SOFTMAX) return MIEN_OK;
    MIEN_TRY(mien_onnx_arrange(&op, &view, NULL, 1, 1, (int)count, true));
    if (meta->head == MIEN_HEAD_LOGITS) return mien_onnx_unary(&op, "softmax", &view, last);
    MIEN_TRY(mien_onnx_activation(&op, &view, "linear"));
    *last = view.layer;
    return MIEN_OK;
}

static void describe(const mien_onnx_reader *r, mien_meta *meta) {
    meta->unknown = MIEN_UNKNOWN_CLASSES | MIEN_UNKNOWN_PREPROCESSING;
    snprintf(meta->producer, sizeof meta->producer, "%.*s%s%.*s",
             r->model.producer.size > 30 ? 30 : (int)r->model.producer.size,
             r->model.producer.data ? r->model.producer.data : "",
             r->model.producer_version.size ? " " : "",
             r->model.producer_version.size > 20 ? 20 : (int)r->model.producer_version.size,
             r->model.producer_version.data ? r->model.producer_version.data : "");
}

/* ---- settings ---- */

static mien_status read_own(mien_onnx_reader *r) {
    const mien_slice text = r->model.settings;
    mien_tree tree = {0};
    if (!text.size) return MIEN_OK;
    mien_status status = mien_json_parse(text.data, text.size, r->source, &tree);
    r->has_own = true; /* to be released also after a failure */
    if (status == MIEN_OK) status = mien_meta_read(tree.root, r->source, &r->own);
    mien_tree_release(&tree);
    return status;
}

static void release_own(mien_onnx_reader *r) {
    if (!r->has_own) return;
    mien_free(r->own.class_names);
    mien_choice_release(&r->own.choice);
}

/* Gives the model the settings of the file. */
static mien_status take_own(mien_onnx_reader *r, mien_model *model) {
    const mien_shape in = model->graph.nodes[0].out;
    const mien_image_spec *own = &r->own.input;
    if (model->graph.classes != r->own.classes || in.h != own->height || in.w != own->width ||
        in.c != own->channels)
        return mismatch(r->source);
    model->meta = r->own;
    r->has_own = false;
    return MIEN_OK;
}

static mien_status read_model(mien_onnx_reader *r, size_t size, const mien_model_options *options,
                              mien_model *model) {
    mien_graph_io io = {0};
    mien_meta ends = {0};
    int output, last;
    MIEN_TRY(read_own(r));
    MIEN_TRY(mien_onnx_values_create(r));
    MIEN_TRY(choose_output(r, options->output, &output));
    MIEN_TRY(mien_import_leftovers(r->source, r->weights, r->model.tensor_count));
    MIEN_TRY(mien_onnx_mark(r, output));
    MIEN_TRY(read_external(r));
    MIEN_TRY(read_inputs(r, &io));
    r->import.bytes_most = 2 * (size + r->external_size) + spare_bytes;
    for (size_t i = 0; i < r->model.node_count; i++) {
        if (r->needed[i]) MIEN_TRY(read_node(r, i));
        MIEN_TRY(mien_import_failure(&r->import));
    }
    const bool classes = !options->classes || strcmp(options->classes, "none") != 0;
    MIEN_TRY(end_network(r, output, classes, &ends, &last));
    MIEN_TRY(mien_import_build(&r->import, last, io, model));
    if (r->has_own) return take_own(r, model);
    MIEN_TRY(mien_meta_default(&model->graph, r->source, &model->meta));
    model->meta.head = ends.head;
    model->meta.output_rank = ends.output_rank;
    memcpy(model->meta.output_shape, ends.output_shape, sizeof ends.output_shape);
    describe(r, &model->meta);
    return MIEN_OK;
}

static mien_status read_file(mien_model_source *from, mien_model *model) {
    mien_onnx_reader *r;
    MIEN_TRY(mien_new(&r, 1, sizeof *r));
    r->source = from->name;
    mien_status status = mien_import_start(&r->import, from->name);
    if (status == MIEN_OK) status = mien_onnx_parse(from->bytes, from->size, from->name, &r->model);
    if (status == MIEN_OK) status = read_model(r, from->size, from->options, model);
    release_own(r);
    mien_onnx_values_release(r);
    mien_onnx_release(&r->model);
    mien_import_release(&r->import);
    mien_free(r);
    return status;
}

const mien_model_format mien_format_onnx = {
    .name = "onnx",
    .content = "ONNX",
    .suffixes = {".onnx"},
    .flags = MIEN_FORMAT_TRAINABLE | MIEN_FORMAT_SCALES,
    .sniff = mien_onnx_sniff,
    .read = read_file,
    .write = mien_onnx_write,
};
