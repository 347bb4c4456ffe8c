/* The weights of a file and the layers that they belong to: plain layers by order, layers of nested
 * models by name, as freezing changes the order of these. */
#include "host/formats/keras_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/log.h"
#include "host/base/memory.h"

/* ---- reading the file ---- */

void keras_file_release(keras_file *file) {
    for (size_t i = 0; i < file->group_count; i++)
        mien_free(file->groups[i].items);
    for (size_t i = 0; i < file->list_count; i++)
        mien_tree_release(&file->lists[i]);
    mien_free(file->groups);
    mien_free(file->weights);
    mien_free(file->lists);
    mien_safetensors_release(&file->container);
    *file = (keras_file){0};
}

static mien_status parse_list(keras_reader *r, const char *key, const mien_value **out) {
    keras_file *f = &r->file;
    const char *text = mien_safetensors_meta(&f->container, key);
    *out = NULL;
    if (!text) return MIEN_OK;
    MIEN_TRY(mien_grow(&f->lists, &f->list_capacity, f->list_count + 1, sizeof *f->lists));
    mien_tree *tree = &f->lists[f->list_count];
    *tree = (mien_tree){0};
    f->list_count++;
    MIEN_TRY(mien_json_parse(text, strlen(text), r->source, tree));
    if (tree->root && tree->root->kind == MIEN_VALUE_LIST) *out = tree->root;
    return MIEN_OK;
}

/* The strings of an attribute, which long lists split into NAME0, NAME1, …. */
typedef struct names {
    const char **items;
    size_t count, capacity;
} names;

static mien_status add_names(const mien_value *list, names *out) {
    for (const mien_value *v = list->first; v; v = v->next) {
        if (v->kind != MIEN_VALUE_STRING) continue;
        MIEN_TRY(mien_grow(&out->items, &out->capacity, out->count + 1, sizeof *out->items));
        out->items[out->count++] = v->text;
    }
    return MIEN_OK;
}

static mien_status read_names(keras_reader *r, const char *object, const char *name, names *out) {
    char key[MIEN_PATH];
    const mien_value *list;
    *out = (names){0};
    snprintf(key, sizeof key, "attr:%s@%s", object, name);
    MIEN_TRY(parse_list(r, key, &list));
    if (list) return add_names(list, out);
    for (int part = 0;; part++) {
        snprintf(key, sizeof key, "attr:%s@%s%d", object, name, part);
        MIEN_TRY(parse_list(r, key, &list));
        if (!list) return MIEN_OK;
        MIEN_TRY(add_names(list, out));
    }
}

static keras_weight *weight_at(const keras_file *f, const char *path) {
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->weights[i].tensor->name, path) == 0) return &f->weights[i];
    return NULL;
}

static bool is_state(const keras_weight *w) {
    return strstr(w->name, "seed_generator") || strstr(w->name, "rng_state") ||
           strstr(w->name, "StateVar") || strstr(w->name, "random_generator");
}

static mien_status read_group(keras_reader *r, const char *root, const char *layer,
                              keras_group *group) {
    char path[MIEN_PATH];
    names list;
    snprintf(path, sizeof path, "%s/%s", root, layer);
    mien_status status = read_names(r, path, "weight_names", &list);
    *group = (keras_group){.name = layer};
    if (status == MIEN_OK) status = mien_new(&group->items, list.count + 1, sizeof *group->items);
    for (size_t i = 0; i < list.count && status == MIEN_OK; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", root, layer, list.items[i]);
        keras_weight *w = weight_at(&r->file, path);
        if (!w) {
            status = MIEN_FAIL(FORMAT, "%s: layer '%s': the weight '%s' is missing", r->source,
                               layer, list.items[i]);
            break;
        }
        w->name = list.items[i];
        w->ignored = is_state(w);
        if (!w->ignored) group->items[group->count++] = w;
    }
    mien_free(list.items);
    return status;
}

/* Weights are below `root`; those of the optimizer are not the network's. */
static mien_status list_weights(keras_reader *r, const char *root) {
    keras_file *f = &r->file;
    const size_t length = strlen(root);
    MIEN_TRY(mien_new(&f->weights, f->container.count + 1, sizeof *f->weights));
    for (size_t i = 0; i < f->container.count; i++) {
        const mien_st_tensor *t = &f->container.tensors[i];
        if (strncmp(t->name, root, length) != 0 || t->name[length] != '/') continue;
        const char *inner = t->name + length + 1;
        if (!length && (strncmp(inner, "optimizer", 9) == 0 || strncmp(inner, "_metrics", 8) == 0 ||
                        strncmp(inner, "metrics", 7) == 0 || strncmp(inner, "trainer", 7) == 0))
            continue;
        keras_weight *w = &f->weights[f->count++];
        *w = (keras_weight){.name = inner, .tensor = t};
        w->ignored = is_state(w);
    }
    return MIEN_OK;
}

static bool is_text(const keras_file *f, const char *key, const char *begin) {
    const char *text = mien_safetensors_meta(&f->container, key);
    return text && text[0] == '"' && strncmp(text + 1, begin, strlen(begin)) == 0;
}

static void read_version(keras_reader *r, const char *root) {
    char key[MIEN_PATH];
    snprintf(key, sizeof key, "attr:%s@keras_version", *root ? root : "/");
    const char *text = mien_safetensors_meta(&r->file.container, key);
    if (!text) text = mien_safetensors_meta(&r->file.container, "attr:/@keras_version");
    if (text && text[0] == '"' && text[1] >= '0' && text[1] <= '9') r->file.version = text[1] - '0';
    snprintf(key, sizeof key, "attr:%s@backend", *root ? root : "/");
    if (!mien_safetensors_meta(&r->file.container, key))
        snprintf(key, sizeof key, "attr:/@backend");
    r->file.has_backend = mien_safetensors_meta(&r->file.container, key) != NULL;
    r->file.theano = is_text(&r->file, key, "theano");
}

mien_status keras_file_open(keras_reader *r, const mien_h5_container *container) {
    keras_file *f = &r->file;
    names layers;
    MIEN_TRY(mien_h5_parse(container, r->source, &f->container));
    const bool inner = mien_safetensors_meta(&f->container, "group:/model_weights") != NULL;
    const char *root = inner ? "/model_weights" : "";
    read_version(r, root);
    MIEN_TRY(list_weights(r, root));
    mien_status status = read_names(r, inner ? root : "/", "layer_names", &layers);
    if (status == MIEN_OK && !layers.count) {
        f->by_class = true;
        goto out;
    }
    if (status == MIEN_OK) status = mien_new(&f->groups, layers.count + 1, sizeof *f->groups);
    for (size_t i = 0; i < layers.count && status == MIEN_OK; i++)
        status = read_group(r, root, layers.items[i], &f->groups[f->group_count++]);
out:
    mien_free(layers.items);
    return status;
}

/* ---- binding ---- */

static mien_status missing(const keras_reader *r, const keras_layer *l) {
    return MIEN_FAIL(FORMAT, "%s: the weights of layer '%s' (%s) are missing", r->source, l->name,
                     l->class_name);
}

static int roles_of(const keras_layer *l) {
    const char *roles[KERAS_PARAMS_MAX];
    return l->net ? keras_net_roles(l->net) : l->kind->roles ? l->kind->roles(l, roles) : 0;
}

static mien_status bind_group(const keras_reader *r, keras_layer *l, keras_group *g) {
    g->taken = true;
    return l->net ? keras_bind_nested(r, l, g->items, g->count)
                  : keras_bind_layer(r, l, g->items, g->count);
}

static keras_group *group_named(const keras_file *f, const char *name) {
    for (size_t i = 0; i < f->group_count; i++)
        if (!f->groups[i].taken && f->groups[i].count && strcmp(f->groups[i].name, name) == 0)
            return &f->groups[i];
    return NULL;
}

/* By the layers' names if the file has them all, else by order, as Keras does. */
static mien_status bind_groups(keras_reader *r) {
    keras_file *f = &r->file;
    bool named = true;
    const keras_layer *first_missing = NULL;
    size_t need = 0, have = 0, at = 0;
    for (int i = 0; i < r->net->count; i++) {
        const keras_layer *l = &r->net->layers[i];
        if (!roles_of(l)) continue;
        need++;
        if (group_named(f, l->name)) continue;
        if (named) first_missing = l;
        named = false;
    }
    for (size_t i = 0; i < f->group_count; i++)
        have += f->groups[i].count > 0;
    if (!named && have < need) return missing(r, first_missing);
    for (int i = 0; i < r->net->count; i++) {
        keras_layer *l = &r->net->layers[i];
        if (!roles_of(l)) continue;
        while (!named && at < f->group_count && !f->groups[at].count)
            at++;
        if (!named && at == f->group_count) return missing(r, l);
        MIEN_TRY(bind_group(r, l, named ? group_named(f, l->name) : &f->groups[at++]));
    }
    return MIEN_OK;
}

/* Kernels of Keras 1 and Theano are stored as (out, in, h, w). */
static void find_kernel_order(keras_reader *r, const keras_net *net) {
    for (int i = 0; i < net->count; i++) {
        const keras_layer *l = &net->layers[i];
        if (l->net) find_kernel_order(r, l->net);
        if (l->net || !l->weight_count || l->weights[0]->tensor->rank != 4) continue;
        const keras_call call = {.r = r, .layer = l};
        int size[2];
        const long long *d = l->weights[0]->tensor->shape;
        if (keras_get(l, "nb_row")) {
            size[0] = keras_int(l, "nb_row", 0);
            size[1] = keras_int(l, "nb_col", 0);
        } else if (!keras_get(l, "kernel_size") ||
                   keras_pair(&call, "kernel_size", NULL, size) != MIEN_OK) {
            continue;
        }
        if ((d[0] != size[0] || d[1] != size[1]) && d[2] == size[0] && d[3] == size[1])
            r->th_kernels = true;
    }
}

mien_status keras_bind(keras_reader *r) {
    keras_file *f = &r->file;
    MIEN_TRY(f->by_class ? keras_bind_classes(r, r->net, "") : bind_groups(r));
    find_kernel_order(r, r->net);
    r->rotated = f->has_backend ? f->theano : r->th_kernels;
    if (r->th_kernels && !f->has_backend)
        MIEN_INFO("%s: its kernels are in Theano's order, so they are taken as Theano's, which are "
                  "rotated by 180 degrees",
                  r->source);
    return MIEN_OK;
}

mien_status keras_leftovers(const keras_reader *r) {
    mien_import_weight *list;
    MIEN_TRY(mien_new(&list, r->file.count + 1, sizeof *list));
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < r->file.count && status == MIEN_OK; i++) {
        const keras_weight *w = &r->file.weights[i];
        const char *name = w->tensor->name;
        if (w->uses > 1)
            status = MIEN_FAIL(FORMAT, "%s: the weight '%s' is named by %d layers", r->source, name,
                               w->uses);
        list[i] = (mien_import_weight){name, (int)strlen(name), w->uses, w->ignored};
    }
    if (status == MIEN_OK) status = mien_import_leftovers(r->source, list, r->file.count);
    mien_free(list);
    return status;
}

/* ---- values ---- */

static bool same_shape(const mien_st_tensor *t, const mien_param *p) {
    const long long dims[] = {p->shape.n, p->shape.h, p->shape.w, p->shape.c};
    int i = 0, k = 0;
    if (p->linear && t->rank == p->axes + 1) /* a kernel, whose sides all have a meaning */
        return memcmp(t->shape, dims + 4 - t->rank, sizeof dims[0] * (size_t)t->rank) == 0;
    for (;;) { /* sides of 1 may be left out */
        while (i < t->rank && t->shape[i] == 1)
            i++;
        while (k < 4 && dims[k] == 1)
            k++;
        if (i == t->rank || k == 4) return i == t->rank && k == 4;
        if (t->shape[i++] != dims[k++]) return false;
    }
}

/* From (out, in, h, w) to (h, w, in, out). */
static void reorder_kernel(const float *from, const mien_shape *s, float *to) {
    const size_t area = (size_t)(s->h * s->n);
    for (int o = 0; o < s->c; o++)
        for (int i = 0; i < s->w; i++)
            for (size_t k = 0; k < area; k++)
                to[(k * (size_t)s->w + (size_t)i) * (size_t)s->c + (size_t)o] = *from++;
}

static void rotate_kernel(float *kernel, const mien_shape *s) {
    const size_t run = (size_t)s->w * (size_t)s->c, area = (size_t)(s->n * s->h);
    for (size_t a = 0; a < area / 2; a++)
        for (size_t i = 0; i < run; i++) {
            float *const x = kernel + a * run + i, *const y = kernel + (area - 1 - a) * run + i;
            const float kept = *x;
            *x = *y;
            *y = kept;
        }
}

/* Rows of a dense kernel from the order c, h, w to h, w, c. */
static void reorder_rows(const float *from, const int *rows, size_t units, float *to) {
    for (int c = 0; c < rows[2]; c++)
        for (int y = 0; y < rows[0]; y++)
            for (int x = 0; x < rows[1]; x++, from += units)
                memcpy(to + ((size_t)(y * rows[1] + x) * (size_t)rows[2] + (size_t)c) * units, from,
                       units * sizeof *to);
}

static mien_status wrong_shape(const keras_call *call, const mien_param *p, const keras_weight *w) {
    const mien_st_tensor *t = w->tensor;
    char shape[128] = "";
    size_t used = 0;
    for (int i = 0; i < t->rank && used < sizeof shape; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%lld", i ? "x" : "",
                                 t->shape[i]);
    return MIEN_FAIL(
        FORMAT, "%s: layer '%s' (%s): its %s is %s in the file, but %dx%dx%dx%d in the network",
        call->r->source, call->layer->name, call->layer->class_name, p->name, shape, p->shape.n,
        p->shape.h, p->shape.w, p->shape.c);
}

static mien_status read_values(const keras_call *call, const mien_param *p, const keras_weight *w,
                               const keras_value *in, float *out) {
    const keras_reader *r = call->r;
    const mien_st_tensor *t = w->tensor;
    const mien_shape *s = &p->shape;
    const size_t count = mien_shape_count(*s);
    float *raw = NULL;
    const bool kernel = p->axes == 3 && t->rank == 4;
    const bool th = kernel && r->th_kernels && t->shape[0] == s->c && t->shape[1] == s->w &&
                    t->shape[2] == s->n && t->shape[3] == s->h;
    const bool rows = p->axes == 1 && t->rank == 2 && in->rows[0] && r->th_kernels;
    if (t->count == 1 && count > 1 && t->rank <= 1) { /* Normalization with one mean for all */
        MIEN_TRY(mien_st_floats(t, out, 1));
        for (size_t i = 1; i < count; i++)
            out[i] = out[0];
        return MIEN_OK;
    }
    if (!th && !same_shape(t, p)) return wrong_shape(call, p, w);
    if (!th && !rows) {
        MIEN_TRY(mien_st_floats(t, out, count));
    } else {
        MIEN_TRY(mien_new(&raw, count + 1, sizeof *raw));
        const mien_status status = mien_st_floats(t, raw, count);
        if (status == MIEN_OK && th) reorder_kernel(raw, s, out);
        if (status == MIEN_OK && rows) reorder_rows(raw, in->rows, (size_t)s->c, out);
        mien_free(raw);
        MIEN_TRY(status);
    }
    if (kernel && r->rotated) rotate_kernel(out, s);
    return MIEN_OK;
}

mien_status keras_params(keras_call *call, int layer, const keras_value *in) {
    keras_reader *r = call->r;
    const int node = r->nodes[layer];
    int at = 0;
    for (int n = node; n < mien_layer_end(&r->shadow, node); n++)
        for (int k = 0; k < r->shadow.nodes[n].param_count; k++, at++) {
            const mien_param *p = &r->shadow.nodes[n].params[k];
            float *data = NULL;
            if (at >= call->layer->weight_count)
                return MIEN_FAIL(FORMAT, "%s: layer '%s' (%s): its %s is missing in the file",
                                 r->source, call->layer->name, call->layer->class_name, p->name);
            const keras_weight *w = call->layer->weights[at];
            /* a claim of the architecture is only believed if the file has as many values */
            if (w->tensor->count != mien_shape_count(p->shape) && w->tensor->count != 1)
                return wrong_shape(call, p, w);
            MIEN_TRY(mien_new(&data, mien_shape_count(p->shape) + 1, sizeof *data));
            const mien_status status = read_values(call, p, w, in, data);
            if (status != MIEN_OK) {
                mien_free(data);
                return status;
            }
            mien_import_param(&r->import, layer, p->name, data, mien_shape_count(p->shape));
        }
    if (at == call->layer->weight_count) return MIEN_OK;
    return MIEN_FAIL(
        FORMAT, "%s: layer '%s' (%s) has %d weights in the file, but %d in the network", r->source,
        call->layer->name, call->layer->class_name, call->layer->weight_count, at);
}
