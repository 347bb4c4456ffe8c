#include "host/base/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"

enum { BLOCK = 16384 };
/* No configuration or model needs a larger tree: refuse it rather than exhaust memory. */
static const size_t tree_limit = (size_t)256 << 20;

struct mien_tree_block {
    struct mien_tree_block *next;
    size_t used, size;
    _Alignas(16) char data[];
};

mien_status mien_tree_start(mien_tree *tree, const char *source) {
    *tree = (mien_tree){0};
    return mien_tree_text(tree, source, strlen(source), &tree->source);
}

static mien_status pool_take(mien_tree *tree, size_t bytes, void **out) {
    bytes = (bytes + 15) & ~(size_t)15;
    if (tree->bytes + bytes > tree_limit)
        return MIEN_FAIL(FORMAT, "%s: the values take more than %zu bytes", tree->source,
                         tree_limit);
    struct mien_tree_block *block = tree->blocks;
    if (!block || block->size - block->used < bytes) {
        const size_t size = bytes > BLOCK ? bytes : BLOCK;
        MIEN_TRY(mien_new(&block, 1, sizeof *block + size));
        block->size = size;
        block->next = tree->blocks;
        tree->blocks = block;
    }
    *out = block->data + block->used;
    block->used += bytes;
    tree->bytes += bytes;
    return MIEN_OK;
}

mien_status mien_tree_value(mien_tree *tree, mien_value_kind kind, mien_value **out) {
    void *block;
    MIEN_TRY(pool_take(tree, sizeof(mien_value), &block));
    *out = block;
    **out = (mien_value){.kind = kind};
    return MIEN_OK;
}

mien_status mien_tree_text(mien_tree *tree, const char *text, size_t length, const char **out) {
    void *block;
    MIEN_TRY(pool_take(tree, length + 1, &block));
    memcpy(block, text, length);
    ((char *)block)[length] = 0;
    *out = block;
    return MIEN_OK;
}

mien_status mien_tree_append(mien_tree *tree, mien_value *parent, mien_value *child) {
    if (parent->kind == MIEN_VALUE_MAP && mien_value_get(parent, child->key))
        return MIEN_FAIL(FORMAT, "%s:%d: duplicate key '%s': remove one", tree->source, child->line,
                         child->key);
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
    return MIEN_OK;
}

void mien_tree_release(mien_tree *tree) {
    for (struct mien_tree_block *b = tree->blocks; b;) {
        struct mien_tree_block *next = b->next;
        mien_free(b);
        b = next;
    }
    *tree = (mien_tree){0};
}

const mien_value *mien_value_get(const mien_value *map, const char *key) {
    if (!map || map->kind != MIEN_VALUE_MAP) return NULL;
    for (const mien_value *v = map->first; v; v = v->next)
        if (strcmp(v->key, key) == 0) return v;
    return NULL;
}

const char *mien_value_string(const mien_value *map, const char *key) {
    const mien_value *v = mien_value_get(map, key);
    return v && v->kind == MIEN_VALUE_STRING ? v->text : NULL;
}

double mien_value_number(const mien_value *map, const char *key, double otherwise) {
    const mien_value *v = mien_value_get(map, key);
    return v && v->kind == MIEN_VALUE_NUMBER ? v->number : otherwise;
}

const char *mien_value_kind_name(const mien_value *value) {
    static const char *const names[] = {"nothing", "true/false", "a number",
                                        "text",    "a list",     "a map"};
    return names[value->kind];
}

void mien_value_resolve(mien_value *value) {
    const char *t = value->text;
    value->kind = MIEN_VALUE_STRING;
    if (!*t || !strcmp(t, "~") || !strcmp(t, "null")) {
        value->kind = MIEN_VALUE_NULL;
    } else if (!strcmp(t, "true") || !strcmp(t, "false")) {
        value->kind = MIEN_VALUE_BOOL;
        value->number = t[0] == 't';
    } else if (strspn(t, "+-.0123456789eE") == strlen(t) && strpbrk(t, "0123456789")) {
        char *end;
        const double number = strtod(t, &end);
        if (*end == 0 && isfinite(number)) {
            value->kind = MIEN_VALUE_NUMBER;
            value->number = number;
        }
    }
}
