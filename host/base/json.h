/* JSON: json-c behind one wrapper that fills the value tree, and a writer.
 *
 * The reader takes NaN and Infinity (Python writes them), and refuses duplicate keys, integers that
 * do not fit 64 bits, nesting deeper than 64 and text after the end. The writer never emits a
 * number that is not finite: it writes null; and U+FFFD for bytes of text that are not UTF-8. */
#ifndef HOST_BASE_JSON_H
#define HOST_BASE_JSON_H

#include "host/base/text.h"
#include "host/base/value.h"

/* Release the tree also after a failure. */
mien_status mien_json_parse(const char *text, size_t size, const char *source, mien_tree *tree);

/* The writer: values are appended in order, commas are its own matter. `key` is NULL inside lists.
 *
 *     mien_json json = {.text = &text};
 *     mien_json_open(&json, NULL, '{');
 *     mien_json_number(&json, "accuracy", 0.64);
 *     mien_json_close(&json, '}'); */
typedef struct mien_json {
    mien_text *text;
    bool follows; /* a value stands before this place in the open list or map */
    bool pretty;  /* line breaks and indentation */
    int depth;
} mien_json;

void mien_json_open(mien_json *json, const char *key, char bracket);
void mien_json_close(mien_json *json, char bracket);
void mien_json_string(mien_json *json, const char *key, const char *value); /* NULL → null */
void mien_json_number(mien_json *json, const char *key, double value);
/* With as few digits as give the same double when they are read again. */
void mien_json_exact(mien_json *json, const char *key, double value);
void mien_json_integer(mien_json *json, const char *key, long long value);
void mien_json_bool(mien_json *json, const char *key, bool value);
void mien_json_null(mien_json *json, const char *key);

#endif
