#include "host/base/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"

void mien_text_reserve(mien_text *text, size_t more) {
    if (text->status != MIEN_OK || text->capacity > text->size + more) return;
    text->status = mien_grow_to(&text->data, &text->capacity, text->size + more + 1, 1);
}

void mien_text_append(mien_text *text, const void *bytes, size_t size) {
    if (text->status != MIEN_OK) return;
    text->status = mien_grow(&text->data, &text->capacity, text->size + size + 1, 1);
    if (text->status != MIEN_OK) return;
    if (size) memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = 0;
}

void mien_text_puts(mien_text *text, const char *string) {
    mien_text_append(text, string, strlen(string));
}

void mien_text_printf(mien_text *text, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need >= 0 && text->status == MIEN_OK) {
        text->status = mien_grow(&text->data, &text->capacity, text->size + (size_t)need + 1, 1);
        if (text->status == MIEN_OK) {
            vsnprintf(text->data + text->size, (size_t)need + 1, format, again);
            text->size += (size_t)need;
        }
    }
    va_end(again);
}

void mien_text_cell(mien_text *text, const char *cell) {
    if (!strpbrk(cell, ",\"\r\n")) {
        mien_text_puts(text, cell);
        return;
    }
    mien_text_puts(text, "\"");
    for (; *cell; cell++)
        mien_text_append(text, *cell == '"' ? "\"\"" : cell, *cell == '"' ? 2 : 1);
    mien_text_puts(text, "\"");
}

static bool begins_letter(char c) {
    return ((unsigned char)c & 0xc0) != 0x80;
}

int mien_letters(const char *text) {
    int letters = 0;
    for (; *text; text++)
        letters += begins_letter(*text);
    return letters;
}

/* Byte offset of letter `letter` (from 0); never inside a UTF-8 character. */
static size_t letter_offset(const char *name, int letter) {
    size_t at = 0;
    for (int letters = 0; name[at]; at++)
        if (begins_letter(name[at]) && letters++ == letter) break;
    return at;
}

void mien_text_name(mien_text *text, const char *name, int most) {
    const int letters = mien_letters(name), ahead = most / 2;
    if (letters <= most) {
        mien_text_puts(text, name);
        return;
    }
    mien_text_append(text, name, letter_offset(name, ahead));
    mien_text_puts(text, "…");
    mien_text_puts(text, name + letter_offset(name, letters - (most - ahead - 1)));
}

void mien_text_column(mien_text *text, const char *name, int width) {
    const int most = width < 0 ? -width : width, letters = mien_letters(name);
    const int space = letters < most ? most - letters : 0;
    mien_text_printf(text, "%*s", width < 0 ? 0 : space, "");
    mien_text_name(text, name, most);
    mien_text_printf(text, "%*s", width < 0 ? space : 0, "");
}

void mien_text_release(mien_text *text) {
    mien_free(text->data);
    *text = (mien_text){0};
}

enum { WORD_MAX = 40 };

/* Levenshtein distance with transpositions (optimal string alignment), ignoring case. */
int mien_word_distance(const char *a, const char *b) {
    const int n = (int)strlen(a), m = (int)strlen(b);
    if (n > WORD_MAX || m > WORD_MAX) return n > m ? n : m; /* as if nothing matched */
    int row[WORD_MAX + 1][WORD_MAX + 1];
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                row[i][j] = i + j;
                continue;
            }
            const int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            int best = row[i - 1][j - 1] + (x != y);
            if (row[i - 1][j] + 1 < best) best = row[i - 1][j] + 1;
            if (row[i][j - 1] + 1 < best) best = row[i][j - 1] + 1;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]) && row[i - 2][j - 2] + 1 < best)
                best = row[i - 2][j - 2] + 1;
            row[i][j] = best;
        }
    return row[n][m];
}

const char *mien_nearest(const char *word, const char *const *words, size_t count) {
    const char *best = NULL;
    int least = (int)strlen(word) / 3 + 2; /* farther than this is not a typo */
    for (size_t i = 0; i < count; i++) {
        const int d = mien_word_distance(word, words[i]);
        if (d < least) {
            least = d;
            best = words[i];
        }
    }
    return best;
}

bool mien_next_part(const char **list, char separator, const char **part, size_t *length) {
    if (!*list || !**list) return false;
    const char *end = strchr(*list, separator);
    *part = *list;
    *length = end ? (size_t)(end - *list) : strlen(*list);
    *list = end ? end + 1 : *list + *length;
    return true;
}
