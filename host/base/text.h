/* A growing text buffer, and the edit distance used for every "did you mean". */
#ifndef HOST_BASE_TEXT_H
#define HOST_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/status.h"

/* An append-only buffer, zero-terminated once something was appended. A failed append is
 * remembered, so that callers may check `status` once at the end. Zero-initialise; release with
 * mien_text_release. */
typedef struct mien_text {
    char *data;
    size_t size, capacity;
    mien_status status;
} mien_text;

/* Grows the buffer once for `more` bytes that are appended next. */
void mien_text_reserve(mien_text *text, size_t more);
void mien_text_append(mien_text *text, const void *bytes, size_t size);
void mien_text_puts(mien_text *text, const char *string);
void mien_text_printf(mien_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends one CSV cell, quoted if it contains a comma, a quote or a line break (RFC 4180). */
void mien_text_cell(mien_text *text, const char *cell);
/* Appends a name of at most `most` letters (UTF-8 code points). The middle of a longer name becomes
 * "…", since names often differ only at the end. */
void mien_text_name(mien_text *text, const char *name, int most);
/* The same, padded to a table column of `width` letters: right-aligned, or left-aligned where
 * `width` is negative, as in printf. */
void mien_text_column(mien_text *text, const char *name, int width);
/* Number of letters (UTF-8 code points). */
int mien_letters(const char *text);
void mien_text_release(mien_text *text);

/* Edit distance of two words, ignoring case. */
int mien_word_distance(const char *a, const char *b);
/* The nearest of `count` words to `word`, or NULL when none is near. */
const char *mien_nearest(const char *word, const char *const *words, size_t count);

/* Splits off the next part of a list such as "a|b|c" and advances *list past it; false at the
 * end. */
bool mien_next_part(const char **list, char separator, const char **part, size_t *length);

#endif
