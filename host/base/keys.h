/* Key tables: one row per key drives parsing, --set, --print-config, the documentation and "did you
 * mean". The config and every layer's attributes are described by such a table.
 *
 * A key's field is at `offset` in the owner's struct. Types and fields:
 *
 *   BOOL       bool
 *   INT        int
 *   REAL       double
 *   TEXT       char[size]
 *   CHOICE     int, an index into choices
 *   PAIR       int[2]; a single number sets both
 *   REALS      mien_reals
 *   TEXTS      mien_texts
 *   NUMBER_OR  mien_number_or: a number or one of the words in choices; null means `none`
 *   INTS       mien_ints: a list of whole numbers or a single one; null means none
 *   SIDES      int[4]: top, bottom, left, right, from a number, [height, width] or
 *              [[top, bottom], [left, right]] */
#ifndef HOST_BASE_KEYS_H
#define HOST_BASE_KEYS_H

#include "host/base/text.h"
#include "host/base/value.h"

typedef enum mien_key_type {
    MIEN_KEY_BOOL,
    MIEN_KEY_INT,
    MIEN_KEY_REAL,
    MIEN_KEY_TEXT,
    MIEN_KEY_CHOICE,
    MIEN_KEY_PAIR,
    MIEN_KEY_REALS,
    MIEN_KEY_TEXTS,
    MIEN_KEY_NUMBER_OR,
    MIEN_KEY_INTS,
    MIEN_KEY_SIDES,
    MIEN_KEY_LISTS,
} mien_key_type;

typedef struct mien_reals {
    double *items;
    size_t count;
} mien_reals;

typedef struct mien_texts {
    char **items;
    size_t count;
} mien_texts;

/* A map of names to lists of texts. */
typedef struct mien_lists {
    struct mien_named_list {
        char *name;
        mien_texts texts;
    } * items;
    size_t count;
} mien_lists;

enum { MIEN_INTS_MAX = 4 };
typedef struct mien_ints {
    int items[MIEN_INTS_MAX];
    int count;
} mien_ints;

typedef struct mien_number_or {
    int word; /* index into choices, or -1 when `number` is set */
    double number;
} mien_number_or;

typedef struct mien_key {
    const char *name; /* dotted for nested maps: "data.split.val" */
    mien_key_type type;
    size_t offset, size;  /* of the field */
    const char *fallback; /* as YAML text; NULL = the key is required */
    double min, max;      /* INT, REAL, PAIR, REALS, NUMBER_OR, INTS, SIDES */
    const char *choices;  /* CHOICE, NUMBER_OR: "a|b|c" */
    const char *doc;      /* one line */
} mien_key;

typedef struct mien_keys {
    const mien_key *rows;
    size_t count;
} mien_keys;

/* Fills `owner` with every fallback (required keys stay zero). */
mien_status mien_keys_defaults(mien_keys keys, void *owner);
/* Reads a map into `owner`, over its current values. An unknown key is an error that names the
 * nearest known one; a wrong type or range is an error that says what was expected. `seen`, unless
 * NULL, gets one flag per row. */
mien_status mien_keys_read(mien_keys keys, void *owner, const mien_value *map, const char *source,
                           bool *seen);
/* Sets one key from "key=value" text (the value in YAML). */
mien_status mien_keys_set(mien_keys keys, void *owner, const char *assignment);
/* Prints the whole table as YAML. */
void mien_keys_print(mien_keys keys, const void *owner, mien_text *out);
/* Prints one field's value as YAML. */
void mien_key_print_value(const mien_key *key, const void *owner, mien_text *out);
/* Frees the lists inside `owner`. */
void mien_keys_release(mien_keys keys, void *owner);
const mien_key *mien_keys_find(mien_keys keys, const char *name);
/* Writes the text of choice number `index` to `out`. */
void mien_key_choice(const mien_key *key, int index, char *out, size_t size);

#define MIEN_FIELD(owner, field) offsetof(owner, field), sizeof(((owner *)0)->field)

/* Rows of a table, one macro per type; members that the type does not use are filled in. The
 * argument `field` is a MIEN_FIELD; a NULL `fallback` makes the key required. */
#define KEY_BOOL(name, field, fallback, doc)                                                       \
    { name, MIEN_KEY_BOOL, field, fallback, 0, 0, NULL, doc }
#define KEY_TEXT(name, field, fallback, doc)                                                       \
    { name, MIEN_KEY_TEXT, field, fallback, 0, 0, NULL, doc }
#define KEY_TEXTS(name, field, fallback, doc)                                                      \
    { name, MIEN_KEY_TEXTS, field, fallback, 0, 0, NULL, doc }
#define KEY_LISTS(name, field, fallback, doc)                                                      \
    { name, MIEN_KEY_LISTS, field, fallback, 0, 0, NULL, doc }
#define KEY_INT(name, field, fallback, min, max, doc)                                              \
    { name, MIEN_KEY_INT, field, fallback, min, max, NULL, doc }
#define KEY_REAL(name, field, fallback, min, max, doc)                                             \
    { name, MIEN_KEY_REAL, field, fallback, min, max, NULL, doc }
#define KEY_REALS(name, field, fallback, min, max, doc)                                            \
    { name, MIEN_KEY_REALS, field, fallback, min, max, NULL, doc }
#define KEY_PAIR(name, field, fallback, min, max, doc)                                             \
    { name, MIEN_KEY_PAIR, field, fallback, min, max, NULL, doc }
#define KEY_INTS(name, field, fallback, min, max, doc)                                             \
    { name, MIEN_KEY_INTS, field, fallback, min, max, NULL, doc }
#define KEY_SIDES(name, field, fallback, min, max, doc)                                            \
    { name, MIEN_KEY_SIDES, field, fallback, min, max, NULL, doc }
#define KEY_CHOICE(name, field, fallback, choices, doc)                                            \
    { name, MIEN_KEY_CHOICE, field, fallback, 0, 0, choices, doc }
#define KEY_NUMBER_OR(name, field, fallback, min, max, words, doc)                                 \
    { name, MIEN_KEY_NUMBER_OR, field, fallback, min, max, words, doc }

#endif
