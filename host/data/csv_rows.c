#include "host/data/csv_rows.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/data/dataset.h"

enum { COLUMNS_MAX = 16 };

const char *const csv_class_names[CSV_CLASSES] = {"angry", "disgust",  "fear",   "happy",
                                                  "sad",   "surprise", "neutral"};

typedef struct field {
    char *text, *end; /* *end is 0 */
} field;

/* Splits a line at commas outside quotes, in place; drops spaces and quotes around a field. */
static int split_fields(char *line, field *fields) {
    int n = 0;
    for (char *at = line; n < COLUMNS_MAX;) {
        while (*at == ' ' || *at == '\t')
            at++;
        const bool quoted = *at == '"';
        if (quoted) at++;
        char *end = quoted ? strchr(at, '"') : strchr(at, ',');
        char *comma = end && quoted ? strchr(end, ',') : end;
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

bool csv_read_header(char *line, csv_columns *c) {
    field fields[COLUMNS_MAX];
    *c = (csv_columns){-1, -1, -1};
    if (strncmp(line, "\xef\xbb\xbf", 3) == 0) line += 3; /* byte order mark */
    const int n = split_fields(line, fields);
    for (int i = 0; i < n; i++) {
        if (strcasecmp(fields[i].text, "emotion") == 0) c->emotion = i;
        if (strcasecmp(fields[i].text, "pixels") == 0) c->pixels = i;
        if (strcasecmp(fields[i].text, "usage") == 0) c->usage = i;
    }
    return c->pixels >= 0;
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

static bool read_label(const char *text, csv_row *row) {
    char *end;
    const long v = strtol(text, &end, 10);
    if (end == text || *end) return bad(row, "the emotion is not a number", 0, 0);
    if (v < 0 || v >= CSV_CLASSES)
        return bad(row, "the emotion %lld is not one of 0 to %lld", v, CSV_CLASSES - 1);
    row->label = (int)v;
    return true;
}

static bool read_usage(const char *text, csv_row *row) {
    static const char *const names[] = {"Training", "PublicTest", "PrivateTest"};
    for (int i = 0; i < 3; i++)
        if (strcasecmp(text, names[i]) == 0) {
            row->usage = i;
            return true;
        }
    return bad(row, "the usage is not Training, PublicTest or PrivateTest", 0, 0);
}

void csv_read_row(char *line, size_t length, const csv_columns *c, int side, csv_row *row) {
    field fields[COLUMNS_MAX];
    *row = (csv_row){.usage = MIEN_NO_PART};
    line[length] = 0;
    const int n = split_fields(line, fields);
    if (n <= c->pixels || n <= c->emotion || n <= c->usage) {
        bad(row, "it has only %lld columns", n, 0);
        return;
    }
    if (c->emotion >= 0 && !read_label(fields[c->emotion].text, row)) return;
    if (c->usage >= 0 && !read_usage(fields[c->usage].text, row)) return;
    read_pixels(fields[c->pixels], side, row);
}
