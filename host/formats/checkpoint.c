/* Metadata: `format`, `sha256`, `mien` and `model_config` (as in int8 files), and the state of the
 * training. Tensors: "array/layer/name" in F32, in the order of the arrays and of the graph. The
 * checksum is that of the whole file with its own 64 digits as zeros. */
#include "host/formats/checkpoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/sha256.h"
#include "host/base/threads.h"
#include "host/formats/format.h"

static const char format_prefix[] = "mien-checkpoint-", format_name[] = "mien-checkpoint-1";
static const char *const array_names[MIEN_ARRAYS] = {"weights", "average", "moment1", "moment2"};

/* How the checksum stands in the header: no quoted text of the header can contain these quotes. */
static const char digest_key[] = "\"sha256\": \"";
static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
enum { DIGITS = sizeof zeros - 1 };

/* The digits of the checksum within the header, or NULL. */
static const char *digest_in(const char *bytes, size_t size) {
    size_t header = 0;
    if (size < 8) return NULL;
    for (int i = 7; i >= 0; i--)
        header = header << 8 | (unsigned char)bytes[i];
    if (header > size - 8) return NULL;
    const char *at = memmem(bytes + 8, header, digest_key, sizeof digest_key - 1);
    if (!at) return NULL;
    at += sizeof digest_key - 1;
    return at + DIGITS <= bytes + 8 + header ? at : NULL;
}

static void digest_of(const char *bytes, size_t size, const char *digits, char out[65]) {
    mien_sha256 hash;
    const size_t before = (size_t)(digits - bytes);
    mien_sha256_start(&hash);
    mien_sha256_add(&hash, bytes, before);
    mien_sha256_add(&hash, zeros, DIGITS);
    mien_sha256_add(&hash, digits + DIGITS, size - before - DIGITS);
    mien_sha256_hex(&hash, out);
}

/* ---- writing ---- */

typedef struct entries {
    mien_st_entry *items;
    mien_text *names;
    size_t count;
} entries;

static void add_entry(entries *e, const mien_node *node, int k, mien_array array,
                      const float *data) {
    const mien_shape s = node->params[k].shape;
    const long long dims[] = {s.n, s.h, s.w, s.c};
    mien_text *name = &e->names[e->count];
    mien_text_printf(name, "%s/%s/%s", array_names[array], node->name, node->params[k].name);
    mien_st_entry *to = &e->items[e->count++];
    *to = (mien_st_entry){.name = name->data, .rank = 4, .data = data, .type = MIEN_ST_F32};
    memcpy(to->shape, dims, sizeof dims);
}

static void add_entries(entries *e, const mien_checkpoint *c) {
    for (mien_array array = 0; array < MIEN_ARRAYS; array++)
        for (int i = 0; c->arrays[array].items && i < c->graph->count; i++)
            for (int k = 0; k < c->graph->nodes[i].param_count; k++)
                if (mien_array_holds(array, &c->graph->nodes[i], k))
                    add_entry(e, &c->graph->nodes[i], k, array,
                              mien_weights_get(&c->arrays[array], i, k));
}

static mien_status compose(const mien_checkpoint *c, const entries *e, mien_st_meta *metadata,
                           mien_text *out) {
    mien_text config = {0}, meta = {0};
    mien_status status;
    size_t count = 0;
    mien_keras_write_config(c->graph, &config);
    mien_meta_write(c->meta, &meta);
    MIEN_GO(config.status != MIEN_OK ? config.status : meta.status);
    metadata[count++] = (mien_st_meta){"format", format_name};
    metadata[count++] = (mien_st_meta){"sha256", zeros};
    metadata[count++] = (mien_st_meta){"mien", meta.data};
    metadata[count++] = (mien_st_meta){"model_config", config.data};
    for (size_t i = 0; i < c->state_count; i++)
        metadata[count++] = c->state[i];
    MIEN_GO(mien_safetensors_compose(e->items, e->count, metadata, count, out));
out:
    mien_text_release(&config);
    mien_text_release(&meta);
    return status;
}

/* All but the checksum. */
static mien_status compose_all(const mien_checkpoint *c, mien_text *out) {
    const size_t capacity = (size_t)c->graph->count * MIEN_PARAMS_MAX * MIEN_ARRAYS;
    entries e = {0};
    mien_st_meta *metadata = NULL;
    mien_status status;
    MIEN_GO(mien_new(&e.items, capacity, sizeof *e.items));
    MIEN_GO(mien_new(&e.names, capacity, sizeof *e.names));
    MIEN_GO(mien_new(&metadata, c->state_count + 4, sizeof *metadata));
    add_entries(&e, c);
    for (size_t i = 0; i < e.count; i++)
        MIEN_GO(e.names[i].status);
    MIEN_GO(compose(c, &e, metadata, out));
out:
    for (size_t i = 0; e.names && i < capacity; i++)
        mien_text_release(&e.names[i]);
    mien_free(e.names);
    mien_free(e.items);
    mien_free(metadata);
    return status;
}

typedef struct hashing {
    const mien_text *file;
    char digest[65];
    pthread_t thread;
    bool runs;
} hashing;

static void hash_file(hashing *h) {
    mien_sha256 hash;
    mien_sha256_start(&hash);
    mien_sha256_add(&hash, h->file->data, h->file->size);
    mien_sha256_hex(&hash, h->digest);
}

static void *hash_aside(void *context) {
    mien_threads_leave_team();
    hash_file(context);
    return NULL;
}

/* Hashes in a thread of its own, which takes no signals; where there is no thread, at the end. */
static void begin_hashing(hashing *h) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->runs = pthread_create(&h->thread, NULL, hash_aside, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void end_hashing(hashing *h) {
    if (h->runs)
        pthread_join(h->thread, NULL);
    else
        hash_file(h);
}

static mien_status put_all(const mien_text *file, const char *path, int fd) {
    enum { PART = 4 << 20 };
    for (size_t done = 0, part; done < file->size; done += part) {
        part = file->size - done < PART ? file->size - done : PART;
        MIEN_TRY(mien_file_put(fd, path, done, file->data + done, part));
    }
    return MIEN_OK;
}

/* No file has a value that is not finite. */
static mien_status check_arrays(const mien_checkpoint *c) {
    for (mien_array array = 0; array < MIEN_ARRAYS; array++)
        if (c->arrays[array].items) MIEN_TRY(mien_weights_check(c->graph, &c->arrays[array]));
    return MIEN_OK;
}

/* The file is hashed, and its values are checked, while the disk takes it; the checksum, in its
 * header, comes last. */
static mien_status write_parts(const mien_checkpoint *c, mien_text *file, const char *path,
                               int fd) {
    hashing h = {.file = file};
    const char *digits = digest_in(file->data, file->size);
    if (!digits) return MIEN_FAIL(INVALID, "a checkpoint without a place for its checksum");
    const size_t at = (size_t)(digits - file->data);
    begin_hashing(&h);
    mien_status status = put_all(file, path, fd);
    if (status == MIEN_OK) status = check_arrays(c);
    end_hashing(&h);
    MIEN_TRY(status);
    memcpy(file->data + at, h.digest, DIGITS);
    return mien_file_put(fd, path, at, h.digest, DIGITS);
}

mien_status mien_checkpoint_write(const mien_checkpoint *c, const char *path, const char *name,
                                  mien_text *out) {
    char temporary[MIEN_PATH];
    int fd;
    out->size = 0;
    out->status = MIEN_OK;
    MIEN_TRY(compose_all(c, out));
    MIEN_TRY(mien_file_begin(path, temporary, &fd));
    const mien_status status = write_parts(c, out, path, fd);
    if (status != MIEN_OK) {
        mien_file_drop(temporary, fd);
        return status;
    }
    bool linked;
    MIEN_TRY(mien_file_end_as(path, name, temporary, fd, &linked));
    return linked ? MIEN_OK : mien_file_write(name, out->data, out->size);
}

/* ---- reading ---- */

mien_status mien_checkpoint_parse(const char *bytes, size_t size, const char *source,
                                  mien_safetensors *out) {
    char digest[65];
    *out = (mien_safetensors){0};
    const char *digits = digest_in(bytes, size);
    if (!digits) return MIEN_FAIL(FORMAT, "%s: it is not a checkpoint, or is cut short", source);
    digest_of(bytes, size, digits, digest);
    if (memcmp(digest, digits, DIGITS) != 0)
        return MIEN_FAIL(FORMAT, "%s: the checkpoint is damaged: its SHA-256 does not match",
                         source);
    MIEN_TRY(mien_safetensors_parse(bytes, size, source, out));
    const char *format = mien_safetensors_meta(out, "format");
    if (format && strcmp(format, format_name) == 0) return MIEN_OK;
    return MIEN_FAIL(UNSUPPORTED, "%s: its format is '%.40s', and this program reads %s", source,
                     format ? format : "", format_name);
}

mien_status mien_checkpoint_array(const mien_safetensors *file, const char *source,
                                  const mien_graph *graph, mien_array array, mien_weights *out,
                                  bool *found) {
    *out = (mien_weights){0};
    *found = false;
    for (size_t i = 0; i < file->count && !*found; i++)
        *found =
            strncmp(file->tensors[i].name, array_names[array], strlen(array_names[array])) == 0;
    if (!*found) return MIEN_OK;
    MIEN_TRY(mien_weights_zeros(graph, out));
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].param_count; k++) {
            const mien_node *node = &graph->nodes[i];
            const mien_shape s = node->params[k].shape;
            const long long dims[] = {s.n, s.h, s.w, s.c};
            char name[2 * MIEN_NAME + 16];
            if (!mien_array_holds(array, node, k)) continue;
            snprintf(name, sizeof name, "%s/%s/%s", array_names[array], node->name,
                     node->params[k].name);
            const mien_st_tensor *t = mien_safetensors_find(file, name);
            if (!t || t->type != MIEN_ST_F32 || t->rank != 4 ||
                memcmp(t->shape, dims, sizeof dims) != 0)
                return MIEN_FAIL(FORMAT, "%s: the tensor %s %s", source, name,
                                 t ? "does not have the layer's shape" : "is missing");
            float *to = mien_weights_get(out, i, k);
            MIEN_TRY(mien_st_floats(t, to, t->count));
            if (!mien_all_finite(to, t->count))
                return MIEN_FAIL(FORMAT, "%s: the tensor %s has a value that is not finite", source,
                                 name);
        }
    return MIEN_OK;
}

static mien_status parse_text(const mien_safetensors *file, const char *source, const char *key,
                              mien_tree *tree) {
    const char *text = mien_safetensors_meta(file, key);
    if (!text) return MIEN_FAIL(FORMAT, "%s: the metadata '%s' are missing", source, key);
    return mien_json_parse(text, strlen(text), source, tree);
}

/* The averages hold no states: those of the weights complete them. */
static mien_status take_average(const mien_safetensors *file, const char *source,
                                mien_model *model) {
    mien_weights average;
    bool found;
    mien_status status =
        mien_checkpoint_array(file, source, &model->graph, MIEN_ARRAY_AVERAGE, &average, &found);
    for (int i = 0; status == MIEN_OK && found && i < model->graph.count; i++)
        for (int k = 0; k < model->graph.nodes[i].param_count; k++)
            if (mien_array_holds(MIEN_ARRAY_AVERAGE, &model->graph.nodes[i], k))
                memcpy(mien_weights_get(&model->weights, i, k), mien_weights_get(&average, i, k),
                       mien_shape_count(model->graph.nodes[i].params[k].shape) * sizeof(float));
    mien_weights_release(&average);
    return status;
}

mien_status mien_checkpoint_model(const mien_safetensors *file, const char *source,
                                  mien_model *model) {
    mien_tree config = {0}, meta = {0};
    mien_status status;
    bool found;
    MIEN_GO(parse_text(file, source, "mien", &meta));
    MIEN_GO(mien_meta_read(meta.root, source, &model->meta));
    MIEN_GO(parse_text(file, source, "model_config", &config));
    MIEN_GO(mien_keras_read_config(config.root, source, &model->graph));
    const mien_shape in = model->graph.nodes[0].out;
    const mien_image_spec s = model->meta.input;
    if (model->graph.classes != model->meta.classes || in.h != s.height || in.w != s.width ||
        in.c != s.channels)
        MIEN_GO(MIEN_FAIL(FORMAT, "%s: the network and the metadata 'mien' do not match", source));
    MIEN_GO(mien_checkpoint_array(file, source, &model->graph, MIEN_ARRAY_WEIGHTS, &model->weights,
                                  &found));
    MIEN_GO(found ? MIEN_OK : MIEN_FAIL(FORMAT, "%s: the weights are missing", source));
    MIEN_GO(take_average(file, source, model));
out:
    mien_tree_release(&config);
    mien_tree_release(&meta);
    return status;
}

/* ---- as a model file ---- */

static mien_status read_file(mien_model_source *from, mien_model *model) {
    mien_safetensors file;
    mien_status status = mien_checkpoint_parse(from->bytes, from->size, from->name, &file);
    if (status == MIEN_OK) status = mien_checkpoint_model(&file, from->name, model);
    if (status == MIEN_OK)
        MIEN_INFO("%s is a checkpoint of a training, after step %lld", from->name,
                  model->meta.step);
    mien_safetensors_release(&file);
    return status;
}

static bool is_checkpoint(const char *bytes, size_t size) {
    mien_safetensors file;
    bool is = false;
    if (mien_safetensors_parse(bytes, size, "", &file) == MIEN_OK) {
        const char *format = mien_safetensors_meta(&file, "format");
        is = format && strncmp(format, format_prefix, sizeof format_prefix - 1) == 0;
    }
    mien_safetensors_release(&file);
    return is;
}

const mien_model_format mien_format_checkpoint = {
    .name = "mien-checkpoint",
    .content = "a checkpoint",
    .suffixes = {".safetensors"},
    .flags = MIEN_FORMAT_TRAINABLE,
    .sniff = is_checkpoint,
    .read = read_file,
};
