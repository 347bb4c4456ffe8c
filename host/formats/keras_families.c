/* The networks of keras.applications: configs/architectures has one file for each family, made by
 * tests/golden/make_architectures.py. A network there is a list of layers [class, name, config,
 * inputs] and of uses ["@BLOCK", arguments…] of the family's blocks: layers whose strings "{2}" are
 * the second argument, and in which "{0}", also within a string, is the name of the block. */
#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/keras.h"

enum { FILE_MOST = 4 << 20 };

static const struct {
    const char *names, *file;
} families[] = {
    {"vgg16|vgg19", "vgg.json"},
    {"resnet50|resnet101|resnet152", "resnet.json"},
    {"resnet50v2|resnet101v2|resnet152v2", "resnet_v2.json"},
    {"densenet121|densenet169|densenet201", "densenet.json"},
    {"mobilenet|mobilenet_v2|mobilenet_v3_small|mobilenet_v3_large", "mobilenet.json"},
    {"efficientnetb0|efficientnetb1|efficientnetb2|efficientnetb3|efficientnetb4|efficientnetb5|"
     "efficientnetb6|efficientnetb7",
     "efficientnet.json"},
    {"efficientnetv2b0|efficientnetv2b1|efficientnetv2b2|efficientnetv2b3|efficientnetv2s|"
     "efficientnetv2m|efficientnetv2l",
     "efficientnet_v2.json"},
    {"inception_v3|inception_resnet_v2", "inception.json"},
    {"nasnet_mobile|nasnet_large", "nasnet.json"},
    {"xception", "xception.json"},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

const char *keras_family_file(const char *name) {
    for (size_t i = 0; i < FAMILIES; i++)
        if (keras_listed(families[i].names, name)) return families[i].file;
    return NULL;
}

void keras_family_names(mien_text *out) {
    const char *part;
    size_t length;
    for (size_t i = 0; i < FAMILIES; i++)
        for (const char *rest = families[i].names; mien_next_part(&rest, '|', &part, &length);)
            mien_text_printf(out, "%s%.*s", out->size ? ", " : "", (int)length, part);
}

/* ---- putting a network together ---- */

/* An argument of a use; 0 is the name of the block. NULL for another text than "{1}". */
static const mien_value *argument(const mien_value *use, const char *text) {
    int number, end = 0;
    if (!use || sscanf(text, "{%d}%n", &number, &end) != 1 || end == 0 || text[end] || number < 0)
        return NULL;
    const mien_value *v = use->first->next;
    while (v && number--)
        v = v->next;
    return v;
}

static void write_text(mien_json *json, const char *key, const char *text, const mien_value *use) {
    mien_text filled = {0};
    const mien_value *name = use ? argument(use, "{0}") : NULL;
    const char *at = name && name->kind == MIEN_VALUE_STRING ? strstr(text, "{0}") : NULL;
    if (at)
        mien_text_printf(&filled, "%.*s%s%s", (int)(at - text), text, name->text, at + 3);
    else
        mien_text_puts(&filled, text);
    mien_json_string(json, key, filled.data);
    if (filled.status != MIEN_OK) json->text->status = filled.status;
    mien_text_release(&filled);
}

static void write_value(mien_json *json, const char *key, const mien_value *v,
                        const mien_value *use) {
    const mien_value *given = v->kind == MIEN_VALUE_STRING ? argument(use, v->text) : NULL;
    if (given) {
        write_value(json, key, given, NULL);
        return;
    }
    switch (v->kind) {
    case MIEN_VALUE_NULL:
        mien_json_null(json, key);
        break;
    case MIEN_VALUE_BOOL:
        mien_json_bool(json, key, v->number != 0);
        break;
    case MIEN_VALUE_NUMBER:
        mien_json_exact(json, key, v->number);
        break;
    case MIEN_VALUE_STRING:
        write_text(json, key, v->text, use);
        break;
    case MIEN_VALUE_LIST:
    case MIEN_VALUE_MAP:
        mien_json_open(json, key, v->kind == MIEN_VALUE_MAP ? '{' : '[');
        for (const mien_value *item = v->first; item; item = item->next)
            write_value(json, v->kind == MIEN_VALUE_MAP ? item->key : NULL, item, use);
        mien_json_close(json, v->kind == MIEN_VALUE_MAP ? '}' : ']');
        break;
    }
}

/* A reference to the layer of this name: [name, 0, 0]. */
static void write_ref(mien_json *json, const mien_value *name, const mien_value *use) {
    mien_json_open(json, NULL, '[');
    write_value(json, NULL, name, use);
    mien_json_integer(json, NULL, 0);
    mien_json_integer(json, NULL, 0);
    mien_json_close(json, ']');
}

static bool is_layer(const mien_value *v) {
    const mien_value *const name =
        v->kind == MIEN_VALUE_LIST && v->count == 4 ? v->first->next : NULL;
    return name && name->next->kind == MIEN_VALUE_MAP && v->last->kind == MIEN_VALUE_LIST;
}

static void write_layer(mien_json *json, const mien_value *v, const mien_value *use) {
    const mien_value *const name = v->first->next;
    mien_json_open(json, NULL, '{');
    write_value(json, "class_name", v->first, use);
    write_value(json, "name", name, use);
    write_value(json, "config", name->next, use);
    mien_json_open(json, "inbound_nodes", '[');
    if (v->last->count) {
        mien_json_open(json, NULL, '[');
        for (const mien_value *input = v->last->first; input; input = input->next)
            write_ref(json, input, use);
        mien_json_close(json, ']');
    }
    mien_json_close(json, ']');
    mien_json_close(json, '}');
}

/* The layers of a network's entry: itself, or those of the block that it uses. */
static bool write_entry(mien_json *json, const mien_value *blocks, const mien_value *entry) {
    if (is_layer(entry)) {
        write_layer(json, entry, NULL);
        return true;
    }
    const mien_value *const first = entry->kind == MIEN_VALUE_LIST ? entry->first : NULL;
    const mien_value *block = first && first->kind == MIEN_VALUE_STRING && first->text[0] == '@'
                                  ? mien_value_get(blocks, first->text + 1)
                                  : NULL;
    if (!block || block->kind != MIEN_VALUE_LIST) return false;
    for (const mien_value *layer = block->first; layer; layer = layer->next) {
        if (!is_layer(layer)) return false;
        write_layer(json, layer, entry);
    }
    return true;
}

static bool write_network(const mien_value *root, const char *name, mien_text *out) {
    const mien_value *list = mien_value_get(mien_value_get(root, "networks"), name);
    const mien_value *blocks = mien_value_get(root, "blocks");
    mien_json json = {.text = out};
    if (!list || list->kind != MIEN_VALUE_LIST || !list->count || !is_layer(list->first) ||
        !is_layer(list->last))
        return false;
    mien_json_open(&json, NULL, '{');
    mien_json_string(&json, "class_name", "Functional");
    mien_json_string(&json, "keras_version", "2");
    mien_json_open(&json, "config", '{');
    mien_json_string(&json, "name", name);
    mien_json_open(&json, "input_layers", '[');
    write_ref(&json, list->first->first->next, NULL);
    mien_json_close(&json, ']');
    mien_json_open(&json, "output_layers", '[');
    write_ref(&json, list->last->first->next, NULL);
    mien_json_close(&json, ']');
    mien_json_open(&json, "layers", '[');
    bool good = true;
    for (const mien_value *v = list->first; v && good; v = v->next)
        good = write_entry(&json, blocks, v);
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_json_close(&json, '}');
    return good;
}

mien_status keras_family_write(const char *name, const char *path, mien_text *out) {
    char *text;
    size_t size;
    mien_tree family = {0};
    MIEN_TRY(mien_file_read(path, FILE_MOST, &text, &size));
    mien_status status = mien_json_parse(text, size, path, &family);
    if (status == MIEN_OK && !write_network(family.root, name, out))
        status = MIEN_FAIL(FORMAT, "%s: the network '%s' is missing or damaged", path, name);
    mien_tree_release(&family);
    mien_free(text);
    return status == MIEN_OK ? out->status : status;
}
