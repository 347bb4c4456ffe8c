/* Models of Keras: docs/keras.md. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/module.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/formats/keras.h"

enum { UNWRAPS = 3, JSON_MAX = 64 << 20, SCALE_MOST = 10 /* percent: pixels are scaled down */ };

/* ---- the architecture ---- */

/* JSON, also as a string in JSON, or YAML. */
static mien_status parse_text(keras_reader *r, const char *text, size_t size, const char *name) {
    const size_t space = strspn(text, " \t\r\n");
    if (space < size && !strchr("{[\"", text[space]))
        return mien_yaml_parse(text, size, name, &r->tree);
    MIEN_TRY(mien_json_parse_nul(text, size, name, &r->tree));
    for (int i = 0; i < UNWRAPS && r->tree.root && r->tree.root->kind == MIEN_VALUE_STRING; i++) {
        mien_tree inner = {0};
        const char *own = r->tree.root->text;
        const mien_status status = mien_json_parse_nul(own, strlen(own), name, &inner);
        mien_tree_release(&r->tree);
        r->tree = inner;
        MIEN_TRY(status);
    }
    return MIEN_OK;
}

/* The size of the input that a network of Mien names for this purpose only. */
static mien_status read_size(const mien_value *root, const char *path, mien_graph_io *io) {
    const mien_value *list = mien_value_get(root, "input");
    int *const sizes[] = {&io->height, &io->width, &io->channels};
    bool good = list && list->kind == MIEN_VALUE_LIST && list->count == 3;
    const mien_value *v = good ? list->first : NULL;
    for (int i = 0; good && i < 3; i++, v = v->next) {
        good = v->kind == MIEN_VALUE_NUMBER && v->number >= 1 && v->number <= MIEN_INPUT_SIDE_MAX;
        *sizes[i] = good ? (int)v->number : 0;
    }
    if (good) return MIEN_OK;
    return MIEN_FAIL(INVALID,
                     "'%s' does not say the size of the input: add a line such as "
                     "input: [48, 48, 1] (height, width, channels)",
                     path);
}

/* A network in the form of configs/models becomes Keras's, so that the rest is the same. */
static mien_status from_own(keras_reader *r, const char *path) {
    mien_graph_io io = {0};
    mien_graph graph = {0};
    mien_text text = {0};
    mien_value *const root = r->tree.root;
    MIEN_TRY(read_size(root, path, &io));
    for (mien_value *v = root->first, *before = NULL; v; before = v, v = v->next) {
        if (strcmp(v->key, "input") != 0) continue;
        if (before)
            before->next = v->next;
        else
            root->first = v->next;
        root->count--;
        break;
    }
    mien_status status = mien_graph_parse(root, path, io, &graph);
    if (status == MIEN_OK) mien_keras_write_config(&graph, &text);
    mien_graph_release(&graph);
    mien_tree_release(&r->tree);
    r->tree = (mien_tree){0};
    if (status == MIEN_OK) status = text.status;
    if (status == MIEN_OK) status = mien_json_parse(text.data, text.size, path, &r->tree);
    mien_text_release(&text);
    r->file.version = 3; /* Mien's layers are those of Keras 3 */
    return status;
}

static mien_status read_architecture(keras_reader *r, const char *path) {
    char *text;
    size_t size;
    MIEN_TRY(mien_file_read(path, JSON_MAX, &text, &size));
    const mien_status status = parse_text(r, text, size, path);
    mien_free(text);
    MIEN_TRY(status);
    const mien_value *root = r->tree.root;
    return mien_value_get(root, "layers") && !mien_value_get(root, "class_name") ? from_own(r, path)
                                                                                 : MIEN_OK;
}

/* net.json for net.h5, net_weights.h5 and net.weights.h5, and model.json. */
static bool find_beside(const keras_reader *r, char *path) {
    static const char *const ends[] = {"", "_weights", ".weights", "-weights", "_weight"};
    char folder[MIEN_PATH], stem[256], name[300];
    mien_path_folder(folder, r->source);
    mien_path_stem(stem, sizeof stem, r->source);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const size_t length = strlen(stem), end = strlen(ends[i]);
        if (length <= end || strcmp(stem + length - end, ends[i]) != 0) continue;
        snprintf(name, sizeof name, "%.*s.json", (int)(length - end), stem);
        if (mien_path_join(path, folder, name) == MIEN_OK && mien_file_exists(path)) return true;
    }
    return mien_path_join(path, folder, "model.json") == MIEN_OK && mien_file_exists(path);
}

static mien_status unknown_architecture(const char *given) {
    mien_text names = {0};
    keras_family_names(&names);
    const mien_status status = MIEN_FAIL(
        NOT_FOUND, "--architecture: there is no file '%s', nor is it one of the networks %s", given,
        names.data ? names.data : "");
    mien_text_release(&names);
    return status;
}

static mien_status read_known(keras_reader *r, const char *name) {
    char path[MIEN_PATH];
    mien_text text = {0};
    MIEN_TRY(mien_shared_file("configs/architectures", keras_family_file(name), path));
    mien_status status = keras_family_write(name, path, &text);
    if (status == MIEN_OK) status = mien_json_parse(text.data, text.size, path, &r->tree);
    mien_text_release(&text);
    return status;
}

static mien_status find_architecture(keras_reader *r, const char *config, size_t size) {
    const char *given = r->options->architecture;
    char path[MIEN_PATH];
    if (config && given)
        return MIEN_FAIL(INVALID, "'%s' holds its own architecture: leave out --architecture",
                         r->source);
    if (config) return parse_text(r, config, size, r->source);
    if (given && mien_file_exists(given) && !mien_is_folder(given))
        return read_architecture(r, given);
    if (given && keras_family_file(given)) {
        MIEN_TRY(read_known(r, given));
        return keras_known_fit(r, given);
    }
    if (given) return unknown_architecture(given);
    if (find_beside(r, path)) return read_architecture(r, path);
    return MIEN_FAIL(
        INVALID,
        "'%s' holds only weights: give the network with --architecture net.json, which "
        "Keras's model.to_json() writes, or net.yaml",
        r->source);
}

static int version_in(const char *text) {
    return text && text[0] >= '0' && text[0] <= '9' ? text[0] - '0' : 0;
}

/* Keras 3 is told by entries that name their module. */
static int guess_version(const mien_value *v) {
    const mien_value *list = mien_value_get(mien_value_get(v, "config"), "layers");
    for (const mien_value *l = list && list->kind == MIEN_VALUE_LIST ? list->first : NULL; l;
         l = l->next)
        if (mien_value_get(l, "module")) return 3;
    return 2;
}

/* ---- input ---- */

static mien_status bad_input(const keras_reader *r, const char *what) {
    return MIEN_FAIL(UNSUPPORTED, "%s: its input %s", r->source, what);
}

/* An image, rows of one channel, or the pixels of a square gray image in one list. */
static mien_status make_input(keras_reader *r, mien_graph_io *io, keras_value *value) {
    const mien_value *shape = keras_net_input(r->net);
    int d[3], rank = 0;
    if (!shape || shape->kind != MIEN_VALUE_LIST || shape->count < 2)
        return bad_input(r, "has no size in the file: build the model with an input shape and save "
                            "it again");
    if (shape->count > 4) return bad_input(r, "is not an image");
    for (const mien_value *v = shape->first->next; v; v = v->next) {
        if (v->kind != MIEN_VALUE_NUMBER)
            return bad_input(r, "has no fixed height and width: save the model with an input of a "
                                "fixed size");
        if (!(v->number >= 1 && v->number <= (rank || shape->count > 2 ? 65536 : 1 << 24)))
            return bad_input(r, "has an impossible size");
        d[rank++] = (int)v->number;
    }
    *value = (keras_value){.layer = MIEN_IMPORT_IMAGE, .rank = 3};
    if (rank == 3 && d[0] <= MIEN_INPUT_CHANNELS_MAX && d[2] > MIEN_INPUT_CHANNELS_MAX) {
        *io = (mien_graph_io){d[1], d[2], d[0], 0};
        value->first = true;
    } else if (rank == 3) {
        *io = (mien_graph_io){d[0], d[1], d[2], 0};
    } else if (rank == 2) {
        *io = (mien_graph_io){d[0], d[1], 1, 0};
    } else {
        const int side = (int)(sqrt(d[0]) + 0.5);
        if (side * side != d[0]) return bad_input(r, "is a list of numbers, not an image");
        *io = (mien_graph_io){side, side, 1, 0};
    }
    if (io->channels > MIEN_INPUT_CHANNELS_MAX || io->height > MIEN_INPUT_SIDE_MAX ||
        io->width > MIEN_INPUT_SIDE_MAX)
        return bad_input(r, "is not an image of 1 to 4 channels and at most 4096 pixels a side");
    value->h = io->height;
    value->w = io->width;
    value->c = io->channels;
    MIEN_TRY(mien_graph_start(&r->shadow, "keras", *io));
    if (rank == 3) return MIEN_OK;
    keras_call call = {.r = r, .layer = &r->net->layers[0]};
    return keras_reshape(&call, value, rank, 1, rank == 1 ? 1 : d[0], rank == 1 ? d[0] : d[1]);
}

/* ---- output ---- */

static bool is_def(const mien_import_layer *l, const char *names) {
    return keras_listed(names, l->def);
}

static mien_value *activation_key(const mien_import_layer *l) {
    for (mien_value *v = l->keys->first; v; v = v->next)
        if (strcmp(v->key, "activation") == 0 && v->kind == MIEN_VALUE_STRING) return v;
    return NULL;
}

/* The layer that computes the output, before those that only move or drop it. */
static int maker(const mien_import *import, int layer) {
    while (layer >= 0 && is_def(&import->layers[layer],
                                "reshape|flatten|permute|dropout|spatial_dropout2d|gaussian_noise"))
        layer = import->layers[layer].inputs[0];
    return layer;
}

static int readers_of(const mien_import *import, int layer) {
    int count = 0;
    for (int i = 0; i < import->count; i++)
        for (int k = 0; k < import->layers[i].input_count; k++)
            count += import->layers[i].inputs[k] == layer;
    return count;
}

static mien_head head_of(const keras_reader *r, const keras_value *value, int made) {
    const char *given = r->options->classes;
    const bool classes = !given || strcmp(given, "none") != 0;
    const long long count = (long long)value->h * value->w * value->c;
    const mien_import_layer *l = made < 0 ? NULL : &r->import.layers[made];
    const bool vector = value->c == count || value->h == count || value->w == count;
    if (!l || !vector || count > MIEN_CLASSES_MAX) return MIEN_HEAD_VALUES;
    const mien_value *key = activation_key(l);
    const char *word = key ? key->text : is_def(l, "softmax") ? "softmax" : "linear";
    if (strcmp(word, "softmax") == 0) return count > 1 ? MIEN_HEAD_SOFTMAX : MIEN_HEAD_VALUES;
    if (strcmp(word, "sigmoid") == 0) return classes ? MIEN_HEAD_SIGMOID : MIEN_HEAD_VALUES;
    const bool linear = strcmp(word, "linear") == 0 &&
                        is_def(l, "dense|conv2d|depthwise_conv2d|separable_conv2d|add|average|"
                                  "batch_normalization|rescaling|global_average_pooling2d|"
                                  "average_pooling2d|activation");
    return linear && count > 1 && classes ? MIEN_HEAD_LOGITS : MIEN_HEAD_VALUES;
}

/* Ends the network as a graph needs it: in a softmax, or `activation: linear`, on a flat output. */
static mien_status end_network(keras_reader *r, keras_value *value, mien_meta *meta, int *last) {
    mien_import *import = &r->import;
    keras_call call = {.r = r, .layer = &r->net->layers[r->net->count - 1]};
    while (value->layer >= 0 && is_def(&import->layers[value->layer], "dropout|gaussian_noise"))
        value->layer = import->layers[value->layer].inputs[0];
    const int made = maker(import, value->layer);
    meta->head = head_of(r, value, made);
    if (meta->head == MIEN_HEAD_VALUES) {
        const int dims[] = {value->first ? value->c : value->h, value->first ? value->h : value->w,
                            value->first ? value->w : value->c};
        for (int i = 3 - value->rank; i < 3; i++)
            meta->output_shape[meta->output_rank++] = dims[i];
    }
    if (meta->head == MIEN_HEAD_SOFTMAX) {
        if (made == value->layer && value->flat) {
            *last = made;
            return MIEN_OK;
        }
        /* the softmax moves behind the layers that only change the shape */
        mien_value *key = activation_key(&import->layers[made]);
        if (!key || readers_of(import, made) != 1)
            return MIEN_FAIL(UNSUPPORTED, "%s: layers after its softmax are not supported",
                             r->source);
        key->text = "linear";
    }
    MIEN_TRY(keras_order(&call, value, false));
    const long long count = (long long)value->h * value->w * value->c;
    if (count > MIEN_OUTPUTS_MAX)
        return MIEN_FAIL(UNSUPPORTED, "%s: its output has %lld numbers; at most %d are supported",
                         r->source, count, MIEN_OUTPUTS_MAX);
    MIEN_TRY(keras_reshape(&call, value, 1, 1, 1, (int)count));
    int layer;
    const bool soft = meta->head == MIEN_HEAD_SOFTMAX || meta->head == MIEN_HEAD_LOGITS;
    MIEN_TRY(mien_import_add(import, "activation", soft ? "softmax" : "output", &value->layer, 1,
                             &layer));
    mien_import_text(import, layer, "activation", soft ? "softmax" : "linear");
    *last = layer;
    return MIEN_OK;
}

static const mien_value *output_ref(const mien_value *refs, int *at) {
    if (refs->kind != MIEN_VALUE_LIST && refs->kind != MIEN_VALUE_MAP) return NULL;
    if (refs->first && refs->first->kind == MIEN_VALUE_STRING) return (*at)-- == 0 ? refs : NULL;
    for (const mien_value *v = refs->first; v; v = v->next) {
        const mien_value *found = output_ref(v, at);
        if (found) return found;
    }
    return NULL;
}

static mien_status choose_output(const keras_reader *r, const keras_value *outputs, int count,
                                 keras_value *out) {
    const char *wanted = r->options->output;
    mien_text names = {0};
    int found = count == 1 ? 0 : -1;
    for (int i = 0; i < count && !r->net->sequential; i++) {
        int at = i;
        const mien_value *ref = output_ref(r->net->outputs, &at);
        const char *name = ref ? ref->first->text : "?";
        if (wanted && strcmp(wanted, name) == 0) found = i;
        mien_text_printf(&names, "%s'%s'", i ? ", " : "", name);
    }
    mien_status status = MIEN_OK;
    if (found < 0)
        status = MIEN_FAIL(INVALID, "%s has the outputs %s: choose one with --output NAME",
                           r->source, names.data ? names.data : "?");
    else
        *out = outputs[found];
    mien_text_release(&names);
    return status;
}

/* ---- settings ---- */

/* Do the first layers scale pixels down? */
static bool scales_itself(const mien_import *import) {
    double scale = 1;
    int from = MIEN_IMPORT_IMAGE;
    for (int i = 0; i < import->count; i++) {
        const mien_import_layer *l = &import->layers[i];
        if (l->input_count != 1 || l->inputs[0] != from) continue;
        if (!is_def(l, "rescaling|permute|reshape|conv2d|batch_normalization")) break;
        if (is_def(l, "rescaling")) scale *= mien_value_number(l->keys, "scale", 1);
        if (is_def(l, "conv2d|batch_normalization")) break;
        from = i;
    }
    return fabs(scale) * 100 <= SCALE_MOST;
}

static void describe(const keras_reader *r, mien_meta *meta) {
    const char *text = mien_safetensors_meta(&r->file.container, "attr:/@keras_version");
    if (!text)
        text = mien_safetensors_meta(&r->file.container, "attr:/model_weights@keras_version");
    meta->unknown = MIEN_UNKNOWN_CLASSES | MIEN_UNKNOWN_PREPROCESSING;
    if (text && text[0] == '"')
        snprintf(meta->producer, sizeof meta->producer, "Keras %.*s", (int)strcspn(text + 1, "\""),
                 text + 1);
    else
        snprintf(meta->producer, sizeof meta->producer, "Keras");
    if (!scales_itself(&r->import)) return;
    meta->unknown = MIEN_UNKNOWN_CLASSES | MIEN_OWN_SCALE;
    meta->normalise = (mien_normalise){.scale = 1, .std = {1, 1, 1, 1}};
}

static mien_status build(keras_reader *r, mien_model *model) {
    mien_graph_io io = {0};
    keras_value input, outputs[KERAS_OUTPUTS_MAX], output;
    mien_meta ends = {0};
    int count, last = 0;
    MIEN_TRY(keras_bind(r));
    MIEN_TRY(keras_leftovers(r));
    MIEN_TRY(make_input(r, &io, &input));
    MIEN_TRY(keras_run(r, r->net, &input, 1, 0, outputs, &count));
    MIEN_TRY(choose_output(r, outputs, count, &output));
    MIEN_TRY(end_network(r, &output, &ends, &last));
    MIEN_TRY(mien_import_build(&r->import, last, io, model));
    MIEN_TRY(mien_meta_default(&model->graph, r->source, &model->meta));
    model->meta.head = ends.head;
    model->meta.output_rank = ends.output_rank;
    memcpy(model->meta.output_shape, ends.output_shape, sizeof ends.output_shape);
    describe(r, &model->meta);
    return MIEN_OK;
}

mien_status mien_keras_import(const char *source, const mien_model_options *options,
                              const mien_h5_container *container, const char *config,
                              size_t config_size, int version, mien_model *model) {
    keras_reader *r;
    mien_status status;
    MIEN_TRY(mien_new(&r, 1, sizeof *r));
    r->source = source;
    r->options = options;
    MIEN_GO(mien_new(&r->nodes, MIEN_NODES_MAX, sizeof *r->nodes));
    MIEN_GO(mien_import_start(&r->import, source));
    MIEN_GO(keras_file_open(r, container));
    MIEN_GO(find_architecture(r, config, config_size));
    if (!r->file.version) r->file.version = version;
    if (!r->file.version)
        r->file.version = version_in(mien_value_string(r->tree.root, "keras_version"));
    if (!r->file.version) r->file.version = guess_version(r->tree.root);
    MIEN_GO(keras_net_parse(r, r->tree.root, &r->net));
    status = build(r, model);
out:
    keras_net_release(r->net);
    keras_file_release(&r->file);
    mien_import_release(&r->import);
    mien_graph_release(&r->shadow);
    mien_tree_release(&r->tree);
    mien_free(r->nodes);
    mien_free(r);
    return status;
}
