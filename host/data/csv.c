/* CSV files in the format of fer2013.csv, plain or gzipped: a header that names the columns
 * emotion, pixels and Usage in any order (icml_face_data.csv has spaces before them; test.csv has
 * no emotion), then one image per row, its pixels as numbers 0..255 separated by spaces. Files that
 * people make from these may have semicolons or tabs, words for emotions, and label 7, contempt.
 *
 * All threads parse rows; one thread appends them in file order. So data, messages and the count of
 * bad rows are the same for any number of threads. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/class_words.h"
#include "host/data/csv_lines.h"
#include "host/data/csv_rows.h"
#include "host/data/label_columns.h"
#include "host/data/source.h"

enum { GROUP = 4096 }; /* rows parsed at a time, to bound memory */

/* Where a sample's line is in the file; `row` counts lines from 1. */
typedef struct csv_position {
    uint64_t offset;
    uint32_t length, row;
} csv_position;

/* What is kept to read samples again. */
typedef struct csv_reader {
    csv_lines lines; /* only its open file is kept */
    csv_columns columns;
    int side;          /* 0 until the first good row sets it */
    class_words words; /* the emotions, where these are words */
    int largest;       /* label of the good rows */
    csv_position *positions;
    size_t capacity;
    struct stat before; /* size and time of the file when it was indexed */
} csv_reader;

typedef struct group {
    csv_row rows[GROUP];
    uint32_t good[GROUP]; /* indices of the good rows in `rows` */
    uint32_t row[GROUP]; /* for each good row: its index among the file's rows that are not empty */
    size_t first, count; /* lines of the window in this group */
} group;

static mien_status row_fail(const char *path, long long number, const csv_row *row) {
    char text[160];
    snprintf(text, sizeof text, row->problem, row->a, row->b);
    return MIEN_FAIL(FORMAT, "'%s': row %lld: %s", path, number, text);
}

/* Encodings that spreadsheets write and this reader does not know. */
static mien_status check_text(const csv_reader *r, const char *line, size_t length) {
    if (length >= 4 && (memchr(line, 0, 4) || memcmp(line, "\xff\xfe", 2) == 0 ||
                        memcmp(line, "\xfe\xff", 2) == 0))
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is UTF-16 or not text: save it as UTF-8 (in Excel \"CSV UTF-8\", or "
                         "iconv -f UTF-16 -t UTF-8)",
                         r->lines.path);
    if (memchr(line, '\r', length))
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s': its lines end with a carriage return alone: save it with line "
                         "feeds (tr '\\r' '\\n')",
                         r->lines.path);
    return MIEN_OK;
}

static mien_status read_header(csv_reader *r) {
    size_t length;
    MIEN_TRY(csv_lines_next(&r->lines));
    if (r->lines.count == 0) return MIEN_FAIL(FORMAT, "'%s' is empty", r->lines.path);
    char *line = csv_line(&r->lines, 0, &length);
    if (length > CSV_LINE_MAX) return csv_too_long(&r->lines, 1);
    MIEN_TRY(check_text(r, line, length));
    line[length] = 0;
    if (csv_read_header(line, &r->columns)) return MIEN_OK;
    return MIEN_FAIL(FORMAT,
                     "'%s': row 1 has no column 'pixels': a csv of faces begins with "
                     "emotion,pixels,Usage",
                     r->lines.path);
}

static void parse_line(const csv_reader *r, group *g, size_t i) {
    size_t length;
    char *line = csv_line(&r->lines, g->first + i, &length);
    g->rows[i].side = 0;
    if (length && length <= CSV_LINE_MAX)
        csv_read_row(line, length, &r->columns, r->side, &g->rows[i]);
}

/* Parses the group's lines. The first good row sets the side of all images of the file. */
static void parse_group(csv_reader *r, group *g) {
    size_t from = 0;
    for (; from < g->count && !r->side; from++) {
        parse_line(r, g, from);
        r->side = g->rows[from].side;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = from; i < g->count; i++)
        parse_line(r, g, i);
}

static mien_status label_of_word(csv_reader *r, long long number, csv_row *row) {
    const mien_status status = class_words_index(&r->words, row->word, &row->label);
    if (status == MIEN_OK) return MIEN_OK;
    return mien_fail_context(status, "'%s': row %lld", r->lines.path, number);
}

/* The emotions are words if most of the first rows have words: one damaged row decides nothing. */
static void choose_words(csv_reader *r) {
    int kinds[3] = {0};
    for (size_t i = 1; i < r->lines.count && i <= 64 && r->columns.emotion >= 0; i++) {
        size_t length;
        const char *line = csv_line(&r->lines, i, &length);
        const int kind = length <= CSV_LINE_MAX ? csv_label_kind(line, length, &r->columns) : -1;
        if (kind >= 0) kinds[kind]++;
    }
    r->columns.words = kinds[1] + kinds[2] > kinds[0];
}

/* In file order: collects the good rows, reports or skips the bad ones. */
static mien_status check_group(csv_reader *r, group *g, const mien_on_bad *on_bad,
                               mien_dataset *set, size_t *good) {
    *good = 0;
    for (size_t i = 0; i < g->count; i++) {
        const long long number = r->lines.row + (long long)(g->first + i) + 1;
        size_t length;
        csv_line(&r->lines, g->first + i, &length);
        if (length == 0) continue;
        if (length > CSV_LINE_MAX) return csv_too_long(&r->lines, number);
        const size_t row = set->source_rows++;
        if (!g->rows[i].problem && g->rows[i].word) MIEN_TRY(label_of_word(r, number, &g->rows[i]));
        if (!g->rows[i].problem) {
            if (g->rows[i].label > r->largest) r->largest = g->rows[i].label;
            g->row[*good] = (uint32_t)row;
            g->good[(*good)++] = (uint32_t)i;
            continue;
        }
        row_fail(r->lines.path, number, &g->rows[i]);
        MIEN_TRY(mien_dataset_bad(set, on_bad));
    }
    return MIEN_OK;
}

static mien_status append_group(csv_reader *r, const group *g, size_t good, mien_dataset *set) {
    const size_t base = set->count, need = base + good;
    if (r->lines.file && need > set->budget / mien_image_bytes(set->spec))
        return MIEN_FAIL(NO_MEMORY,
                         "'%s': its first %zu images, at %dx%d pixels, take more than half of the "
                         "free memory, and a gzipped file cannot be streamed: gunzip it first, or "
                         "set data.memory to resident",
                         r->lines.path, need, set->spec.width, set->spec.height);
    MIEN_TRY(mien_dataset_extend(set, good));
    if (!r->lines.file)
        MIEN_TRY(mien_grow(&r->positions, &r->capacity, set->count, sizeof *r->positions));
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < good; k++) {
        const csv_row *row = &g->rows[g->good[k]];
        const size_t line = g->first + g->good[k];
        set->labels[base + k] = (uint16_t)row->label;
        set->usage[base + k] = (uint8_t)row->usage;
        set->row[base + k] = g->row[k];
        size_t length;
        const char *text = csv_line(&r->lines, line, &length);
        if (!r->lines.file)
            r->positions[base + k] =
                (csv_position){r->lines.offset + (size_t)(text - r->lines.buffer), (uint32_t)length,
                               (uint32_t)((size_t)r->lines.row + line + 1)};
        if (set->pixels)
            mien_image_shape(set->spec, row->gray, row->side, row->side,
                             mien_dataset_image(set, base + k));
    }
    return MIEN_OK;
}

static mien_status read_rows(csv_reader *r, group *g, const mien_on_bad *on_bad,
                             mien_dataset *set) {
    for (size_t start = 1; r->lines.count; start = 0) { /* the first line is the header */
        for (g->first = start; g->first < r->lines.count; g->first += g->count) {
            const size_t rest = r->lines.count - g->first;
            size_t good;
            g->count = rest < GROUP ? rest : GROUP;
            parse_group(r, g);
            MIEN_TRY(check_group(r, g, on_bad, set, &good));
            MIEN_TRY(append_group(r, g, good, set));
        }
        MIEN_TRY(csv_lines_next(&r->lines));
    }
    return MIEN_OK;
}

/* Names the classes when all labels are known. */
static mien_status name_classes(csv_reader *r, mien_dataset *set) {
    if (!r->columns.words) {
        const bool contempt = r->largest == CSV_CLASSES;
        if (contempt) MIEN_INFO("%s: label 7 is read as contempt", set->source);
        return mien_dataset_classes(set, csv_class_names, contempt ? CSV_CLASSES_MAX : CSV_CLASSES);
    }
    uint16_t to[MIEN_CLASSES_MAX];
    MIEN_TRY(class_words_order(&r->words, to));
    for (size_t i = 0; i < set->count; i++)
        set->labels[i] = to[set->labels[i]];
    MIEN_INFO("%s: the emotions are words: %d classes", set->source, r->words.count);
    set->class_names = r->words.names;
    set->classes = r->words.count;
    r->words = (class_words){0};
    return MIEN_OK;
}

/* A gzipped file can only be read sequentially: either all of it stays in memory, or none. The
 * budget is half of the free memory, because the upload to the backend needs two copies. */
static mien_status choose_memory(const csv_reader *r, mien_dataset *set) {
    if (!r->lines.file) return MIEN_OK;
    if (set->memory == MIEN_MEMORY_STREAM)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is gzipped and cannot be streamed: gunzip it first, or set "
                         "data.memory to resident",
                         r->lines.path);
    if (set->memory == MIEN_MEMORY_AUTO) set->budget = mien_memory_available() / 2;
    return MIEN_OK;
}

static mien_status open_csv(const char *source, const mien_on_bad *on_bad, mien_dataset *set) {
    csv_reader *r;
    group *g = NULL;
    mien_status status;
    (void)source; /* set->source is the same text and stays valid */
    MIEN_TRY(mien_new(&set->reader, 1, sizeof *r));
    r = set->reader;
    r->lines.fd = -1;
    MIEN_GO(csv_lines_open(set->source, &r->lines));
    MIEN_GO(choose_memory(r, set));
    if (!r->lines.file) fstat(r->lines.fd, &r->before);
    MIEN_GO(mien_new(&g, 1, sizeof *g));
    MIEN_GO(read_header(r));
    choose_words(r);
    set->labelled = r->columns.emotion >= 0;
    MIEN_GO(read_rows(r, g, on_bad, set));
    MIEN_GO(name_classes(r, set));
out:
    mien_free(g);
    csv_lines_drop(&r->lines);
    r->lines.path = NULL; /* the set may move: from here on set->source is used */
    return status;
}

static mien_status read_line(const char *path, const csv_reader *r, const csv_position *position,
                             char *to) {
    struct stat now;
    size_t used = 0;
    while (used < position->length) {
        const ssize_t got = pread(r->lines.fd, to + used, position->length - used,
                                  (off_t)(position->offset + used));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return MIEN_FAIL(IO, "'%s': row %u cannot be read: %s", path, position->row,
                             strerror(errno));
        if (got == 0)
            return MIEN_FAIL(IO, "'%s': row %u is gone: the file was cut short while in use", path,
                             position->row);
        used += (size_t)got;
    }
    if (fstat(r->lines.fd, &now) == 0 && now.st_size == r->before.st_size &&
        now.st_mtim.tv_sec == r->before.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == r->before.st_mtim.tv_nsec)
        return MIEN_OK;
    return MIEN_FAIL(IO, "'%s' was changed while in use (noticed at row %u): start again", path,
                     position->row);
}

static mien_status read_csv(const mien_dataset *set, size_t i, mien_read_buffer *buffer,
                            uint8_t *pixels) {
    const csv_reader *r = set->reader;
    const csv_position *position = &r->positions[i];
    csv_row row;
    MIEN_TRY(mien_grow(&buffer->bytes, &buffer->capacity, (size_t)position->length + 1, 1));
    MIEN_TRY(read_line(set->source, r, position, buffer->bytes));
    csv_read_row(buffer->bytes, position->length, &r->columns, r->side, &row);
    if (row.problem) {
        row_fail(set->source, position->row, &row);
        return mien_fail_context(MIEN_FORMAT, "the data changed while in use");
    }
    mien_image_shape(set->spec, row.gray, row.side, row.side, pixels);
    return MIEN_OK;
}

static void close_csv(mien_dataset *set) {
    csv_reader *r = set->reader;
    if (!r) return;
    csv_lines_close(&r->lines);
    class_words_release(&r->words);
    mien_free(r->positions);
    mien_free(r);
    set->reader = NULL;
}

static bool accepts(const char *source) {
    static const char *const suffixes[] = {".csv", ".csv.gz", ".tsv", ".tsv.gz"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (mien_path_ends(source, suffixes[i])) return !label_columns_peek(source);
    return false;
}

const mien_source_def mien_source_csv = {
    "a .csv or .csv.gz file", accepts, open_csv, read_csv, close_csv, NULL, NULL};
