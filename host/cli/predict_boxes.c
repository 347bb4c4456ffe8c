/* The table of mien predict --boxes: faces that the user gives instead of a detector. A table that
 * --csv wrote is one. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/search.h"
#include "host/cli/predict.h"
#include "host/data/records.h"

enum { TABLE_MAX = 64 << 20, FIELDS = 5, NAMES = 6 };
static const double COORDINATE_MAX = 1e6;

/* The columns by any of their names. */
static const char *const columns[FIELDS][NAMES] = {
    {"file", "image", "path", "filename", "pth", "subDirectory_filePath"},
    {"x", "left", "face_x"},
    {"y", "top", "face_y"},
    {"w", "width", "face_width"},
    {"h", "height", "face_height"}};

static int column_of(const mien_records *r, const char *const *names) {
    for (int n = 0; n < NAMES && names[n]; n++)
        for (int i = 0; i < r->count; i++)
            if (strcasecmp(r->fields[i], names[n]) == 0) return i;
    return -1;
}

static mien_status read_header(mien_records *r, int at[FIELDS]) {
    MIEN_TRY(mien_records_next(r));
    for (int c = 0; c < FIELDS; c++) {
        at[c] = column_of(r, columns[c]);
        if (at[c] < 0)
            return MIEN_FAIL(FORMAT,
                             "'%s' has no column '%s': a table of boxes begins with the line "
                             "file,x,y,w,h",
                             r->path, columns[c][0]);
    }
    return MIEN_OK;
}

static bool read_coordinate(const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);
    while (*end == ' ')
        end++;
    return end != text && *end == 0 && isfinite(*out) && fabs(*out) <= COORDINATE_MAX;
}

static mien_status read_box(const mien_records *r, const int at[FIELDS], predict_box *box) {
    double *const numbers[FIELDS] = {NULL, &box->x, &box->y, &box->width, &box->height};
    for (int c = 0; c < FIELDS; c++)
        if (at[c] >= r->count)
            return MIEN_FAIL(FORMAT, "'%s': line %lld has no field '%s'", r->path, r->line,
                             columns[c][0]);
    for (int c = 1; c < FIELDS; c++)
        if (!read_coordinate(r->fields[at[c]], numbers[c]))
            return MIEN_FAIL(FORMAT, "'%s': line %lld: %s is not a number of pixels: '%.40s'",
                             r->path, r->line, columns[c][0], r->fields[at[c]]);
    if (lround(box->width) < 1 || lround(box->height) < 1)
        return MIEN_FAIL(FORMAT, "'%s': line %lld: the box is %gx%g pixels, which is empty",
                         r->path, r->line, box->width, box->height);
    box->file = r->fields[at[0]];
    while (strncmp(box->file, "./", 2) == 0)
        box->file += 2;
    box->line = r->line;
    box->photo = SIZE_MAX;
    return MIEN_OK;
}

static mien_status read_table(const char *path, predict_boxes *out) {
    mien_records records;
    int at[FIELDS];
    mien_status status;
    MIEN_GO(mien_records_open(&records, path, TABLE_MAX));
    MIEN_GO(read_header(&records, at));
    for (;;) {
        MIEN_GO(mien_records_next(&records));
        if (!records.count) break;
        MIEN_GO(mien_grow(&out->items, &out->capacity, out->count + 1, sizeof *out->items));
        MIEN_GO(read_box(&records, at, &out->items[out->count]));
        out->count++;
    }
    out->text = records.text; /* the names point into it */
    records.text = NULL;
out:
    mien_records_release(&records);
    return status;
}

static int by_file(const void *a, const void *b) {
    const predict_box *p = a, *q = b;
    const int order = strcmp(p->file, q->file);
    return order ? order : (p->line > q->line) - (p->line < q->line);
}

static int by_photo(const void *a, const void *b) {
    const predict_box *p = a, *q = b;
    if (p->photo != q->photo) return p->photo < q->photo ? -1 : 1;
    return (p->line > q->line) - (p->line < q->line);
}

static int name_of_box(const void *name, const void *box) {
    return strcmp(name, ((const predict_box *)box)->file);
}

/* The first box with this name; the count if there is none. */
static size_t first_of(const predict_boxes *boxes, const char *name) {
    const size_t i =
        mien_search(name, boxes->items, boxes->count, sizeof *boxes->items, name_of_box);
    return i < boxes->count && strcmp(boxes->items[i].file, name) == 0 ? i : boxes->count;
}

/* A photo's boxes are those with its path, or with the longest end of it that the table has. */
static mien_status match_photo(const predict_args *args, size_t photo, predict_boxes *boxes) {
    const char *const path = args->files[photo].path;
    for (const char *name = path; name; name = strchr(name, '/'), name += name != NULL) {
        size_t i = first_of(boxes, name);
        if (i == boxes->count) continue;
        const size_t other = boxes->items[i].photo;
        if (other != SIZE_MAX)
            return MIEN_FAIL(INVALID,
                             "'%s': line %lld: '%s' is the name of two photos, '%s' and '%s': "
                             "write more of their paths into the table, and give each photo once",
                             args->boxes, boxes->items[i].line, name, args->files[other].path,
                             path);
        for (; i < boxes->count && strcmp(boxes->items[i].file, name) == 0; i++)
            boxes->items[i].photo = photo;
        return MIEN_OK;
    }
    return MIEN_OK;
}

static mien_status report_unmatched(const predict_args *args, const predict_boxes *boxes) {
    const predict_box *first = NULL;
    size_t unmatched = 0;
    for (size_t i = 0; i < boxes->count; i++) {
        if (boxes->items[i].photo != SIZE_MAX) continue;
        if (!first || boxes->items[i].line < first->line) first = &boxes->items[i];
        unmatched++;
    }
    if (!boxes->count) return MIEN_FAIL(FORMAT, "'%s' has no boxes", args->boxes);
    if (unmatched == boxes->count)
        return MIEN_FAIL(INVALID,
                         "no box of '%s' is for one of the photos; the first names '%.200s', the "
                         "first photo is '%.200s'",
                         args->boxes, first->file, args->files[0].path);
    if (unmatched)
        MIEN_WARN("%zu of %zu boxes of '%s' are for other files, the first for '%.200s' (line "
                  "%lld)",
                  unmatched, boxes->count, args->boxes, first->file, first->line);
    return MIEN_OK;
}

mien_status predict_boxes_read(const predict_args *args, predict_boxes *out) {
    MIEN_TRY(read_table(args->boxes, out));
    if (out->count) qsort(out->items, out->count, sizeof *out->items, by_file);
    for (size_t i = 0; i < args->file_count; i++)
        MIEN_TRY(match_photo(args, i, out));
    MIEN_TRY(report_unmatched(args, out));
    qsort(out->items, out->count, sizeof *out->items, by_photo);
    return MIEN_OK;
}

void predict_boxes_release(predict_boxes *boxes) {
    mien_free(boxes->items);
    mien_free(boxes->text);
    *boxes = (predict_boxes){0};
}

static long limit(long value, long most) {
    return value < 0 ? 0 : value > most ? most : value;
}

/* Clips the box to the photo; false if nothing of it remains. */
static bool clip(const predict_box *box, int width, int height, mien_rect *out, bool *clipped) {
    const long x = lround(box->x), y = lround(box->y);
    const long right = x + lround(box->width), bottom = y + lround(box->height);
    *out = (mien_rect){(int)limit(x, width), (int)limit(y, height), 0, 0};
    out->width = (int)limit(right, width) - out->x;
    out->height = (int)limit(bottom, height) - out->y;
    *clipped = x < 0 || y < 0 || right > width || bottom > height;
    return out->width > 0 && out->height > 0;
}

mien_status predict_boxes_of(predict_boxes *boxes, const char *table, size_t photo, int width,
                             int height, mien_rect **rects, int *count) {
    const predict_box wanted = {.photo = photo};
    const size_t first =
        mien_search(&wanted, boxes->items, boxes->count, sizeof *boxes->items, by_photo);
    size_t end;
    for (end = first; end < boxes->count && boxes->items[end].photo == photo;)
        end++;
    *count = 0;
    MIEN_TRY(mien_new(rects, end - first + 1, sizeof **rects));
    for (size_t i = first; i < end; i++) {
        const predict_box *box = &boxes->items[i];
        bool clipped;
        if (!clip(box, width, height, &(*rects)[*count], &clipped))
            return MIEN_FAIL(FORMAT,
                             "'%s': line %lld: the box %gx%g at %g,%g is outside '%s', which has "
                             "%dx%d pixels",
                             table, box->line, box->width, box->height, box->x, box->y, box->file,
                             width, height);
        boxes->clipped += clipped;
        ++*count;
    }
    return MIEN_OK;
}
