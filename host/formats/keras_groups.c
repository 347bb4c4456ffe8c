/* Which of the weights of a layer's group is which. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/formats/keras_weights.h"

/* ---- roles ---- */

/* Keras 1's names, then longer names before those that they end in. */
static const struct {
    const char *name, *role;
} role_names[] = {{"depthwise_kernel", "depthwise_kernel"},
                  {"pointwise_kernel", "pointwise_kernel"},
                  {"kernel", "kernel"},
                  {"W", "kernel"},
                  {"bias", "bias"},
                  {"b", "bias"},
                  {"gamma", "gamma"},
                  {"beta", "beta"},
                  {"moving_mean", "moving_mean"},
                  {"running_mean", "moving_mean"},
                  {"moving_variance", "moving_variance"},
                  {"moving_var", "moving_variance"},
                  {"running_var", "moving_variance"},
                  {"running_std", "moving_variance"},
                  {"alphas", "alpha"},
                  {"alpha", "alpha"},
                  {"mean", "mean"},
                  {"variance", "variance"},
                  {"count", "count"}};

/* The last part of "conv1_1/kernel_1:0" without ":0" and "_1". */
static void last_part(const char *name, char *out, size_t size) {
    const char *at = strrchr(name, '/');
    snprintf(out, size, "%s", at ? at + 1 : name);
    out[strcspn(out, ":")] = 0;
    size_t end = strlen(out);
    while (end && isdigit((unsigned char)out[end - 1]))
        end--;
    if (end && out[end] && out[end - 1] == '_') out[end - 1] = 0;
}

static const char *role_of(const char *name) {
    char part[256];
    last_part(name, part, sizeof part);
    const size_t length = strlen(part);
    for (size_t i = 0; i < sizeof role_names / sizeof role_names[0]; i++) {
        const size_t own = strlen(role_names[i].name);
        if (length < own || strcmp(part + length - own, role_names[i].name) != 0) continue;
        if (length == own || part[length - own - 1] == '_') return role_names[i].role;
    }
    return NULL;
}

/* The kernel of a depthwise convolution has either name. */
static bool same_role(const char *want, const char *found) {
    return found && (strcmp(want, found) == 0 ||
                     (strcmp(want, "depthwise_kernel") == 0 && strcmp(found, "kernel") == 0));
}

static void note_std(keras_reader *r, const char *name) {
    if (r->said_std || !strstr(name, "running_std")) return;
    r->said_std = true;
    MIEN_INFO("%s: its running_std is taken as a variance, as Keras from 1.0 on wrote it",
              r->source);
}

mien_status keras_bind_layer(const keras_reader *r, keras_layer *l, keras_weight **items,
                             size_t count) {
    const char *roles[KERAS_PARAMS_MAX];
    const int want = l->kind->roles ? l->kind->roles(l, roles) : 0;
    if (count != (size_t)want)
        return MIEN_FAIL(FORMAT,
                         "%s: layer '%s' (%s) has %zu weights in the file, but %d in the network",
                         r->source, l->name, l->class_name, count, want);
    int found = 0;
    for (int i = 0; i < want; i++) {
        l->weights[i] = NULL;
        for (size_t k = 0; k < count; k++) {
            if (!same_role(roles[i], role_of(items[k]->name))) continue;
            found += l->weights[i] == NULL;
            if (l->weights[i]) found = -KERAS_PARAMS_MAX; /* two of one role */
            l->weights[i] = items[k];
        }
    }
    for (int i = 0; i < want; i++) {
        if (found != want) l->weights[i] = items[i];
        l->weights[i]->uses++;
        note_std((keras_reader *)r, l->weights[i]->name);
    }
    l->weight_count = want;
    return MIEN_OK;
}

/* ---- nested models ---- */

typedef struct leaf {
    keras_layer *layer;
    const char *above[KERAS_DEPTH_MAX]; /* the models that it is in */
    int depth;
    bool frozen; /* by a model that it is in */
} leaf;

typedef struct leaves {
    leaf *items;
    size_t count, capacity;
} leaves;

static mien_status add_leaves(keras_net *net, const leaf *above, leaves *out) {
    for (int i = 0; i < net->count; i++) {
        keras_layer *l = &net->layers[i];
        leaf here = *above;
        here.layer = l;
        if (l->net) {
            if (here.depth < KERAS_DEPTH_MAX) here.above[here.depth++] = l->name;
            here.frozen |= !l->trainable;
            MIEN_TRY(add_leaves(l->net, &here, out));
            continue;
        }
        if (!l->kind->roles) continue;
        MIEN_TRY(mien_grow(&out->items, &out->capacity, out->count + 1, sizeof *out->items));
        out->items[out->count++] = here;
    }
    return MIEN_OK;
}

/* Is `name` a part of the path before its last, or in Keras 1 the begin of the last? */
static bool in_path(const char *path, const char *name, bool numbered) {
    const size_t length = strlen(name);
    for (const char *part = path; part;) {
        const char *end = strchr(part, '/');
        const size_t size = end ? (size_t)(end - part) : strlen(part);
        if (end && size == length && strncmp(part, name, length) == 0) return true;
        if (!end && size > length && strncmp(part, name, length) == 0 && part[length] == '_')
            return strchr(path, '/') == NULL;
        if (end && numbered && size > length + 1 && strncmp(part, name, length) == 0 &&
            part[length] == '_' && strspn(part + length + 1, "0123456789") == size - length - 1)
            return true;
        part = end ? end + 1 : NULL;
    }
    return false;
}

/* The leaf that a weight's path names, or NULL. */
static leaf *owner_of(const leaves *list, const char *path) {
    leaf *best = NULL;
    int best_score = 0;
    for (int numbered = 0; numbered < 2 && !best; numbered++)
        for (size_t i = 0; i < list->count; i++) {
            leaf *l = &list->items[i];
            if (!in_path(path, l->layer->name, numbered)) continue;
            int score = 1000 + (int)strlen(l->layer->name); /* conv_1 before conv */
            for (int k = 0; k < l->depth; k++)
                score += in_path(path, l->above[k], false) ? 1000 : 0;
            if (score > best_score) {
                best = l;
                best_score = score;
            }
        }
    return best;
}

static bool bind_by_name(const leaves *list, keras_weight **items, size_t count) {
    size_t bound = 0;
    for (size_t i = 0; i < list->count; i++)
        memset(list->items[i].layer->weights, 0, sizeof list->items[i].layer->weights);
    for (size_t k = 0; k < count; k++) {
        leaf *l = owner_of(list, items[k]->name);
        const char *found = role_of(items[k]->name), *roles[KERAS_PARAMS_MAX];
        const int want = l ? l->layer->kind->roles(l->layer, roles) : 0;
        for (int i = 0; i < want; i++) {
            if (!same_role(roles[i], found)) continue;
            if (l->layer->weights[i]) return false;
            l->layer->weights[i] = items[k];
            bound++;
        }
    }
    return bound == count;
}

static bool is_trained(const leaf *l, const char *role) {
    return l->layer->trainable && !l->frozen && strncmp(role, "moving_", 7) != 0 &&
           strcmp(role, "mean") != 0 && strcmp(role, "variance") != 0 && strcmp(role, "count") != 0;
}

/* Could this be the weight, by its number of axes and last side? */
static bool fits(const keras_layer *l, const char *role, const keras_weight *w) {
    const bool conv = strstr(l->class_name, "onv") != NULL;
    const mien_st_tensor *t = w->tensor;
    if (strcmp(role, "alpha") == 0) return true;
    if (!strstr(role, "kernel")) return t->rank <= 1;
    if (t->rank != (conv ? 4 : 2)) return false;
    const double last = keras_number(l, conv ? "filters|nb_filter" : "units|output_dim", 0);
    return strcmp(role, "kernel") != 0 || last == 0 || (double)t->shape[t->rank - 1] == last ||
           (double)t->shape[0] == last;
}

enum { TRAINED_FIRST, BY_LAYER, STATES_LAST, ORDERS };

static bool bind_by_order(const leaves *list, keras_weight **items, size_t count, int order) {
    size_t at = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < list->count; i++) {
            leaf l = list->items[i];
            const char *roles[KERAS_PARAMS_MAX];
            const int want = l.layer->kind->roles(l.layer, roles);
            const bool own = l.layer->trainable;
            if (order == STATES_LAST) {
                l.frozen = false;
                l.layer->trainable = true;
            }
            for (int k = 0; k < want; k++) {
                const int turn = order == BY_LAYER ? 0 : is_trained(&l, roles[k]) ? 0 : 1;
                if (turn != pass) continue;
                if (at == count || !fits(l.layer, roles[k], items[at])) {
                    l.layer->trainable = own;
                    return false;
                }
                l.layer->weights[k] = items[at++];
            }
            l.layer->trainable = own;
        }
    return at == count;
}

mien_status keras_bind_nested(const keras_reader *r, keras_layer *layer, keras_weight **items,
                              size_t count) {
    leaves list = {0};
    const leaf top = {.above = {layer->name}, .depth = 1, .frozen = !layer->trainable};
    mien_status status = add_leaves(layer->net, &top, &list);
    const int want = keras_net_roles(layer->net);
    if (status == MIEN_OK && count != (size_t)want)
        status =
            MIEN_FAIL(FORMAT, "%s: model '%s' has %zu weights in the file, but %d in the network",
                      r->source, layer->name, count, want);
    bool bound = status == MIEN_OK && bind_by_name(&list, items, count);
    for (int order = 0; order < ORDERS && status == MIEN_OK && !bound; order++)
        bound = bind_by_order(&list, items, count, order);
    if (status == MIEN_OK && !bound)
        status = MIEN_FAIL(FORMAT, "%s: the weights of the model '%s' do not fit its layers",
                           r->source, layer->name);
    for (size_t i = 0; i < list.count && status == MIEN_OK; i++) {
        keras_layer *l = list.items[i].layer;
        const char *roles[KERAS_PARAMS_MAX];
        l->weight_count = l->kind->roles(l, roles);
        for (int k = 0; k < l->weight_count; k++)
            l->weights[k]->uses++;
    }
    mien_free(list.items);
    return status;
}

/* ---- by class ---- */

void keras_snake_case(const char *name, char *out, size_t size) {
    char first[128];
    size_t n = 0;
    for (size_t i = 0; name[i] && n + 3 < sizeof first; i++) {
        const bool word = isupper((unsigned char)name[i]) && islower((unsigned char)name[i + 1]);
        if (i && word) first[n++] = '_';
        first[n++] = name[i];
    }
    first[n] = 0;
    n = 0;
    for (size_t i = 0; first[i] && n + 3 < size; i++) {
        if (i && isupper((unsigned char)first[i]) && islower((unsigned char)first[i - 1]))
            out[n++] = '_';
        out[n++] = (char)tolower((unsigned char)first[i]);
    }
    out[n] = 0;
}

/* The number of "conv2d_7" for the class conv2d; 0 for conv2d itself, -1 for another. */
static long number_of(const char *name, size_t length, const char *snake) {
    const size_t own = strlen(snake);
    if (length < own || strncmp(name, snake, own) != 0) return -1;
    if (length == own) return 0;
    if (name[own] != '_' || length - own > 8) return -1;
    long number = 0;
    for (size_t i = own + 1; i < length; i++) {
        if (!isdigit((unsigned char)name[i])) return -1;
        number = 10 * number + name[i] - '0';
    }
    return length > own + 1 ? number : -1;
}

/* The number of the next group of this class that holds weights; -1: none. */
static long next_number(const keras_reader *r, const char *folder, const char *snake, long after) {
    const size_t length = strlen(folder);
    long best = -1;
    for (size_t i = 0; i < r->file.count; i++) {
        const keras_weight *w = &r->file.weights[i];
        if (w->ignored || strncmp(w->tensor->name, folder, length) != 0) continue;
        const char *name = w->tensor->name + length;
        const long number = number_of(name, strcspn(name, "/"), snake);
        if (number > after && (best < 0 || number < best)) best = number;
    }
    return best;
}

static mien_status bind_vars(const keras_reader *r, keras_layer *l, const char *folder) {
    keras_weight *items[KERAS_PARAMS_MAX + 1];
    size_t count = 0;
    char path[MIEN_PATH + 32];
    for (int i = 0; i <= KERAS_PARAMS_MAX; i++) {
        snprintf(path, sizeof path, "%s/vars/%d", folder, i);
        for (size_t k = 0; k < r->file.count; k++)
            if (strcmp(r->file.weights[k].tensor->name, path) == 0)
                items[count++] = &r->file.weights[k];
    }
    return keras_bind_layer(r, l, items, count);
}

static mien_status bind_class(keras_reader *r, keras_net *net, int index, const char *folder) {
    keras_layer *l = &net->layers[index];
    const char *roles[KERAS_PARAMS_MAX];
    char snake[128], path[MIEN_PATH];
    const int want = l->net           ? keras_net_roles(l->net)
                     : l->kind->roles ? l->kind->roles(l, roles)
                                      : 0;
    if (!want) return MIEN_OK;
    keras_snake_case(l->class_name, snake, sizeof snake);
    long number = -1;
    for (int i = 0; i <= index; i++) { /* the groups of the class in the order of its layers */
        const keras_layer *k = &net->layers[i];
        if (strcmp(k->class_name, l->class_name) != 0) continue;
        if (k->net ? keras_net_roles(k->net) : k->kind->roles ? k->kind->roles(k, roles) : 0) {
            number = next_number(r, folder, snake, number);
            if (number < 0) break;
        }
    }
    if (number < 0)
        return MIEN_FAIL(FORMAT, "%s: the weights of layer '%s' (%s) are missing", r->source,
                         l->name, l->class_name);
    char tail[32] = "";
    if (number) snprintf(tail, sizeof tail, "_%ld", number);
    if (snprintf(path, sizeof path, "%s%s%s", folder, snake, tail) >= MIEN_PATH)
        return MIEN_FAIL(FORMAT, "%s: models are nested too deeply", r->source);
    return l->net ? keras_bind_classes(r, l->net, path) : bind_vars(r, l, path);
}

mien_status keras_bind_classes(keras_reader *r, keras_net *net, const char *prefix) {
    static const char *const folders[] = {"layers", "_layer_checkpoint_dependencies"};
    char folder[MIEN_PATH];
    for (int f = 0; f < 2; f++) {
        bool any = false;
        if (snprintf(folder, sizeof folder, "%s/%s/", prefix, folders[f]) >= MIEN_PATH)
            return MIEN_FAIL(FORMAT, "%s: models are nested too deeply", r->source);
        for (size_t i = 0; i < r->file.count && !any; i++)
            any = strncmp(r->file.weights[i].tensor->name, folder, strlen(folder)) == 0;
        if (any) break;
    }
    for (int i = 0; i < net->count; i++)
        MIEN_TRY(bind_class(r, net, i, folder));
    return MIEN_OK;
}
