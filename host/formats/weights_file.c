/* Models as .safetensors, in float and in int8. Metadata: `format`, which tells them and
 * checkpoints apart, `mien` and `model_config` (as in .h5 files, but as plain text). Tensors: every
 * parameter as "layer/name" in F32. In int8 there is `calibration` too, and a quantised layer has
 * its kernel in I8, "layer/kernel_scale" [channels], and "layer/input_scale" [2]: the scale, and 1
 * for signed (s8) or 0 for unsigned (u8) input. Float tensors have the shapes of Keras's; int8
 * files were written before those and pad the shapes of kernels to four dimensions. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/format.h"
#include "host/formats/safetensors.h"

static const char float_name[] = "mien-f32-1", int8_name[] = "mien-int8-1";

static int rank_of(const mien_param *p, bool int8) {
    if (!int8) return 1 + p->axes;
    return p->linear || p->axes > 0 ? 4 : 1;
}

/* ---- writing ---- */

typedef struct writer {
    mien_st_entry *entries;
    void **owned; /* tensor data allocated by the writer */
    mien_text *names;
    size_t count;
} writer;

static mien_st_entry *next_entry(writer *w, const char *layer, const char *name) {
    mien_text *path = &w->names[w->count];
    mien_text_printf(path, "%s/%s", layer, name);
    mien_st_entry *e = &w->entries[w->count++];
    *e = (mien_st_entry){.name = path->data};
    return e;
}

static void add_param(writer *w, const mien_model *model, int i, int k, const void *data,
                      mien_st_type type) {
    const mien_node *node = &model->graph.nodes[i];
    const mien_shape s = node->params[k].shape;
    const long long dims[] = {s.n, s.h, s.w, s.c};
    mien_st_entry *e = next_entry(w, node->name, node->params[k].name);
    e->rank = rank_of(&node->params[k], model->quant.nodes != 0);
    memcpy(e->shape, dims + 4 - e->rank, sizeof dims[0] * (size_t)e->rank);
    e->data = data;
    e->type = type;
}

static void add_floats(writer *w, const mien_node *node, const char *name, const float *data,
                       int count) {
    mien_st_entry *e = next_entry(w, node->name, name);
    e->rank = 1;
    e->shape[0] = count;
    e->data = data;
}

static bool is_int8_param(const mien_model *model, int i, int k) {
    return model->quant.nodes && model->quant.layers[i].w_scale &&
           model->graph.nodes[i].params[k].linear;
}

static mien_status add_scales(writer *w, const mien_node *node, const mien_quant_layer *q) {
    float *input;
    MIEN_TRY(mien_new(&input, 2, sizeof *input));
    w->owned[w->count] = input;
    input[0] = q->x_scale;
    input[1] = q->x_signed;
    add_floats(w, node, "input_scale", input, 2);
    add_floats(w, node, "kernel_scale", q->w_scale, node->out.c);
    return MIEN_OK;
}

static mien_status add_int8_kernel(writer *w, const mien_model *model, int i) {
    const mien_node *node = &model->graph.nodes[i];
    const mien_quant_layer *q = &model->quant.layers[i];
    const size_t count = mien_shape_count(node->params[0].shape);
    const size_t channels = (size_t)node->out.c;
    const float *from = mien_weights_get(&model->weights, i, 0);
    int8_t *bytes;
    MIEN_TRY(mien_new(&bytes, count, 1));
    w->owned[w->count] = bytes;
    for (size_t e = 0; e < count; e++)
        bytes[e] = (int8_t)rintf(from[e] / q->w_scale[e % channels]);
    add_param(w, model, i, 0, bytes, MIEN_ST_I8);
    return MIEN_OK;
}

/* F32 tensors come first, so that every tensor is aligned. */
static mien_status add_all(writer *w, const mien_model *model) {
    const mien_graph *graph = &model->graph;
    const mien_quant_layer *layers = model->quant.nodes ? model->quant.layers : NULL;
    for (int i = 0; i < graph->count; i++) {
        for (int k = 0; k < graph->nodes[i].param_count; k++)
            if (!is_int8_param(model, i, k))
                add_param(w, model, i, k, mien_weights_get(&model->weights, i, k), MIEN_ST_F32);
        if (layers && layers[i].w_scale) MIEN_TRY(add_scales(w, &graph->nodes[i], &layers[i]));
    }
    for (int i = 0; layers && i < graph->count; i++)
        if (layers[i].w_scale) MIEN_TRY(add_int8_kernel(w, model, i));
    return MIEN_OK;
}

static mien_status compose(writer *w, const mien_model *model, mien_text *out) {
    mien_text config = {0}, meta = {0};
    mien_status status;
    MIEN_GO(add_all(w, model));
    mien_keras_write_config(&model->graph, &config);
    mien_meta_write(&model->meta, &meta);
    MIEN_GO(config.status != MIEN_OK ? config.status : meta.status);
    for (size_t i = 0; i < w->count; i++)
        MIEN_GO(w->names[i].status);
    const bool int8 = model->quant.nodes != 0;
    const mien_st_meta metadata[] = {{"format", int8 ? int8_name : float_name},
                                     {"mien", meta.data},
                                     {"model_config", config.data},
                                     {"calibration", model->calibration}}; /* int8 only */
    status = mien_safetensors_compose(w->entries, w->count, metadata, int8 ? 4 : 3, out);
out:
    mien_text_release(&config);
    mien_text_release(&meta);
    return status;
}

static mien_status write_file(const mien_model *model, const char *path, char **bytes,
                              size_t *size) {
    (void)path; /* there is no other reason to refuse a model */
    const size_t capacity = (size_t)model->graph.count * (MIEN_PARAMS_MAX + 2);
    writer w = {0};
    mien_text container = {0};
    mien_status status;
    MIEN_GO(mien_new(&w.entries, capacity, sizeof *w.entries));
    MIEN_GO(mien_new(&w.owned, capacity, sizeof *w.owned));
    MIEN_GO(mien_new(&w.names, capacity, sizeof *w.names));
    MIEN_GO(compose(&w, model, &container));
    *bytes = container.data; /* now owned by the caller */
    *size = container.size;
    container = (mien_text){0};
out:
    for (size_t i = 0; w.names && i < capacity; i++)
        mien_text_release(&w.names[i]);
    for (size_t i = 0; w.owned && i < capacity; i++)
        mien_free(w.owned[i]);
    mien_free(w.names);
    mien_free(w.owned);
    mien_free(w.entries);
    mien_text_release(&container);
    return status;
}

/* ---- reading ---- */

typedef struct reader {
    mien_safetensors file;
    const char *source;
    mien_model *model;
    bool int8;
    size_t used;
} reader;

static mien_status bad(const reader *r, const mien_node *node, const char *name, const char *what) {
    return MIEN_FAIL(FORMAT, "%s: layer '%s': the tensor %s %s", r->source, node->name, name, what);
}

/* Finds a layer's tensor and checks its shape; *out is NULL if there is none. */
static mien_status find(reader *r, const mien_node *node, const char *name, const long long *shape,
                        int rank, const mien_st_tensor **out) {
    char path[2 * MIEN_NAME + 8];
    snprintf(path, sizeof path, "%s/%s", node->name, name);
    const mien_st_tensor *t = mien_safetensors_find(&r->file, path);
    *out = t;
    if (!t) return MIEN_OK;
    r->used++;
    if (t->rank != rank || memcmp(t->shape, shape, sizeof *shape * (size_t)rank) != 0)
        return bad(r, node, name, "does not have the layer's shape");
    if (t->type != MIEN_ST_F32 && t->type != MIEN_ST_I8)
        return bad(r, node, name, "is neither F32 nor I8");
    return MIEN_OK;
}

static mien_status floats(const reader *r, const mien_node *node, const mien_st_tensor *t,
                          const char *name, float *out) {
    MIEN_TRY(mien_st_floats(t, out, t->count));
    if (mien_all_finite(out, t->count)) return MIEN_OK;
    return bad(r, node, name, "has a value that is not finite");
}

/* Reads both scales of a layer whose kernel is int8. */
static mien_status read_scales(reader *r, int i) {
    const mien_node *node = &r->model->graph.nodes[i];
    mien_quant_layer *q = &r->model->quant.layers[i];
    const long long channels = node->out.c, two = 2;
    const mien_st_tensor *kernel, *input;
    float pair[2];
    MIEN_TRY(find(r, node, "kernel_scale", &channels, 1, &kernel));
    MIEN_TRY(find(r, node, "input_scale", &two, 1, &input));
    if (!kernel || !input) return bad(r, node, "kernel", "is in I8, but its scales are missing");
    MIEN_TRY(mien_quant_add(&r->model->graph, &r->model->quant, i));
    MIEN_TRY(floats(r, node, kernel, "kernel_scale", q->w_scale));
    MIEN_TRY(floats(r, node, input, "input_scale", pair));
    if (pair[1] != 0 && pair[1] != 1)
        return bad(r, node, "input_scale", "has a sign flag that is neither 0 (u8) nor 1 (s8)");
    q->x_scale = pair[0];
    q->x_signed = pair[1] == 1;
    return MIEN_OK;
}

static mien_status read_param(reader *r, int i, int k) {
    const mien_node *node = &r->model->graph.nodes[i];
    const mien_param *p = &node->params[k];
    const long long dims[] = {p->shape.n, p->shape.h, p->shape.w, p->shape.c};
    const int rank = rank_of(p, r->int8);
    const mien_st_tensor *t;
    float *to = mien_weights_get(&r->model->weights, i, k);
    MIEN_TRY(find(r, node, p->name, dims + 4 - rank, rank, &t));
    if (!t) return bad(r, node, p->name, "is missing");
    if (t->type == MIEN_ST_I8 && !(r->int8 && p->linear))
        return bad(r, node, p->name, "must not be I8");
    MIEN_TRY(floats(r, node, t, p->name, to));
    if (t->type != MIEN_ST_I8) return MIEN_OK;
    MIEN_TRY(read_scales(r, i));
    const float *scale = r->model->quant.layers[i].w_scale;
    for (size_t e = 0; e < t->count; e++)
        to[e] *= scale[e % (size_t)node->out.c];
    return MIEN_OK;
}

/* Checked before anything is allocated: the file must have enough values for the network. */
static mien_status check_size(const reader *r) {
    size_t numbers = 0;
    for (size_t i = 0; i < r->file.count; i++)
        numbers += r->file.tensors[i].count;
    const long long params = mien_graph_sum(&r->model->graph).params;
    if ((unsigned long long)params <= numbers) return MIEN_OK;
    return MIEN_FAIL(FORMAT,
                     "%s: the network has %lld parameters, but the file has only %zu values",
                     r->source, params, numbers);
}

static mien_status parse_meta(const reader *r, const char *key, mien_tree *tree) {
    const char *text = mien_safetensors_meta(&r->file, key);
    if (!text) return MIEN_FAIL(FORMAT, "%s: the metadata '%s' are missing", r->source, key);
    return mien_json_parse(text, strlen(text), r->source, tree);
}

static mien_status read_network(reader *r) {
    mien_model *model = r->model;
    mien_tree config = {0}, meta = {0};
    mien_status status;
    MIEN_GO(parse_meta(r, "mien", &meta));
    MIEN_GO(mien_meta_read(meta.root, r->source, &model->meta));
    MIEN_GO(parse_meta(r, "model_config", &config));
    MIEN_GO(mien_keras_read_config(config.root, r->source, &model->graph));
    const mien_shape in = model->graph.nodes[0].out;
    const mien_image_spec s = model->meta.input;
    if (model->graph.classes != model->meta.classes ||
        model->graph.raw != (model->meta.head > MIEN_HEAD_LOGITS) || in.h != s.height ||
        in.w != s.width || in.c != s.channels)
        status =
            MIEN_FAIL(FORMAT, "%s: the network and the metadata 'mien' do not match", r->source);
out:
    mien_tree_release(&config);
    mien_tree_release(&meta);
    return status;
}

static mien_status read_model(reader *r) {
    mien_model *model = r->model;
    const char *format = mien_safetensors_meta(&r->file, "format");
    const char *calibration = mien_safetensors_meta(&r->file, "calibration");
    r->int8 = format && strcmp(format, int8_name) == 0;
    if (!r->int8 && !(format && strcmp(format, float_name) == 0))
        return MIEN_FAIL(UNSUPPORTED,
                         "%s: not a model written by 'mien convert' (its metadata 'format' is "
                         "neither %s nor %s)",
                         r->source, float_name, int8_name);
    snprintf(model->calibration, sizeof model->calibration, "%s", calibration ? calibration : "");
    MIEN_TRY(read_network(r));
    MIEN_TRY(check_size(r));
    MIEN_TRY(mien_weights_zeros(&model->graph, &model->weights));
    if (r->int8) MIEN_TRY(mien_quant_create(&model->graph, &model->quant));
    for (int i = 1; i < model->graph.count; i++)
        for (int k = 0; k < model->graph.nodes[i].param_count; k++)
            MIEN_TRY(read_param(r, i, k));
    if (r->used != r->file.count)
        return MIEN_FAIL(FORMAT, "%s: the file has %zu tensors, but the network uses %zu",
                         r->source, r->file.count, r->used);
    if (r->int8 && mien_quant_check(&model->graph, &model->quant) != MIEN_OK)
        return mien_fail_context(MIEN_FORMAT, "%s", r->source);
    return MIEN_OK;
}

static mien_status read_file(mien_model_source *from, mien_model *model) {
    reader r = {.source = from->name, .model = model};
    mien_status status = mien_safetensors_parse(from->bytes, from->size, from->name, &r.file);
    if (status == MIEN_OK) status = read_model(&r);
    mien_safetensors_release(&r.file);
    return status;
}

/* The metadata distinguish these formats from other safetensors files. */
static bool has_format(const char *bytes, size_t size, const char *name) {
    mien_safetensors file;
    bool is = false;
    if (mien_safetensors_parse(bytes, size, "", &file) == MIEN_OK) {
        const char *format = mien_safetensors_meta(&file, "format");
        is = format && strcmp(format, name) == 0;
    }
    mien_safetensors_release(&file);
    return is;
}

static bool is_int8(const char *bytes, size_t size) {
    return has_format(bytes, size, int8_name);
}

static bool is_float(const char *bytes, size_t size) {
    return has_format(bytes, size, float_name);
}

const mien_model_format mien_format_int8 = {
    .name = "mien-int8",
    .content = "int8 safetensors",
    .suffixes = {".safetensors"},
    .flags = MIEN_FORMAT_INT8,
    .sniff = is_int8,
    .read = read_file,
    .write = write_file,
};

const mien_model_format mien_format_float = {
    .name = "mien-f32",
    .content = "safetensors",
    .suffixes = {".safetensors"},
    .flags = MIEN_FORMAT_TRAINABLE,
    .sniff = is_float,
    .read = read_file,
    .write = write_file,
};
