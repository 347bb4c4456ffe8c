#include "host/data/groups.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/records.h"
#include "host/data/source.h"

enum { FILE_MAX = 1 << 28, NOT_READ = UINT32_MAX };

typedef struct named {
    const char *file;
    uint32_t sample;
} named;

typedef struct group_file {
    mien_records csv;
    const mien_dataset *set;
    named *files;      /* [set->count] sorted; NULL where rows are named */
    uint32_t *samples; /* [set->source_rows] or NOT_READ; NULL where files are named */
    bool *seen;        /* [set->count] */
    size_t known, unknown;
} group_file;

/* ---- what a record names ---- */

/* Names appear in tables, HTML pages and terminals. */
static mien_status check_name(const group_file *f, const char *name) {
    if (strlen(name) >= MIEN_GROUP_NAME)
        return MIEN_FAIL(FORMAT, "'%s': line %lld: '%.40s…' is longer than %d bytes", f->csv.path,
                         f->csv.line, name, MIEN_GROUP_NAME - 1);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return MIEN_FAIL(FORMAT, "'%s': line %lld: a name holds a control character",
                             f->csv.path, f->csv.line);
    return MIEN_OK;
}

static int by_file(const void *a, const void *b) {
    return strcmp(((const named *)a)->file, ((const named *)b)->file);
}

static mien_status index_files(group_file *f) {
    const mien_dataset *set = f->set;
    if (!set->def->file)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' names files, but '%s' is not a folder of pictures: groups need a "
                         "single source, a csv of faces (with a column 'row') or a folder",
                         f->csv.path, set->source);
    MIEN_TRY(mien_new(&f->files, set->count, sizeof *f->files));
    for (size_t i = 0; i < set->count; i++)
        f->files[i] = (named){mien_source_file(set, i), (uint32_t)i};
    qsort(f->files, set->count, sizeof *f->files, by_file);
    return MIEN_OK;
}

static mien_status index_rows(group_file *f) {
    const mien_dataset *set = f->set;
    if (!set->source_rows)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' names rows, but '%s' has no order of rows: groups need a single "
                         "source, a csv of faces or a folder of pictures (with a column 'file')",
                         f->csv.path, set->source);
    MIEN_TRY(mien_new(&f->samples, set->source_rows, sizeof *f->samples));
    for (size_t i = 0; i < set->source_rows; i++)
        f->samples[i] = NOT_READ;
    for (size_t i = 0; i < set->count; i++)
        f->samples[set->row[i]] = (uint32_t)i;
    return MIEN_OK;
}

/* Finds the sample that the record names: NOT_READ for an image that was left out. *known: the
 * source has this image. */
static mien_status find_sample(const group_file *f, uint32_t *sample, bool *known) {
    const char *name = f->csv.fields[0];
    *sample = NOT_READ;
    if (f->files) {
        const named wanted = {.file = strncmp(name, "./", 2) == 0 ? name + 2 : name};
        const named *found = bsearch(&wanted, f->files, f->set->count, sizeof *f->files, by_file);
        *known = found != NULL;
        if (found) *sample = found->sample;
        return MIEN_OK;
    }
    if (!*name || strspn(name, "0123456789") != strlen(name))
        return MIEN_FAIL(FORMAT, "'%s': line %lld: '%.40s' is not a row (a whole number from 0)",
                         f->csv.path, f->csv.line, name);
    const unsigned long long row = strtoull(name, NULL, 10); /* ULLONG_MAX if it is too large */
    *known = row < f->set->source_rows;
    if (*known) *sample = f->samples[row];
    return MIEN_OK;
}

/* ---- the file ---- */

static mien_status read_header(group_file *f, mien_groups *out) {
    MIEN_TRY(mien_records_next(&f->csv));
    const bool rows = f->csv.count && strcasecmp(f->csv.fields[0], "row") == 0;
    if (f->csv.count < 2 || (!rows && strcasecmp(f->csv.fields[0], "file") != 0))
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld: a csv of groups begins with 'file,' or 'row,' and the "
                         "names of one or more groupings",
                         f->csv.path, f->csv.line);
    if (f->csv.count > 1 + MIEN_GROUP_COLUMNS)
        return MIEN_FAIL(FORMAT, "'%s': line %lld has more than %d columns after the first",
                         f->csv.path, f->csv.line, MIEN_GROUP_COLUMNS);
    MIEN_TRY(mien_new(&out->columns, (size_t)f->csv.count - 1, sizeof *out->columns));
    for (int c = 1; c < f->csv.count; c++) {
        mien_group_column *column = &out->columns[out->count];
        MIEN_TRY(check_name(f, f->csv.fields[c]));
        for (int k = 1; k < c; k++)
            if (strcmp(f->csv.fields[k], f->csv.fields[c]) == 0)
                return MIEN_FAIL(FORMAT, "'%s': line %lld: two columns are called '%s'",
                                 f->csv.path, f->csv.line, f->csv.fields[c]);
        if (!*f->csv.fields[c])
            return MIEN_FAIL(FORMAT, "'%s': line %lld: column %d has no name", f->csv.path,
                             f->csv.line, c + 1);
        strcpy(column->name, f->csv.fields[c]);
        strcpy(column->values[0], "(none)");
        column->count = 1;
        out->count++;
        MIEN_TRY(mien_new(&column->of, f->set->count, 1));
    }
    return rows ? index_rows(f) : index_files(f);
}

/* The index of a value, which is added if it is new. */
static mien_status find_value(const group_file *f, mien_group_column *column, const char *name,
                              int *index) {
    *index = 0;
    if (!*name) return MIEN_OK;
    MIEN_TRY(check_name(f, name));
    for (int v = 0; v < column->count; v++)
        if (strcmp(column->values[v], name) == 0) {
            *index = v;
            return MIEN_OK;
        }
    if (column->count > MIEN_GROUP_VALUES)
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld: '%s' is the %dth value of the column '%s', which may "
                         "have %d: group them (e.g. ages into ranges)",
                         f->csv.path, f->csv.line, name, MIEN_GROUP_VALUES + 1, column->name,
                         MIEN_GROUP_VALUES);
    *index = column->count++;
    strcpy(column->values[*index], name);
    return MIEN_OK;
}

static mien_status read_record(group_file *f, mien_groups *out, mien_text *unknown) {
    uint32_t sample;
    bool known = false;
    if (f->csv.count != out->count + 1)
        return MIEN_FAIL(FORMAT, "'%s': line %lld has %d fields, the first line %d", f->csv.path,
                         f->csv.line, f->csv.count, out->count + 1);
    MIEN_TRY(find_sample(f, &sample, &known));
    f->known += known;
    f->unknown += !known;
    if (!known && !unknown->size)
        mien_text_printf(unknown, "'%.200s' in line %lld", f->csv.fields[0], f->csv.line);
    for (int c = 0; c < out->count; c++) {
        int value;
        MIEN_TRY(find_value(f, &out->columns[c], f->csv.fields[c + 1], &value));
        if (sample != NOT_READ) out->columns[c].of[sample] = (uint8_t)value;
    }
    if (sample == NOT_READ) return MIEN_OK;
    if (f->seen[sample])
        return MIEN_FAIL(FORMAT, "'%s': line %lld names '%.200s' a second time", f->csv.path,
                         f->csv.line, f->csv.fields[0]);
    f->seen[sample] = true;
    return MIEN_OK;
}

static mien_status read_records(group_file *f, mien_groups *out, mien_text *unknown) {
    MIEN_TRY(mien_new(&f->seen, f->set->count, sizeof *f->seen));
    for (;;) {
        MIEN_TRY(mien_records_next(&f->csv));
        if (!f->csv.count) break;
        MIEN_TRY(read_record(f, out, unknown));
    }
    MIEN_TRY(unknown->status);
    if (!f->known && f->unknown)
        return MIEN_FAIL(INVALID, "'%s' names no image of '%s': the first of its %zu names is %s",
                         f->csv.path, f->set->source, f->unknown, unknown->data);
    if (!f->known) return MIEN_FAIL(INVALID, "'%s' names no image", f->csv.path);
    if (f->unknown)
        MIEN_WARN("%s: %zu of its lines name no image of '%s'; the first is %s", f->csv.path,
                  f->unknown, f->set->source, unknown->data);
    return MIEN_OK;
}

mien_status mien_groups_read(const mien_dataset *set, const char *path, mien_groups *out) {
    group_file f = {.set = set};
    mien_text unknown = {0};
    mien_status status;
    *out = (mien_groups){0};
    MIEN_GO(mien_records_open(&f.csv, path, FILE_MAX));
    MIEN_GO(read_header(&f, out));
    MIEN_GO(read_records(&f, out, &unknown));
out:
    mien_text_release(&unknown);
    mien_records_release(&f.csv);
    mien_free(f.files);
    mien_free(f.samples);
    mien_free(f.seen);
    return status;
}

void mien_groups_release(mien_groups *groups) {
    for (int c = 0; c < groups->count; c++)
        mien_free(groups->columns[c].of);
    mien_free(groups->columns);
    *groups = (mien_groups){0};
}
