#include "host/base/yaml.h"

#include <string.h>
#include <yaml.h>

#include "host/base/file.h"
#include "host/base/memory.h"

enum { DEPTH_MAX = 64 };

typedef struct reader {
    yaml_parser_t parser;
    mien_tree *tree;
    mien_value *open[DEPTH_MAX]; /* the lists and maps that are open at the current position */
    const char *key[DEPTH_MAX];  /* the last key read in each open map */
    yaml_mark_t key_mark[DEPTH_MAX];
    int depth;
} reader;

static mien_status fail_at(const reader *r, const yaml_mark_t *mark, const char *what) {
    return MIEN_FAIL(FORMAT, "%s:%zu: %s", r->tree->source, mark->line + 1, what);
}

static mien_status insert(reader *r, mien_value *value, const yaml_mark_t *mark) {
    mien_value *parent = r->depth ? r->open[r->depth - 1] : NULL;
    const bool entry = parent && parent->kind == MIEN_VALUE_MAP;
    const yaml_mark_t *start = entry && r->key[r->depth - 1] ? &r->key_mark[r->depth - 1] : mark;
    value->line = (int)start->line + 1;
    value->column = (int)start->column + 1;
    if (!parent) {
        r->tree->root = value;
        return MIEN_OK;
    }
    if (entry) {
        value->key = r->key[r->depth - 1];
        r->key[r->depth - 1] = NULL;
        if (!value->key) return fail_at(r, mark, "a key must be plain text");
    }
    return mien_tree_append(r->tree, parent, value);
}

static mien_status scalar(reader *r, const yaml_event_t *event) {
    const char *text;
    MIEN_TRY(mien_tree_text(r->tree, (const char *)event->data.scalar.value,
                            event->data.scalar.length, &text));
    if (strlen(text) != event->data.scalar.length)
        return fail_at(r, &event->start_mark, "a string contains a NUL byte");
    if (r->depth && r->open[r->depth - 1]->kind == MIEN_VALUE_MAP && !r->key[r->depth - 1]) {
        r->key[r->depth - 1] = text;
        r->key_mark[r->depth - 1] = event->start_mark;
        return MIEN_OK;
    }
    mien_value *value;
    MIEN_TRY(mien_tree_value(r->tree, MIEN_VALUE_STRING, &value));
    value->text = text;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) mien_value_resolve(value);
    return insert(r, value, &event->start_mark);
}

static mien_status descend(reader *r, mien_value_kind kind, const yaml_mark_t *mark) {
    mien_value *value;
    if (r->depth == DEPTH_MAX) return fail_at(r, mark, "nested too deeply");
    MIEN_TRY(mien_tree_value(r->tree, kind, &value));
    MIEN_TRY(insert(r, value, mark));
    r->open[r->depth] = value;
    r->key[r->depth++] = NULL;
    return MIEN_OK;
}

static mien_status handle(reader *r, const yaml_event_t *event, int *documents) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return ++*documents > 1 ? fail_at(r, &event->start_mark, "only one document is supported")
                                : MIEN_OK;
    case YAML_ALIAS_EVENT:
        return fail_at(r, &event->start_mark,
                       "aliases (*name) are not supported: write the value out");
    case YAML_SCALAR_EVENT:
        if (event->data.scalar.anchor || event->data.scalar.tag)
            return fail_at(r, &event->start_mark, "anchors and tags are not supported");
        return scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        if (event->data.sequence_start.anchor || event->data.sequence_start.tag)
            return fail_at(r, &event->start_mark, "anchors and tags are not supported");
        return descend(r, MIEN_VALUE_LIST, &event->start_mark);
    case YAML_MAPPING_START_EVENT:
        if (event->data.mapping_start.anchor || event->data.mapping_start.tag)
            return fail_at(r, &event->start_mark, "anchors and tags are not supported");
        return descend(r, MIEN_VALUE_MAP, &event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return MIEN_OK;
    default:
        return MIEN_OK;
    }
}

mien_status mien_yaml_parse(const char *text, size_t size, const char *source, mien_tree *tree) {
    MIEN_TRY(mien_tree_start(tree, source));
    reader r = {.tree = tree};
    if (!yaml_parser_initialize(&r.parser)) return MIEN_FAIL(NO_MEMORY, "out of memory for YAML");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    mien_status status = MIEN_OK;
    int documents = 0;
    for (bool end = false; !end && status == MIEN_OK;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r.parser, &event)) {
            status =
                MIEN_FAIL(FORMAT, "%s:%zu: not YAML: %s", source, r.parser.problem_mark.line + 1,
                          r.parser.problem ? r.parser.problem : "unreadable");
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        status = handle(&r, &event, &documents);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&r.parser);
    if (status == MIEN_OK && !tree->root)
        status = MIEN_FAIL(FORMAT, "%s: the file is empty", source);
    return status;
}

mien_status mien_yaml_read(const char *path, mien_tree *tree) {
    char *text = NULL;
    size_t size;
    *tree = (mien_tree){0};
    MIEN_TRY(mien_file_read(path, (size_t)4 << 20, &text, &size));
    const mien_status status = mien_yaml_parse(text, size, path, tree);
    mien_free(text);
    return status;
}
