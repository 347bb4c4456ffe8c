/* The value tree: the parsed form of YAML and JSON files, before interpretation.
 *
 * Values from YAML know their line and column (a map entry: its key's), for messages; from JSON
 * both are 0. Nodes live in a pool that the tree owns; release the tree, not its nodes. */
#ifndef HOST_BASE_VALUE_H
#define HOST_BASE_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/status.h"

typedef enum mien_value_kind {
    MIEN_VALUE_NULL,
    MIEN_VALUE_BOOL,
    MIEN_VALUE_NUMBER,
    MIEN_VALUE_STRING,
    MIEN_VALUE_LIST,
    MIEN_VALUE_MAP,
} mien_value_kind;

typedef struct mien_value mien_value;
struct mien_value {
    mien_value_kind kind;
    int line, column;
    const char *text;  /* scalars: the text as written; from JSON only strings have it */
    double number;     /* NUMBER and BOOL (0 or 1) */
    const char *key;   /* set when this value is a map entry */
    mien_value *first; /* LIST and MAP: children in file order */
    mien_value *last;
    mien_value *next;
    size_t count;
};

typedef struct mien_tree {
    const char *source; /* the file's name, for messages */
    mien_value *root;
    struct mien_tree_block *blocks;
    size_t bytes;
    bool keeps_nul; /* for the JSON parser */
} mien_tree;

/* Allocation from the pool, for the parsers. */
mien_status mien_tree_start(mien_tree *tree, const char *source);
mien_status mien_tree_value(mien_tree *tree, mien_value_kind kind, mien_value **out);
mien_status mien_tree_text(mien_tree *tree, const char *text, size_t length, const char **out);
/* Appends a child; for maps child->key must be set, and a duplicate key is an error. */
mien_status mien_tree_append(mien_tree *tree, mien_value *parent, mien_value *child);
void mien_tree_release(mien_tree *tree);

/* The entry of a map, or NULL (also when `map` is NULL or not a map). */
const mien_value *mien_value_get(const mien_value *map, const char *key);
/* The entry's text when it is a string, else NULL. */
const char *mien_value_string(const mien_value *map, const char *key);
/* The entry's number when it is one, else `otherwise`. */
double mien_value_number(const mien_value *map, const char *key, double otherwise);
/* "a map", "a list", "a number", … for messages. */
const char *mien_value_kind_name(const mien_value *value);
/* Sets the kind and number of a plain scalar from its text, by the YAML core schema: null, true,
 * 12, 1.0e-3, else a string. */
void mien_value_resolve(mien_value *value);

#endif
