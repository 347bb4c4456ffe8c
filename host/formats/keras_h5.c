/* Models as Keras .h5: data sets /model_weights/<layer>/<layer>/<weight>:0 and the attributes that
 * Keras 2 and Keras 3 read. */
#include <stdio.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/format.h"
#include "host/formats/keras.h"
#include "host/formats/safetensors.h"

#define WRITTEN_VERSION "2.15.0"

/* The signature is at offset 0, or after a user block of 512, 1024, 2048, … bytes. */
static bool is_hdf5(const char *image, size_t size) {
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    const size_t length = sizeof signature - 1;
    for (size_t at = 0; size >= length && at <= size - length; at = at ? 2 * at : 512)
        if (memcmp(image + at, signature, length) == 0) return true;
    return false;
}

/* ---- writing ---- */

typedef struct writer {
    mien_st_entry *entries;
    mien_st_meta *meta;
    size_t entry_count, meta_count;
    mien_text *texts; /* every name and value, owned here */
    size_t text_count, text_capacity;
} writer;

static mien_text *new_text(writer *w) {
    return &w->texts[w->text_count++];
}

static void attribute(writer *w, const char *object, const char *name, const char *json) {
    mien_text *key = new_text(w), *value = new_text(w);
    mien_text_printf(key, "attr:%s@%s", object, name);
    mien_text_puts(value, json);
    w->meta[w->meta_count++] = (mien_st_meta){key->data, value->data};
}

/* Takes the text; where it is not whole, neither is the file. */
static void attribute_text(writer *w, const char *object, const char *name, mien_text *json) {
    attribute(w, object, name, json->data ? json->data : "");
    if (json->status != MIEN_OK) w->texts[w->text_count - 1].status = json->status;
    mien_text_release(json);
}

static void attribute_string(writer *w, const char *object, const char *name, const char *string) {
    mien_text quoted = {0};
    mien_json json = {.text = &quoted};
    mien_json_string(&json, NULL, string);
    attribute_text(w, object, name, &quoted);
}

/* A parameter of a layer, which may have several nodes. */
typedef struct layer_param {
    int node, k;
} layer_param;
enum { LAYER_PARAMS = 3 * MIEN_PARAMS_MAX };

static int params_of(const mien_graph *graph, int layer, layer_param *out) {
    int count = 0;
    for (int i = layer; i < mien_layer_end(graph, layer); i++)
        for (int k = 0; k < graph->nodes[i].param_count && count < LAYER_PARAMS; k++)
            out[count++] = (layer_param){i, k};
    return count;
}

static void write_layer(writer *w, const mien_model *model, int index) {
    const mien_node *layer = &model->graph.nodes[index];
    mien_text *group = new_text(w);
    mien_text names = {0};
    mien_json json = {.text = &names};
    layer_param params[LAYER_PARAMS];
    const int count = params_of(&model->graph, index, params);
    mien_text_printf(group, "/model_weights/%s", layer->name);
    if (count == 0) { /* a group without data sets needs its own entry */
        mien_text *key = new_text(w);
        mien_text_printf(key, "group:%s", group->data);
        w->meta[w->meta_count++] = (mien_st_meta){key->data, ""};
    }
    mien_json_open(&json, NULL, '[');
    for (int i = 0; i < count; i++) {
        const mien_node *node = &model->graph.nodes[params[i].node];
        const mien_param *p = &node->params[params[i].k];
        mien_text *path = new_text(w);
        char name[2 * MIEN_NAME];
        const long long dims[] = {p->shape.n, p->shape.h, p->shape.w, p->shape.c};
        const int rank = 1 + p->axes;
        snprintf(name, sizeof name, "%s/%s:0", layer->name, p->name);
        mien_json_string(&json, NULL, name);
        mien_text_printf(path, "%s/%s", group->data, name);
        mien_st_entry *e = &w->entries[w->entry_count++];
        *e =
            (mien_st_entry){.name = path->data,
                            .rank = rank,
                            .data = mien_weights_get(&model->weights, params[i].node, params[i].k)};
        memcpy(e->shape, dims + 4 - rank, sizeof dims[0] * (size_t)rank);
    }
    mien_json_close(&json, ']');
    attribute_text(w, group->data, "weight_names", &names);
}

static mien_status compose(writer *w, const mien_model *model, mien_text *out) {
    int order[MIEN_NODES_MAX];
    const int count = mien_keras_order(&model->graph, order);
    mien_text names = {0}, config = {0}, meta = {0};
    mien_json json = {.text = &names};
    mien_json_open(&json, NULL, '[');
    for (int i = 0; i < count; i++) {
        mien_json_string(&json, NULL, model->graph.nodes[order[i]].name);
        write_layer(w, model, order[i]);
    }
    mien_json_close(&json, ']');
    mien_keras_write_config(&model->graph, &config);
    mien_meta_write(&model->meta, &meta);
    mien_status status = names.status != MIEN_OK    ? names.status
                         : config.status != MIEN_OK ? config.status
                                                    : meta.status;
    if (status == MIEN_OK) {
        attribute(w, "/model_weights", "layer_names", names.data);
        attribute_string(w, "/model_weights", "backend", "tensorflow");
        attribute_string(w, "/model_weights", "keras_version", WRITTEN_VERSION);
        attribute_string(w, "/", "backend", "tensorflow");
        attribute_string(w, "/", "keras_version", WRITTEN_VERSION);
        attribute_string(w, "/", "model_config", config.data);
        attribute_string(w, "/", "mien", meta.data);
        for (size_t i = 0; i < w->text_count && status == MIEN_OK; i++)
            status = w->texts[i].status;
    }
    if (status == MIEN_OK)
        status = mien_safetensors_compose(w->entries, w->entry_count, w->meta, w->meta_count, out);
    mien_text_release(&names);
    mien_text_release(&config);
    mien_text_release(&meta);
    return status;
}

static mien_status write_file(const mien_model *model, const char *path, char **bytes,
                              size_t *size) {
    writer w = {0};
    mien_text container = {0};
    mien_status status;
    const size_t nodes = (size_t)model->graph.count, weights = nodes * MIEN_PARAMS_MAX;
    w.text_capacity = 4 * nodes + weights + 16;
    MIEN_GO(mien_new(&w.entries, weights, sizeof *w.entries));
    MIEN_GO(mien_new(&w.meta, 2 * nodes + 8, sizeof *w.meta));
    MIEN_GO(mien_new(&w.texts, w.text_capacity, sizeof *w.texts));
    MIEN_GO(compose(&w, model, &container));
    MIEN_GO(mien_h5_run("write", path, container.data, container.size, bytes, size));
    if (!is_hdf5(*bytes, *size)) /* never overwrite a good file with something else */
        status = MIEN_FAIL(IO, "%s: the output of mien-h5 is not an HDF5 file", path);
out:
    for (size_t i = 0; w.texts && i < w.text_count; i++)
        mien_text_release(&w.texts[i]);
    mien_free(w.texts);
    mien_free(w.meta);
    mien_free(w.entries);
    mien_text_release(&container);
    return status;
}

/* ---- reading ---- */

/* Parses a string attribute that contains JSON; the container stores the string itself as JSON. */
static mien_status parse_attribute(const mien_safetensors *file, const char *key,
                                   const char *source, mien_tree *tree) {
    mien_tree outer = {0};
    *tree = (mien_tree){0};
    const char *text = mien_safetensors_meta(file, key);
    if (!text)
        return MIEN_FAIL(NOT_FOUND, "%s: the attribute '%s' is missing", source,
                         strrchr(key, '@') + 1);
    mien_status status = mien_json_parse(text, strlen(text), source, &outer);
    if (status == MIEN_OK && outer.root->kind != MIEN_VALUE_STRING)
        status = MIEN_FAIL(FORMAT, "%s: the attribute '%s' is not a string", source,
                           strrchr(key, '@') + 1);
    if (status == MIEN_OK)
        status = mien_json_parse(outer.root->text, strlen(outer.root->text), source, tree);
    mien_tree_release(&outer);
    return status;
}

/* Finds the parameter that a weight's path names, by its last part without ":0". */
static int find_param(const mien_graph *graph, const layer_param *params, int count,
                      const char *path) {
    const char *last = strrchr(path, '/');
    last = last ? last + 1 : path;
    const size_t length = strcspn(last, ":");
    for (int i = 0; i < count; i++) {
        const char *name = graph->nodes[params[i].node].params[params[i].k].name;
        if (strlen(name) == length && strncmp(name, last, length) == 0) return i;
    }
    return -1;
}

static mien_status read_weight(const mien_safetensors *file, const char *source, mien_model *model,
                               const char *layer, layer_param at, const char *name) {
    const mien_node *node = &model->graph.nodes[at.node];
    char path[MIEN_PATH];
    snprintf(path, sizeof path, "/model_weights/%s/%s", layer, name);
    const mien_st_tensor *t = mien_safetensors_find(file, path);
    if (!t)
        return MIEN_FAIL(FORMAT, "%s: layer '%s': the weight '%s' is missing", source, layer, name);
    const mien_param *p = &node->params[at.k];
    const long long dims[] = {p->shape.n, p->shape.h, p->shape.w, p->shape.c};
    const int rank = 1 + p->axes;
    if (t->rank != rank || memcmp(t->shape, dims + 4 - rank, sizeof dims[0] * (size_t)rank) != 0)
        return MIEN_FAIL(FORMAT, "%s: layer '%s': the weight %s does not have the layer's shape",
                         source, layer, p->name);
    float *to = mien_weights_get(&model->weights, at.node, at.k);
    MIEN_TRY(mien_st_floats(t, to, t->count));
    if (mien_all_finite(to, t->count)) return MIEN_OK;
    return MIEN_FAIL(FORMAT, "%s: layer '%s': the weight %s has a value that is not finite", source,
                     layer, p->name);
}

/* Reads the weights listed in weight_names; every parameter must be listed exactly once. */
static mien_status read_layer(const mien_safetensors *file, const char *source, mien_model *model,
                              int index, size_t *used) {
    const char *layer = model->graph.nodes[index].name;
    char key[MIEN_PATH];
    mien_tree names = {0};
    layer_param params[LAYER_PARAMS];
    const int count = params_of(&model->graph, index, params);
    snprintf(key, sizeof key, "attr:/model_weights/%s@weight_names", layer);
    const char *text = mien_safetensors_meta(file, key);
    if (!text && count == 0) return MIEN_OK;
    if (!text) return MIEN_FAIL(FORMAT, "%s: the weights of layer '%s' are missing", source, layer);
    mien_status status = mien_json_parse(text, strlen(text), source, &names);
    if (status == MIEN_OK &&
        (names.root->kind != MIEN_VALUE_LIST || names.root->count != (size_t)count))
        status = MIEN_FAIL(FORMAT, "%s: layer '%s' has the wrong number of weights", source, layer);
    bool filled[LAYER_PARAMS] = {false};
    for (const mien_value *v = status == MIEN_OK ? names.root->first : NULL; v && status == MIEN_OK;
         v = v->next) {
        const int i =
            v->kind == MIEN_VALUE_STRING ? find_param(&model->graph, params, count, v->text) : -1;
        if (i < 0 || filled[i])
            status = MIEN_FAIL(FORMAT, "%s: layer '%s': the attribute weight_names is damaged",
                               source, layer);
        else
            status = read_weight(file, source, model, layer, params[i], v->text);
        if (i >= 0) filled[i] = true;
        (*used)++;
    }
    mien_tree_release(&names);
    return status;
}

/* Checked before anything is allocated: the file must have exactly the network's parameters. */
static mien_status check_size(const mien_safetensors *file, const char *source,
                              const mien_graph *graph) {
    size_t numbers = 0;
    for (size_t i = 0; i < file->count; i++)
        numbers += file->tensors[i].count;
    const long long params = mien_graph_sum(graph).params;
    if ((unsigned long long)params == numbers) return MIEN_OK;
    return MIEN_FAIL(FORMAT, "%s: the network has %lld parameters, but the file has %zu values",
                     source, params, numbers);
}

static mien_status read_model(const mien_safetensors *file, const char *source, mien_model *model) {
    mien_tree config = {0}, meta = {0};
    mien_status status;
    size_t used = 0;
    MIEN_GO(parse_attribute(file, "attr:/@mien", source, &meta));
    MIEN_GO(mien_meta_read(meta.root, source, &model->meta));
    MIEN_GO(parse_attribute(file, "attr:/@model_config", source, &config));
    MIEN_GO(mien_keras_read_config(config.root, source, &model->graph));
    const mien_shape in = model->graph.nodes[0].out;
    if (model->graph.classes != model->meta.classes ||
        model->graph.raw != (model->meta.head > MIEN_HEAD_LOGITS) ||
        in.h != model->meta.input.height || in.w != model->meta.input.width ||
        in.c != model->meta.input.channels) {
        status = MIEN_FAIL(FORMAT, "%s: the network and the attribute 'mien' do not match", source);
        goto out;
    }
    MIEN_GO(check_size(file, source, &model->graph));
    MIEN_GO(mien_weights_zeros(&model->graph, &model->weights));
    for (int i = 1; i < model->graph.count; i++)
        if (!model->graph.nodes[i].implicit) MIEN_GO(read_layer(file, source, model, i, &used));
    if (used != file->count)
        status = MIEN_FAIL(FORMAT, "%s: the file has %zu weights, but the network uses %zu", source,
                           file->count, used);
out:
    mien_tree_release(&config);
    mien_tree_release(&meta);
    return status;
}

/* Mien writes this attribute, and the version below. When Keras saves the model again, the
 * attribute is lost, or someone copies it, but the version is Keras's own. */
static bool is_own(const mien_safetensors *file) {
    const char *version = mien_safetensors_meta(file, "attr:/@keras_version");
    return mien_safetensors_meta(file, "attr:/@mien") && version &&
           strcmp(version, "\"" WRITTEN_VERSION "\"") == 0;
}

/* The settings of a model of Mien that Keras saved again. */
mien_status mien_keras_settings(const mien_safetensors *file, const char *source,
                                mien_model *model) {
    mien_tree tree = {0};
    mien_meta meta = {0};
    const mien_shape in = model->graph.nodes[0].out;
    mien_status status = parse_attribute(file, "attr:/@mien", source, &tree);
    if (status == MIEN_OK) status = mien_meta_read(tree.root, source, &meta);
    mien_tree_release(&tree);
    if (status == MIEN_OK && (model->graph.classes != meta.classes || in.h != meta.input.height ||
                              in.w != meta.input.width || in.c != meta.input.channels))
        status = MIEN_FAIL(FORMAT, "%s: the network and the attribute 'mien' do not match", source);
    mien_free(model->meta.class_names);
    mien_choice_release(&model->meta.choice);
    model->meta = meta;
    return status;
}

static mien_status read_other(const mien_model_source *from, const mien_h5_container *made,
                              const mien_safetensors *file, mien_model *model) {
    const char *config = mien_safetensors_meta(file, "attr:/@model_config");
    MIEN_TRY(mien_keras_import(from->name, from->options, made, config, config ? strlen(config) : 0,
                               0, model));
    if (!mien_safetensors_meta(file, "attr:/@mien")) return MIEN_OK;
    return mien_keras_settings(file, from->name, model);
}

static mien_status read_file(mien_model_source *from, mien_model *model) {
    mien_h5_container made = {0};
    mien_safetensors file = {0};
    mien_status status;
    if (!is_hdf5(from->bytes, from->size))
        return MIEN_FAIL(FORMAT, "'%s' is not a model file (.h5): it is not HDF5", from->name);
    MIEN_GO(mien_h5_read(from->name, from->fd, from->bytes, from->size, &made));
    MIEN_GO(mien_h5_parse(&made, from->name, &file));
    status = is_own(&file) ? read_model(&file, from->name, model)
                           : read_other(from, &made, &file, model);
out:
    mien_safetensors_release(&file);
    mien_h5_release(&made);
    return status;
}

const mien_model_format mien_format_keras_h5 = {
    .name = "keras-h5",
    .content = "HDF5",
    .suffixes = {".h5", ".hdf5"},
    .flags = MIEN_FORMAT_TRAINABLE,
    .sniff = is_hdf5,
    .read = read_file,
    .write = write_file,
};
