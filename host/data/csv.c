/* fer2013.csv and its relatives, plain or gzipped: a header that names the columns emotion, pixels
 * and Usage in any order (icml_face_data.csv has spaces before them; test.csv has no emotion), then
 * one image a row, its pixels as numbers 0..255 between spaces. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "host/base/memory.h"
#include "host/data/source.h"

enum { BUFFER = 1 << 20, LINE_MAX_BYTES = 1 << 24, SIDE_MAX = 1024, COLUMNS_MAX = 16 };

static const char *const classes[] = {"angry", "disgust",  "fear",   "happy",
                                      "sad",   "surprise", "neutral"};
enum { CLASSES = sizeof classes / sizeof classes[0] };

/* One row at a time out of a stream that zlib inflates when it is gzipped. */
typedef struct lines {
    gzFile file;
    const char *path;
    char *buffer;
    size_t start, end, capacity;
    bool finished;
    long long row; /* of the line read last; the header is row 1 */
} lines;

static mien_status stream_error(const lines *l) {
    int code;
    const char *text = gzerror(l->file, &code);
    if (code == Z_BUF_ERROR) text = "the file is cut short";
    return MIEN_FAIL(FORMAT, "'%s': reading failed behind row %lld: %s", l->path, l->row,
                     code == Z_ERRNO ? strerror(errno) : text);
}

static mien_status fill(lines *l) {
    if (l->start > 0) {
        memmove(l->buffer, l->buffer + l->start, l->end - l->start);
        l->end -= l->start;
        l->start = 0;
    }
    if (l->capacity - l->end < BUFFER) {
        if (l->end > LINE_MAX_BYTES)
            return MIEN_FAIL(FORMAT, "'%s': row %lld is longer than %d bytes; this is no such csv",
                             l->path, l->row + 1, LINE_MAX_BYTES);
        MIEN_TRY(mien_grow(&l->buffer, &l->capacity, l->end + BUFFER, 1));
    }
    const int got = gzread(l->file, l->buffer + l->end, BUFFER);
    int code;
    if (got < 0) return stream_error(l);
    l->end += (size_t)got;
    l->finished = got < BUFFER;
    gzerror(l->file, &code);
    return l->finished && code != Z_OK && code != Z_STREAM_END ? stream_error(l) : MIEN_OK;
}

/* The next line without its end, zero-terminated; *line is NULL at the end of the file. */
static mien_status next_line(lines *l, char **line, size_t *length) {
    for (size_t searched = 0;;) {
        char *from = l->buffer + l->start;
        const size_t have = l->end - l->start;
        char *newline = have > searched ? memchr(from + searched, '\n', have - searched) : NULL;
        if (!newline && !l->finished) {
            searched = have;
            MIEN_TRY(fill(l));
            continue;
        }
        if (!newline && have == 0) {
            *line = NULL;
            return MIEN_OK;
        }
        const size_t size = newline ? (size_t)(newline - from) : have;
        *line = from;
        *length = size && from[size - 1] == '\r' ? size - 1 : size;
        if (!newline) MIEN_TRY(mien_grow(&l->buffer, &l->capacity, l->end + 1, 1));
        *line = l->buffer + l->start; /* growing may have moved it */
        (*line)[*length] = 0;
        l->start += size + (newline != NULL);
        l->row++;
        return MIEN_OK;
    }
}

/* Splits a line at commas outside of quotes, in place: spaces and quotes around a field go. */
static int split_fields(char *line, char **fields) {
    int n = 0;
    for (char *at = line; n < COLUMNS_MAX;) {
        while (*at == ' ' || *at == '\t')
            at++;
        const bool quoted = *at == '"';
        if (quoted) at++;
        fields[n++] = at;
        char *end = quoted ? strchr(at, '"') : strchr(at, ',');
        char *comma = end && quoted ? strchr(end, ',') : end;
        if (!end) end = at + strlen(at);
        while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        *end = 0;
        if (!comma) break;
        at = comma + 1;
    }
    return n;
}

typedef struct columns {
    int emotion, pixels, usage; /* -1: absent */
} columns;

static mien_status read_header(lines *l, columns *c) {
    char *line, *fields[COLUMNS_MAX];
    size_t length;
    *c = (columns){-1, -1, -1};
    MIEN_TRY(next_line(l, &line, &length));
    if (!line) return MIEN_FAIL(FORMAT, "'%s' is empty", l->path);
    if (strncmp(line, "\xef\xbb\xbf", 3) == 0) line += 3; /* byte order mark */
    const int n = split_fields(line, fields);
    for (int i = 0; i < n; i++) {
        if (strcasecmp(fields[i], "emotion") == 0) c->emotion = i;
        if (strcasecmp(fields[i], "pixels") == 0) c->pixels = i;
        if (strcasecmp(fields[i], "usage") == 0) c->usage = i;
    }
    if (c->pixels < 0)
        return MIEN_FAIL(FORMAT,
                         "'%s': row 1 names no column 'pixels'; a csv of faces begins with "
                         "emotion,pixels,Usage",
                         l->path);
    return MIEN_OK;
}

typedef struct row_reader {
    lines lines;
    columns columns;
    uint8_t *image;
    int side; /* 0 until a row has told it */
} row_reader;

/* Numbers between spaces; returns how many, or -1 at something else, -2 at a number above 255. */
static int parse_pixels(const char *text, uint8_t *out, int most) {
    int n = 0;
    for (;;) {
        while (*text == ' ')
            text++;
        if (!*text) return n;
        unsigned v = 0;
        int digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 4; digits++)
            v = v * 10 + (unsigned)(*text++ - '0');
        if (digits == 0 || (*text && *text != ' ')) return -1;
        if (v > 255) return -2;
        if (n < most) out[n] = (uint8_t)v;
        n++;
    }
}

#define ROW_FAIL(r, ...) row_fail(&(r)->lines, __LINE__, __VA_ARGS__)
static mien_status row_fail(const lines *l, int line, const char *what, long long a, long long b) {
    char text[160];
    snprintf(text, sizeof text, what, a, b);
    return mien_fail(MIEN_FORMAT, __FILE__, line, "'%s': row %lld: %s", l->path, l->row, text);
}

static mien_status read_pixels(row_reader *r, const char *text) {
    const int n = parse_pixels(text, r->image, SIDE_MAX * SIDE_MAX);
    if (n == -1)
        return ROW_FAIL(r, "its pixels hold something that is no number from 0 to 255", 0, 0);
    if (n == -2) return ROW_FAIL(r, "a pixel is above 255", 0, 0);
    int side = r->side;
    if (!side) {
        side = 1;
        while (side * side < n)
            side++;
        /* 48 x 48 unless the row is a square of its own */
        if (side * side != n || side < 8 || side > SIDE_MAX) side = 48;
    }
    if (n != side * side)
        return ROW_FAIL(r, "%lld pixels instead of %lld", n, (long long)side * side);
    r->side = side;
    return MIEN_OK;
}

static mien_status read_label(row_reader *r, const char *text, int *label) {
    char *end;
    const long v = strtol(text, &end, 10);
    if (end == text || *end) return ROW_FAIL(r, "the emotion is no number", 0, 0);
    if (v < 0 || v >= CLASSES)
        return ROW_FAIL(r, "the emotion %lld is not one of 0 to %lld", v, CLASSES - 1);
    *label = (int)v;
    return MIEN_OK;
}

static mien_status read_usage(row_reader *r, const char *text, int *usage) {
    static const char *const names[] = {"Training", "PublicTest", "PrivateTest"};
    for (int i = 0; i < 3; i++)
        if (strcasecmp(text, names[i]) == 0) {
            *usage = i;
            return MIEN_OK;
        }
    return ROW_FAIL(r, "the usage is none of Training, PublicTest, PrivateTest", 0, 0);
}

static mien_status read_row(row_reader *r, char *line, mien_dataset *set) {
    char *fields[COLUMNS_MAX];
    const columns *c = &r->columns;
    int label = 0, usage = MIEN_NO_PART;
    const int n = split_fields(line, fields);
    if (n <= c->pixels || n <= c->emotion || n <= c->usage)
        return ROW_FAIL(r, "it has only %lld columns", n, 0);
    if (c->emotion >= 0) MIEN_TRY(read_label(r, fields[c->emotion], &label));
    if (c->usage >= 0) MIEN_TRY(read_usage(r, fields[c->usage], &usage));
    MIEN_TRY(read_pixels(r, fields[c->pixels]));
    return mien_dataset_append(set, r->image, r->side, r->side, label, usage, 0);
}

static mien_status read_rows(row_reader *r, const mien_on_bad *on_bad, mien_dataset *set) {
    for (;;) {
        char *line;
        size_t length;
        MIEN_TRY(next_line(&r->lines, &line, &length));
        if (!line) return MIEN_OK;
        if (length == 0) continue;
        const mien_status status = read_row(r, line, set);
        if (status == MIEN_FORMAT)
            MIEN_TRY(mien_dataset_bad(set, on_bad));
        else
            MIEN_TRY(status);
    }
}

/* A regular file: a pipe would wait for a writer. */
static mien_status open_file(const char *source, int *fd) {
    struct stat info;
    *fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        const int code = errno;
        return mien_fail(code == ENOENT ? MIEN_NOT_FOUND : MIEN_IO, __FILE__, __LINE__,
                         "cannot open '%s': %s", source, strerror(code));
    }
    if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode)) return MIEN_OK;
    close(*fd);
    return MIEN_FAIL(IO, "'%s' is not a regular file; give a .csv or .csv.gz file", source);
}

static mien_status load(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    row_reader r = {.lines = {.path = source}};
    mien_status status = MIEN_OK;
    int fd;
    MIEN_TRY(open_file(source, &fd));
    r.lines.file = gzdopen(fd, "rb");
    if (!r.lines.file) {
        close(fd);
        return MIEN_FAIL(NO_MEMORY, "no memory to read '%s'", source);
    }
    gzbuffer(r.lines.file, BUFFER);
    MIEN_GO(mien_new(&r.image, SIDE_MAX, SIDE_MAX));
    MIEN_GO(mien_dataset_classes(set, classes, CLASSES));
    MIEN_GO(read_header(&r.lines, &r.columns));
    set->labelled = r.columns.emotion >= 0;
    MIEN_GO(read_rows(&r, on_bad, set));
out:
    gzclose(r.lines.file);
    mien_free(r.lines.buffer);
    mien_free(r.image);
    return status;
}

static bool accepts(const char *source) {
    return mien_path_ends(source, ".csv") || mien_path_ends(source, ".csv.gz");
}

const mien_source_def mien_source_csv = {"csv", accepts, load};
