#include "host/data/csv_rows.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/data/class_words.h"
#include "host/data/part_words.h"

enum { COLUMNS_MAX = 16 };

const char *const csv_class_names[CSV_CLASSES_MAX] = {"angry", "disgust",  "fear",    "happy",
                                                      "sad",   "surprise", "neutral", "contempt"};

typedef struct field {
    char *text, *end; /* *end is 0 */
} field;

/* Splits a line at separators outside quotes, in place; drops spaces and quotes around a field. */
static int split_fields(char *line, char separator, field *fields) {
    int n = 0;
    for (char *at = line; n < COLUMNS_MAX;) {
        while (*at == ' ' || (*at == '\t' && separator != '\t'))
            at++;
        const bool quoted = *at == '"';
        if (quoted) at++;
        char *end = quoted ? strchr(at, '"') : strchr(at, separator);
        char *comma = end && quoted ? strchr(end, separator) : end;
        if (!end) end = at + strlen(at);
        while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        *end = 0;
        fields[n++] = (field){at, end};
        if (!comma) break;
        at = comma + 1;
    }
    return n;
}

char csv_separator(const char *line) {
    const char *found = strpbrk(line, ",;\t");
    return found && !strchr(line, ',') ? *found : ',';
}

/* The column of the first of these names that the header has, or -1. */
static int find_column(const field *fields, int count, const char *const *names) {
    for (; *names; names++)
        for (int i = count - 1; i >= 0; i--) /* of two columns of a name, the last one counts */
            if (strcasecmp(fields[i].text, *names) == 0) return i;
    return -1;
}

bool csv_read_header(char *line, csv_columns *c) {
    static const char *const emotions[] = {"emotion", "label", "expression", "class", NULL};
    static const char *const usages[] = {"usage", "split", "part", NULL};
    static const char *const pixels[] = {"pixels", NULL};
    field fields[COLUMNS_MAX];
    if (strncmp(line, "\xef\xbb\xbf", 3) == 0) line += 3; /* byte order mark */
    *c = (csv_columns){.separator = csv_separator(line)};
    const int n = split_fields(line, c->separator, fields);
    c->emotion = find_column(fields, n, emotions);
    c->usage = find_column(fields, n, usages);
    c->pixels = find_column(fields, n, pixels);
    return c->pixels >= 0;
}

/* A whole number, which spreadsheets and pandas may write as 3.0. */
static bool read_number(const char *text, long *value) {
    char *end;
    *value = strtol(text, &end, 10);
    if (end == text) return false;
    if (*end == '.' || *end == ',') end += 1 + strspn(end + 1, "0");
    return *end == 0;
}

int csv_label_kind(const char *line, size_t length, const csv_columns *c) {
    char text[MIEN_CLASS_NAME];
    const char *at = line, *end = line + length;
    for (int i = 0; i < c->emotion; i++) {
        at = memchr(at, c->separator, (size_t)(end - at));
        if (!at++) return -1;
    }
    size_t n = 0;
    for (; at < end && *at != c->separator && n + 1 < sizeof text; at++)
        if (*at != '"' && (n || *at != ' ')) text[n++] = *at;
    while (n && text[n - 1] == ' ')
        n--;
    text[n] = 0;
    long value;
    return !n || c->emotion < 0        ? -1
           : read_number(text, &value) ? 0
           : class_words_known(text)   ? 1
                                       : 2;
}

/* ---- numbers separated by spaces: most of the bytes of the file ---- */

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Nearly everywhere the eight bytes of `word` hold two numbers of one to three digits, each
 * followed by a space. Returns how many bytes these take and their values in *pair (the second in
 * the high half), or 0 for anything else. */
static inline size_t two_numbers(uint64_t word, uint64_t *pair) {
    const uint64_t digits = word ^ EACH(0x30);
    /* the high bit of every byte that is not a digit, and of every byte that is a space */
    const uint64_t others = (((digits & EACH(0x7f)) + EACH(0x76)) | digits) & EACH(0x80);
    const uint64_t blanks = word ^ EACH(0x20);
    const uint64_t spaces = ~(((blanks & EACH(0x7f)) + EACH(0x7f)) | blanks) & EACH(0x80);
    const uint64_t after_first = others & (others - 1);
    if (!after_first) return 0; /* a number of four digits or more */
    const unsigned first = (unsigned)__builtin_ctzll(others) / 8;
    const unsigned second = (unsigned)__builtin_ctzll(after_first) / 8;
    const unsigned length = second - first - 1; /* of the second number */
    const uint64_t ends = (others ^ (after_first & (after_first - 1))) & ~spaces;
    if (ends || first - 1 > 2 || length - 1 > 2) return 0;
    /* right-aligned in three bytes of each half: hundreds, tens, ones */
    const uint64_t low = digits << 8 * (3 - first) & 0xffffff;
    const uint64_t high = digits >> 8 * (first + 1) << 8 * (3 - length) & 0xffffff;
    const uint64_t both = low | high << 32, byte = UINT64_C(0x000000ff000000ff);
    *pair = (both & byte) * 100 + (both >> 8 & byte) * 10 + (both >> 16 & byte);
    return *pair & ~byte ? 0 : second + 1;
}

/* Decodes a field in place: a number takes at least two bytes of text, so writes never overtake
 * reads. Returns how many pixels there are, -1 for anything that is not a number, -2 for a number
 * above 255. */
static int parse_pixels(field pixels) {
    const char *text = pixels.text;
    uint8_t *out = (uint8_t *)pixels.text;
    int n = 0;
    for (;;) {
        while (*text == ' ')
            text++;
        /* stay within the field: another thread may be writing after it */
        while (pixels.end - text >= 8) {
            uint64_t word, pair;
            memcpy(&word, text, sizeof word);
            const size_t taken = two_numbers(word, &pair);
            if (!taken) break;
            out[n] = (uint8_t)pair;
            out[n + 1] = (uint8_t)(pair >> 32);
            n += 2;
            text += taken;
        }
        while (*text == ' ')
            text++;
        if (!*text) return n;
        unsigned v = 0;
        int digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 4; digits++)
            v = v * 10 + (unsigned)(*text++ - '0');
        if (digits == 0 || (*text && *text != ' ')) return -1;
        if (v > 255) return -2;
        out[n++] = (uint8_t)v;
    }
}

static bool bad(csv_row *row, const char *problem, long long a, long long b) {
    row->problem = problem;
    row->a = a;
    row->b = b;
    return false;
}

static bool read_pixels(field pixels, int side, csv_row *row) {
    const int n = parse_pixels(pixels);
    if (n == -1)
        return bad(row, "its pixels hold something other than numbers from 0 to 255", 0, 0);
    if (n == -2) return bad(row, "a pixel is above 255", 0, 0);
    if (!side) {
        side = 1;
        while (side * side < n)
            side++;
        /* assume 48 x 48 unless the row itself is square */
        if (side * side != n || side < 8 || side > CSV_SIDE_MAX) side = 48;
    }
    if (n != side * side) return bad(row, "%lld pixels instead of %lld", n, (long long)side * side);
    row->side = side;
    row->gray = (uint8_t *)pixels.text;
    return true;
}

static bool read_label(const char *text, bool words, csv_row *row) {
    long v;
    const bool is_number = read_number(text, &v);
    if (words) {
        row->word = text;
        return *text && !is_number
                   ? true
                   : bad(row, "the emotion is not a word, as in most other rows", 0, 0);
    }
    if (!is_number) return bad(row, "the emotion is not a number", 0, 0);
    if (v < 0 || v >= CSV_CLASSES_MAX)
        return bad(row, "the emotion %lld is not one of 0 to %lld", v, CSV_CLASSES_MAX - 1);
    row->label = (int)v;
    return true;
}

static bool read_usage(const char *text, csv_row *row) {
    row->usage = part_word_of(text, strlen(text));
    return row->usage != MIEN_NO_PART ||
           bad(row, "the usage is not Training, PublicTest or PrivateTest, nor train, val or test",
               0, 0);
}

void csv_read_row(char *line, size_t length, const csv_columns *c, int side, csv_row *row) {
    field fields[COLUMNS_MAX];
    *row = (csv_row){.usage = MIEN_NO_PART};
    line[length] = 0;
    const int n = split_fields(line, c->separator, fields);
    if (n <= c->pixels || n <= c->emotion || n <= c->usage) {
        bad(row, "it has only %lld columns", n, 0);
        return;
    }
    if (c->emotion >= 0 && !read_label(fields[c->emotion].text, c->words, row)) return;
    if (c->usage >= 0 && !read_usage(fields[c->usage].text, row)) return;
    read_pixels(fields[c->pixels], side, row);
}
