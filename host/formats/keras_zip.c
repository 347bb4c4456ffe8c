/* .keras: a zip of the architecture, config.json, and the weights in an HDF5 file. */
#include <stdio.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/format.h"
#include "host/formats/keras.h"
#include "host/formats/zip_members.h"

static const char config_name[] = "config.json", weights_name[] = "model.weights.h5";
enum { CONFIG_MAX = 64 << 20, METADATA_MAX = 1 << 20 };
static const size_t weights_limit = (size_t)2 << 30;

static bool sniff(const char *bytes, size_t size) {
    return mien_zip_has(bytes, size, config_name) && mien_zip_has(bytes, size, weights_name);
}

/* The major version of Keras; files from 2.12 on have it. */
static int read_version(const mien_model_source *from) {
    char *text;
    size_t size;
    int version = 0;
    mien_tree tree = {0};
    if (mien_zip_member(from->bytes, from->size, from->name, "metadata.json", METADATA_MAX, &text,
                        &size) != MIEN_OK)
        return 0;
    if (mien_json_parse(text, size, from->name, &tree) == MIEN_OK) {
        const char *word = mien_value_string(tree.root, "keras_version");
        if (word && word[0] >= '0' && word[0] <= '9') version = word[0] - '0';
    }
    mien_tree_release(&tree);
    mien_free(text);
    return version;
}

/* The settings of a model that Mien wrote. */
static mien_status take_settings(const mien_h5_container *container, const char *source,
                                 mien_model *model) {
    mien_safetensors file = {0};
    mien_status status;
    MIEN_GO(mien_h5_parse(container, source, &file));
    if (mien_safetensors_meta(&file, "attr:/@mien"))
        status = mien_keras_settings(&file, source, model);
out:
    mien_safetensors_release(&file);
    return status;
}

static mien_status read_file(mien_model_source *from, mien_model *model) {
    char *config = NULL, *weights = NULL;
    size_t config_size, weights_size;
    mien_h5_container container = {0};
    mien_status status;
    if (!sniff(from->bytes, from->size))
        return MIEN_FAIL(FORMAT,
                         "'%s' is not a .keras file, or is cut short: it is no zip archive "
                         "with %s and %s",
                         from->name, config_name, weights_name);
    const int version = read_version(from);
    MIEN_GO(mien_zip_member(from->bytes, from->size, from->name, config_name, CONFIG_MAX, &config,
                            &config_size));
    MIEN_GO(mien_zip_member(from->bytes, from->size, from->name, weights_name, weights_limit,
                            &weights, &weights_size));
    mien_free(from->bytes); /* so that a large model is not in memory twice */
    from->bytes = NULL;
    MIEN_GO(mien_h5_read(from->name, -1, weights, weights_size, &container));
    MIEN_GO(mien_keras_import(from->name, from->options, &container, config, config_size, version,
                              model));
    status = take_settings(&container, from->name, model);
out:
    mien_free(config);
    mien_free(weights);
    mien_h5_release(&container);
    return status;
}

/* ---- writing ---- */

typedef struct weights {
    mien_st_entry *entries;
    mien_text *paths;
    size_t count;
} weights;

/* layers/<class>_<n>/vars/<i>; `before`: how many layers of the class come before. */
static mien_status list_layer(const mien_model *model, int index, int before, weights *w) {
    const mien_graph *graph = &model->graph;
    char snake[128], number[16] = "";
    int at = 0;
    keras_snake_case(graph->nodes[index].def->class_name, snake, sizeof snake);
    if (before) snprintf(number, sizeof number, "_%d", before);
    for (int n = index; n < mien_layer_end(graph, index); n++)
        for (int k = 0; k < graph->nodes[n].param_count; k++, w->count++) {
            const mien_param *p = &graph->nodes[n].params[k];
            const long long dims[] = {p->shape.n, p->shape.h, p->shape.w, p->shape.c};
            const int rank = 1 + p->axes;
            mien_text *path = &w->paths[w->count];
            mien_text_printf(path, "/layers/%s%s/vars/%d", snake, number, at++);
            MIEN_TRY(path->status);
            mien_st_entry *e = &w->entries[w->count];
            *e = (mien_st_entry){
                .name = path->data, .rank = rank, .data = mien_weights_get(&model->weights, n, k)};
            memcpy(e->shape, dims + 4 - rank, sizeof dims[0] * (size_t)rank);
        }
    return MIEN_OK;
}

/* The inner HDF5 file. */
static mien_status write_weights(const mien_model *model, const char *path, char **out,
                                 size_t *size) {
    const size_t most = (size_t)model->graph.count * MIEN_PARAMS_MAX;
    weights w = {0};
    mien_text meta = {0}, container = {0};
    int order[MIEN_NODES_MAX];
    const int count = mien_keras_order(&model->graph, order);
    mien_status status;
    MIEN_GO(mien_new(&w.entries, most, sizeof *w.entries));
    MIEN_GO(mien_new(&w.paths, most, sizeof *w.paths));
    for (int i = 0; i < count; i++) {
        int before = 0;
        for (int k = 0; k < i; k++)
            before += model->graph.nodes[order[k]].def == model->graph.nodes[order[i]].def;
        MIEN_GO(list_layer(model, order[i], before, &w));
    }
    mien_text text = {0};
    mien_meta_write(&model->meta, &text);
    mien_json json = {.text = &meta};
    mien_json_string(&json, NULL, text.data ? text.data : "");
    const mien_status written = text.status;
    mien_text_release(&text);
    MIEN_GO(written);
    MIEN_GO(meta.status);
    const mien_st_meta attribute = {"attr:/@mien", meta.data};
    MIEN_GO(mien_safetensors_compose(w.entries, w.count, &attribute, 1, &container));
    status = mien_h5_run("write", path, container.data, container.size, out, size);
out:
    for (size_t i = 0; w.paths && i < most; i++)
        mien_text_release(&w.paths[i]);
    mien_free(w.paths);
    mien_free(w.entries);
    mien_text_release(&meta);
    mien_text_release(&container);
    return status;
}

/* Keras 3 reads the layers of Keras 2's architecture here too, if the model names its module. */
static void write_architecture(const mien_model *model, mien_text *out) {
    mien_text own = {0};
    mien_keras_write_sorted(&model->graph, &own);
    if (own.status == MIEN_OK && own.size) {
        mien_text_puts(
            out,
            "{\"module\": \"keras.src.models.functional\", \"registered_name\": \"Functional\", ");
        mien_text_puts(out, own.data + 1);
    }
    if (own.status != MIEN_OK) out->status = own.status;
    mien_text_release(&own);
}

static mien_status write_file(const mien_model *model, const char *path, char **bytes,
                              size_t *size) {
    static const char metadata[] =
        "{\"keras_version\": \"3.0.0\", \"date_saved\": \"1980-01-01@00:00:00\"}";
    mien_text out = {0}, config = {0};
    mien_zip_writer zip = {.out = &out};
    char *inner = NULL;
    size_t inner_size;
    mien_status status;
    write_architecture(model, &config);
    MIEN_GO(config.status);
    MIEN_GO(write_weights(model, path, &inner, &inner_size));
    MIEN_GO(mien_zip_add(&zip, "metadata.json", metadata, sizeof metadata - 1));
    MIEN_GO(mien_zip_add(&zip, config_name, config.data, config.size));
    MIEN_GO(mien_zip_add(&zip, weights_name, inner, inner_size));
    MIEN_GO(mien_zip_end(&zip));
    MIEN_GO(mien_new(bytes, out.size, 1));
    memcpy(*bytes, out.data, out.size);
    *size = out.size;
out:
    mien_text_release(&out);
    mien_text_release(&config);
    mien_free(inner);
    return status;
}

const mien_model_format mien_format_keras_zip = {
    .name = "keras",
    .content = "a Keras archive",
    .suffixes = {".keras"},
    .flags = MIEN_FORMAT_TRAINABLE,
    .sniff = sniff,
    .read = read_file,
    .write = write_file,
};
