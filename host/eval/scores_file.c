#include "host/eval/scores_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/classes.h"
#include "host/data/csv_lines.h"

/* Of a row of probabilities: how far its sum may be from 1, and how much less than the best the
 * predicted class may have; files have few digits. */
static const double off_one = 1e-3;

enum { BUCKETS = 4 * MIEN_CLASSES_MAX };

/* A column of the file: one of these, or, from 0 on, the class whose score it is. */
enum { COLUMN_LABEL = -1, COLUMN_PREDICTION = -2, COLUMN_FILE = -3, COLUMN_ROW = -4 };

typedef struct reading {
    const char *path;
    csv_lines lines;
    mien_scores *out;
    int *columns; /* [column_count] */
    char **cells; /* [column_count] of the line being read */
    size_t column_count, cell_capacity;
    int label, prediction, id; /* which column; -1: none */
    size_t name_capacity, label_capacity, probability_capacity;
    uint16_t *predictions; /* [n] where there are no scores */
    size_t prediction_capacity;
    size_t *id_at; /* [n] offsets in id_text */
    size_t id_capacity, id_size, id_text_capacity;
    int buckets[BUCKETS]; /* 1 + the class of this hash; 0: none */
    long long line;
} reading;

static const char *name_of(const reading *r, int class) {
    return r->out->names[class];
}

/* ---- classes ---- */

static uint32_t hash_of(const char *text) {
    uint32_t h = 2166136261U;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619U;
    return h;
}

/* Its bucket: of the class, or the free one where it belongs. */
static int *bucket_of(reading *r, const char *name) {
    uint32_t at = hash_of(name) % BUCKETS;
    while (r->buckets[at] && strcmp(name_of(r, r->buckets[at] - 1), name) != 0)
        at = (at + 1) % BUCKETS;
    return &r->buckets[at];
}

static mien_status add_class(reading *r, const char *name, int *class) {
    mien_scores *out = r->out;
    if (!name[0] || strlen(name) >= MIEN_CLASS_NAME)
        return MIEN_FAIL(FORMAT, "'%s': line %lld: the name of a class has 1 to %d bytes, not %zu",
                         r->path, r->line, MIEN_CLASS_NAME - 1, strlen(name));
    if (out->classes == MIEN_CLASSES_MAX)
        return MIEN_FAIL(FORMAT, "'%s': line %lld: more than %d classes", r->path, r->line,
                         MIEN_CLASSES_MAX);
    MIEN_TRY(
        mien_grow(&out->names, &r->name_capacity, (size_t)out->classes + 1, sizeof *out->names));
    memset(out->names[out->classes], 0, MIEN_CLASS_NAME);
    strcpy(out->names[out->classes], name);
    *class = out->classes++;
    *bucket_of(r, name) = *class + 1;
    return MIEN_OK;
}

/* The number that the whole text is; -1: it is none. */
static long index_of(const char *text) {
    char *end;
    if (*text < '0' || *text > '9') return -1;
    const long value = strtol(text, &end, 10);
    return *end || value >= MIEN_CLASSES_MAX ? -1 : value;
}

/* The class that a cell names, by its name or index. Without columns of classes every name is one.
 */
static mien_status find_class(reading *r, const char *cell, const char *column, int *class) {
    *class = *bucket_of(r, cell) - 1;
    if (*class >= 0) return MIEN_OK;
    if (!cell[0])
        return MIEN_FAIL(FORMAT, "'%s': line %lld: the %s is empty", r->path, r->line, column);
    if (!r->out->has_scores) return add_class(r, cell, class);
    const long index = index_of(cell);
    if (index >= 0 && index < r->out->classes) {
        *class = (int)index;
        return MIEN_OK;
    }
    char known[MIEN_CLASS_LIST];
    mien_class_list((const char(*)[MIEN_CLASS_NAME])r->out->names, r->out->classes, known);
    return MIEN_FAIL(FORMAT,
                     "'%s': line %lld: the %s '%s' is none of the file's classes, which are the "
                     "columns %s",
                     r->path, r->line, column, cell, known);
}

/* ---- lines ---- */

/* Unquotes the field at *from in place and moves past it: to the comma, or to the end. */
static mien_status unquote(const reading *r, char **from) {
    char *to = *from, *at = to + 1;
    bool closed = false;
    while (*at && !closed) {
        closed = at[0] == '"' && at[1] != '"';
        if (!closed) *to++ = *at;
        at += at[0] == '"' && !closed ? 2 : 1;
    }
    if (!closed || (*at && *at != ','))
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld: a quoted field does not end before the next comma or "
                         "the end of the line",
                         r->path, r->line);
    *to = 0;
    *from = at;
    return MIEN_OK;
}

/* Ends a bare field at *from, without the spaces around it, and moves past it. */
static void trim(char **from, char **cell) {
    char *end = *from + strcspn(*from, ",");
    *cell += strspn(*cell, " ");
    char *last = end;
    while (last > *cell && last[-1] == ' ')
        last--;
    *from = end;
    if (last < end) *last = 0;
}

/* Splits a line into r->cells. */
static mien_status split(reading *r, char *line, size_t length, size_t *count) {
    if (memchr(line, 0, length))
        return MIEN_FAIL(FORMAT, "'%s': line %lld contains a NUL byte: this is not a csv", r->path,
                         r->line);
    line[length] = 0;
    *count = 0;
    for (char *at = line;;) {
        char *cell = at;
        if (*at == '"')
            MIEN_TRY(unquote(r, &at));
        else
            trim(&at, &cell);
        const bool more = *at == ',';
        *at++ = 0;
        MIEN_TRY(mien_grow(&r->cells, &r->cell_capacity, *count + 1, sizeof *r->cells));
        r->cells[(*count)++] = cell;
        if (!more) return MIEN_OK;
    }
}

/* ---- the header ---- */

static int kind_of(const char *name) {
    static const struct {
        const char *name;
        int kind;
    } known[] = {{"label", COLUMN_LABEL},
                 {"prediction", COLUMN_PREDICTION},
                 {"file", COLUMN_FILE},
                 {"row", COLUMN_ROW}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i].name) == 0) return known[i].kind;
    return 0;
}

static mien_status add_column(reading *r, size_t at, bool *seen) {
    const char *name = r->cells[at];
    int *column = &r->columns[at], kind = kind_of(name);
    if (kind ? seen[-kind] : *bucket_of(r, name) > 0)
        return MIEN_FAIL(FORMAT, "'%s' has two columns '%s'", r->path, name);
    *column = kind;
    if (!kind) return add_class(r, name, column);
    seen[-kind] = true;
    if (kind == COLUMN_LABEL) r->label = (int)at;
    if (kind == COLUMN_PREDICTION) r->prediction = (int)at;
    if (kind == COLUMN_FILE || (kind == COLUMN_ROW && r->id < 0)) r->id = (int)at;
    return MIEN_OK;
}

static mien_status read_header(reading *r, char *line, size_t length) {
    bool seen[5] = {false};
    if (length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) line += 3, length -= 3;
    MIEN_TRY(split(r, line, length, &r->column_count));
    MIEN_TRY(mien_new(&r->columns, r->column_count, sizeof *r->columns));
    r->label = r->prediction = r->id = -1;
    for (size_t i = 0; i < r->column_count; i++)
        MIEN_TRY(add_column(r, i, seen));
    const int classes = r->out->classes;
    r->out->has_scores = classes > 0;
    if (r->label < 0)
        return MIEN_FAIL(FORMAT,
                         "'%s' has no column 'label': its first line must name the columns, "
                         "separated by commas: label, one column for each class or a column "
                         "'prediction', and file or row if there is one",
                         r->path);
    if (classes == 1)
        return MIEN_FAIL(FORMAT,
                         "'%s' has the scores of one class, '%s', alone: it needs two or more",
                         r->path, name_of(r, 0));
    if (classes == 0 && r->prediction < 0)
        return MIEN_FAIL(
            FORMAT, "'%s' has neither a column for each class nor a column 'prediction'", r->path);
    return MIEN_OK;
}

/* ---- rows ---- */

static mien_status read_score(const reading *r, size_t at, float *out) {
    char *end;
    const char *cell = r->cells[at];
    const float score = strtof(cell, &end);
    const char *name = name_of(r, r->columns[at]);
    if (end == cell || *end)
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld: '%s' in column '%s' is no number; columns other than "
                         "label, prediction, file and row must be scores of classes",
                         r->path, r->line, cell, name);
    if (!isfinite(score))
        return MIEN_FAIL(FORMAT, "'%s': line %lld: the score of '%s' is %s", r->path, r->line, name,
                         cell);
    *out = score;
    return MIEN_OK;
}

static mien_status check_row(reading *r, const float *p) {
    double sum = 0, least = 0;
    int best = 0, predicted;
    for (int k = 0; k < r->out->classes; k++) {
        sum += (double)p[k];
        if ((double)p[k] < least) least = (double)p[k];
        if (p[k] > p[best]) best = k;
    }
    if (fabs(sum - 1) > off_one || least < 0)
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld: the scores are no probabilities (%s%.6g): apply the "
                         "softmax before writing them",
                         r->path, r->line, least < 0 ? "one is " : "their sum is ",
                         least < 0 ? least : sum);
    if (r->prediction < 0) return MIEN_OK;
    MIEN_TRY(find_class(r, r->cells[r->prediction], "prediction", &predicted));
    if ((double)(p[best] - p[predicted]) > off_one)
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld: the prediction is '%s', but '%s' has the highest score",
                         r->path, r->line, name_of(r, predicted), name_of(r, best));
    return MIEN_OK;
}

static mien_status read_scores(reading *r) {
    mien_scores *out = r->out;
    const size_t classes = (size_t)out->classes, at = out->n * classes;
    MIEN_TRY(mien_grow(&out->probabilities, &r->probability_capacity, at + classes,
                       sizeof *out->probabilities));
    for (size_t i = 0; i < r->column_count; i++)
        if (r->columns[i] >= 0)
            MIEN_TRY(read_score(r, i, &out->probabilities[at + (size_t)r->columns[i]]));
    return check_row(r, out->probabilities + at);
}

static mien_status read_prediction(reading *r) {
    int predicted;
    MIEN_TRY(find_class(r, r->cells[r->prediction], "prediction", &predicted));
    MIEN_TRY(
        mien_grow(&r->predictions, &r->prediction_capacity, r->out->n + 1, sizeof *r->predictions));
    r->predictions[r->out->n] = (uint16_t)predicted;
    return MIEN_OK;
}

static mien_status read_id(reading *r) {
    const char *cell = r->cells[r->id];
    const size_t size = strlen(cell) + 1;
    MIEN_TRY(mien_grow(&r->id_at, &r->id_capacity, r->out->n + 1, sizeof *r->id_at));
    MIEN_TRY(mien_grow(&r->out->id_text, &r->id_text_capacity, r->id_size + size, 1));
    memcpy(r->out->id_text + r->id_size, cell, size);
    r->id_at[r->out->n] = r->id_size;
    r->id_size += size;
    return MIEN_OK;
}

static mien_status read_row(reading *r, char *line, size_t length) {
    size_t cells;
    int label;
    MIEN_TRY(split(r, line, length, &cells));
    if (cells != r->column_count)
        return MIEN_FAIL(FORMAT, "'%s': line %lld has %zu fields, but the first line has %zu",
                         r->path, r->line, cells, r->column_count);
    MIEN_TRY(find_class(r, r->cells[r->label], "label", &label));
    MIEN_TRY(mien_grow(&r->out->labels, &r->label_capacity, r->out->n + 1, sizeof(uint16_t)));
    r->out->labels[r->out->n] = (uint16_t)label;
    MIEN_TRY(r->out->has_scores ? read_scores(r) : read_prediction(r));
    if (r->id >= 0) MIEN_TRY(read_id(r));
    r->out->n++;
    return MIEN_OK;
}

static mien_status read_lines(reading *r) {
    bool named = false;
    do {
        MIEN_TRY(csv_lines_next(&r->lines));
        for (size_t i = 0; i < r->lines.count; i++) {
            size_t length;
            char *line = csv_line(&r->lines, i, &length);
            r->line = r->lines.row + (long long)i + 1;
            if (length == 0) continue;
            MIEN_TRY(named ? read_row(r, line, length) : read_header(r, line, length));
            named = true;
        }
    } while (r->lines.count);
    if (!named) return MIEN_FAIL(FORMAT, "'%s' is empty", r->path);
    if (r->out->n == 0) return MIEN_FAIL(FORMAT, "'%s' has no rows after its first line", r->path);
    return MIEN_OK;
}

/* ---- the end ---- */

typedef struct named {
    const char *name;
    long index; /* the name as a number; -1: it is none */
    int class;
} named;

static int by_name(const void *a, const void *b) {
    const named *x = a, *y = b;
    if (x->index >= 0 && y->index >= 0 && x->index != y->index) return x->index < y->index ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Classes that only labels and predictions name get the order of their names, or of the numbers
 * that all of them are. */
static mien_status sort_classes(reading *r) {
    mien_scores *out = r->out;
    const size_t classes = (size_t)out->classes;
    char(*sorted)[MIEN_CLASS_NAME] = NULL;
    named *list = NULL;
    uint16_t *to = NULL;
    bool numbers = true;
    mien_status status;
    MIEN_GO(mien_new(&sorted, classes, sizeof *sorted));
    MIEN_GO(mien_new(&list, classes, sizeof *list));
    MIEN_GO(mien_new(&to, classes, sizeof *to));
    for (size_t k = 0; k < classes; k++) {
        list[k] = (named){out->names[k], index_of(out->names[k]), (int)k};
        numbers &= list[k].index >= 0;
    }
    for (size_t k = 0; k < classes && !numbers; k++)
        list[k].index = -1;
    qsort(list, classes, sizeof *list, by_name);
    for (size_t k = 0; k < classes; k++) {
        strcpy(sorted[k], list[k].name);
        to[list[k].class] = (uint16_t)k;
    }
    for (size_t i = 0; i < out->n; i++) {
        out->labels[i] = to[out->labels[i]];
        r->predictions[i] = to[r->predictions[i]];
    }
    memcpy(out->names, sorted, classes * sizeof *sorted);
out:
    mien_free(sorted);
    mien_free(list);
    mien_free(to);
    return status;
}

static mien_status make_scores(reading *r) {
    mien_scores *out = r->out;
    const size_t classes = (size_t)out->classes;
    if (classes < 2)
        return MIEN_FAIL(FORMAT, "'%s' names one class, '%s', alone: it needs two or more", r->path,
                         name_of(r, 0));
    MIEN_TRY(sort_classes(r));
    MIEN_TRY(mien_new(&out->probabilities, out->n * classes, sizeof *out->probabilities));
    for (size_t i = 0; i < out->n; i++)
        out->probabilities[i * classes + r->predictions[i]] = 1;
    return MIEN_OK;
}

static mien_status list_ids(reading *r) {
    mien_scores *out = r->out;
    if (r->id < 0) return MIEN_OK;
    MIEN_TRY(mien_new(&out->ids, out->n, sizeof *out->ids));
    for (size_t i = 0; i < out->n; i++)
        out->ids[i] = out->id_text + r->id_at[i];
    return MIEN_OK;
}

static mien_status read_all(reading *r) {
    MIEN_TRY(csv_lines_open(r->path, &r->lines));
    MIEN_TRY(read_lines(r));
    csv_lines_drop(&r->lines);
    if (!r->out->has_scores) MIEN_TRY(make_scores(r));
    return list_ids(r);
}

mien_status mien_scores_read(const char *path, mien_scores *out) {
    reading *r;
    *out = (mien_scores){0};
    MIEN_TRY(mien_new(&r, 1, sizeof *r));
    r->path = path;
    r->out = out;
    r->lines.fd = -1;
    const mien_status status = read_all(r);
    csv_lines_close(&r->lines);
    mien_free(r->columns);
    mien_free(r->cells);
    mien_free(r->predictions);
    mien_free(r->id_at);
    mien_free(r);
    return status;
}

void mien_scores_release(mien_scores *s) {
    mien_free(s->names);
    mien_free(s->labels);
    mien_free(s->probabilities);
    mien_free(s->ids);
    mien_free(s->id_text);
    *s = (mien_scores){0};
}
