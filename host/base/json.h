/* JSON: a parser, which wraps json-c and fills the value tree, and a writer.
 *
 * The parser accepts NaN and Infinity (Python writes them). It refuses duplicate keys, integers
 * that do not fit in 64 bits, nesting deeper than 64 and text after the end. The writer writes null
 * for numbers that are not finite, and U+FFFD for bytes that are not UTF-8. */
#ifndef HOST_BASE_JSON_H
#define HOST_BASE_JSON_H

#include "host/base/text.h"
#include "host/base/value.h"

/* Release the tree even after a failure. */
mien_status mien_json_parse(const char *text, size_t size, const char *source, mien_tree *tree);
/* The same, but keeps NUL bytes in strings, as the two bytes 0xC0 0x80. */
mien_status mien_json_parse_nul(const char *text, size_t size, const char *source, mien_tree *tree);

/* The writer: values are appended in order and commas are added. `key` is NULL inside lists.
 *
 *     mien_json json = {.text = &text};
 *     mien_json_open(&json, NULL, '{');
 *     mien_json_number(&json, "accuracy", 0.64);
 *     mien_json_close(&json, '}'); */
typedef struct mien_json {
    mien_text *text;
    bool has_entries; /* the open list or map already has an entry */
    bool pretty;      /* line breaks and indentation */
    int depth;
} mien_json;

void mien_json_open(mien_json *json, const char *key, char bracket);
void mien_json_close(mien_json *json, char bracket);
void mien_json_string(mien_json *json, const char *key, const char *value); /* NULL → null */
void mien_json_number(mien_json *json, const char *key, double value);
/* Writes the fewest digits that read back as the same double. */
void mien_json_exact(mien_json *json, const char *key, double value);
void mien_json_integer(mien_json *json, const char *key, long long value);
void mien_json_bool(mien_json *json, const char *key, bool value);
void mien_json_null(mien_json *json, const char *key);

#endif
