/* A growing text buffer, and the distance between words behind every "did you mean". */
#ifndef HOST_BASE_TEXT_H
#define HOST_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/status.h"

/* Append-only bytes, always terminated by a zero. A failed append is remembered, so that a caller
 * may check once at the end. Zero-initialise; release with mien_text_release. */
typedef struct mien_text {
    char *data;
    size_t size, capacity;
    mien_status status;
} mien_text;

void mien_text_append(mien_text *text, const void *bytes, size_t size);
void mien_text_puts(mien_text *text, const char *string);
void mien_text_printf(mien_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* One cell of a CSV file: quoted where it holds a comma, a quote or the end of a line (RFC 4180).
 */
void mien_text_cell(mien_text *text, const char *cell);
/* A name of at most `most` letters (code points of UTF-8); of a longer one both ends around "…":
 * names often differ in the last. */
void mien_text_name(mien_text *text, const char *name, int most);
/* The same as a table's column of `width` letters; as in printf, a negative one fills to the right.
 */
void mien_text_column(mien_text *text, const char *name, int width);
int mien_letters(const char *text);
void mien_text_release(mien_text *text);

/* Typing errors between two words, without case. */
int mien_word_distance(const char *a, const char *b);
/* The word of `words` (count of them) nearest to `word`, or NULL when none is near. */
const char *mien_nearest(const char *word, const char *const *words, size_t count);

/* Splits off the next part of a list such as "a|b|c"; *list is moved behind it; false at the end.
 */
bool mien_next_part(const char **list, char separator, const char **part, size_t *length);

#endif
