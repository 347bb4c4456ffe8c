#include "host/data/groups.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/source.h"

enum { FILE_MAX = 1 << 28, FIELDS = 1 + MIEN_GROUP_COLUMNS, NOT_READ = UINT32_MAX };

typedef struct named {
    const char *file;
    uint32_t sample;
} named;

typedef struct group_file {
    const char *path;
    const mien_dataset *set;
    char *text, *at;     /* the whole file, and what was not read yet */
    long long line;      /* of the record at hand, from 1 */
    long long next_line; /* of `at` */
    char *fields[FIELDS];
    int count;
    named *files;      /* [set->count] sorted; NULL where rows are named */
    uint32_t *samples; /* [set->source_rows] or NOT_READ; NULL where files are named */
    bool *seen;        /* [set->count] */
    size_t known, unknown;
} group_file;

/* ---- records ---- */

/* A field in quotes, in place: what is left of it ends at *to, f->at stands behind the quote. */
static mien_status read_quoted(group_file *f, char **to) {
    for (f->at++; *f->at; f->at++) {
        if (*f->at == '\n') f->next_line++;
        if (*f->at == '"' && *++f->at != '"') {
            if (f->at[0] == '\r' && (f->at[1] == '\n' || !f->at[1])) f->at++;
            if (!*f->at || *f->at == ',' || *f->at == '\n') return MIEN_OK;
            return MIEN_FAIL(FORMAT, "'%s': line %lld: text follows a closing quote", f->path,
                             f->next_line);
        }
        *(*to)++ = *f->at;
    }
    return MIEN_FAIL(FORMAT, "'%s': a quote that line %lld opens is never closed", f->path,
                     f->line);
}

static void read_bare(group_file *f, char **to) {
    const size_t length = strcspn(f->at, ",\n");
    f->at += length;
    *to = f->at;
    if (*f->at != ',' && length && (*to)[-1] == '\r') --*to;
}

/* The next record that is not empty; its count is 0 at the end of the file. */
static mien_status next_record(group_file *f) {
    f->count = 0;
    while (*f->at == '\n' || (*f->at == '\r' && f->at[1] == '\n')) {
        f->next_line += *f->at == '\n';
        f->at++;
    }
    f->line = f->next_line;
    for (char end = *f->at ? ',' : 0; end == ',';) {
        char *field = f->at, *to = f->at;
        if (f->count == FIELDS)
            return MIEN_FAIL(FORMAT,
                             "'%s': line %lld has more than %d columns of groups behind the first",
                             f->path, f->line, MIEN_GROUP_COLUMNS);
        if (*field == '"')
            MIEN_TRY(read_quoted(f, &to));
        else
            read_bare(f, &to);
        end = *f->at;
        f->at += end != 0;
        f->next_line += end == '\n';
        *to = 0;
        f->fields[f->count++] = field;
    }
    return MIEN_OK;
}

/* Names stand in tables, pages and terminals. */
static mien_status check_name(const group_file *f, const char *name) {
    if (strlen(name) >= MIEN_GROUP_NAME)
        return MIEN_FAIL(FORMAT, "'%s': line %lld: '%.40s…' is longer than %d bytes", f->path,
                         f->line, name, MIEN_GROUP_NAME - 1);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return MIEN_FAIL(FORMAT, "'%s': line %lld: a name holds a control character", f->path,
                             f->line);
    return MIEN_OK;
}

/* ---- what a record names ---- */

static int by_file(const void *a, const void *b) {
    return strcmp(((const named *)a)->file, ((const named *)b)->file);
}

static mien_status index_files(group_file *f) {
    const mien_dataset *set = f->set;
    if (!set->def->file)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' names files, '%s' is no folder of pictures: only one source, a csv "
                         "of faces (with a column 'row') or a folder, can have groups",
                         f->path, set->source);
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
                         "'%s' names rows, '%s' has no order of rows: only one source, a csv of "
                         "faces or a folder of pictures (with a column 'file'), can have groups",
                         f->path, set->source);
    MIEN_TRY(mien_new(&f->samples, set->source_rows, sizeof *f->samples));
    for (size_t i = 0; i < set->source_rows; i++)
        f->samples[i] = NOT_READ;
    for (size_t i = 0; i < set->count; i++)
        f->samples[set->row[i]] = (uint32_t)i;
    return MIEN_OK;
}

/* The sample of the record, NOT_READ for an image that was left out; *known: it is in the source.
 */
static mien_status find_sample(const group_file *f, uint32_t *sample, bool *known) {
    const char *name = f->fields[0];
    *sample = NOT_READ;
    if (f->files) {
        const named wanted = {.file = strncmp(name, "./", 2) == 0 ? name + 2 : name};
        const named *found = bsearch(&wanted, f->files, f->set->count, sizeof *f->files, by_file);
        *known = found != NULL;
        if (found) *sample = found->sample;
        return MIEN_OK;
    }
    if (!*name || strspn(name, "0123456789") != strlen(name))
        return MIEN_FAIL(FORMAT, "'%s': line %lld: '%.40s' is no row (a whole number from 0)",
                         f->path, f->line, name);
    const unsigned long long row = strtoull(name, NULL, 10); /* too large a one is the largest */
    *known = row < f->set->source_rows;
    if (*known) *sample = f->samples[row];
    return MIEN_OK;
}

/* ---- the file ---- */

static mien_status read_header(group_file *f, mien_groups *out) {
    if (strncmp(f->at, "\xef\xbb\xbf", 3) == 0) f->at += 3; /* byte order mark */
    MIEN_TRY(next_record(f));
    const bool rows = f->count && strcasecmp(f->fields[0], "row") == 0;
    if (f->count < 2 || (!rows && strcasecmp(f->fields[0], "file") != 0))
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld: a csv of groups begins with 'file,' or 'row,' and the "
                         "names of one or more groupings",
                         f->path, f->line);
    MIEN_TRY(mien_new(&out->columns, (size_t)f->count - 1, sizeof *out->columns));
    for (int c = 1; c < f->count; c++) {
        mien_group_column *column = &out->columns[out->count];
        MIEN_TRY(check_name(f, f->fields[c]));
        for (int k = 1; k < c; k++)
            if (strcmp(f->fields[k], f->fields[c]) == 0)
                return MIEN_FAIL(FORMAT, "'%s': line %lld: two columns are called '%s'", f->path,
                                 f->line, f->fields[c]);
        if (!*f->fields[c])
            return MIEN_FAIL(FORMAT, "'%s': line %lld: column %d has no name", f->path, f->line,
                             c + 1);
        strcpy(column->name, f->fields[c]);
        strcpy(column->values[0], "(none)");
        column->count = 1;
        out->count++;
        MIEN_TRY(mien_new(&column->of, f->set->count, 1));
    }
    return rows ? index_rows(f) : index_files(f);
}

/* The place of a value, which is new or known. */
static mien_status find_value(const group_file *f, mien_group_column *column, const char *name,
                              int *place) {
    *place = 0;
    if (!*name) return MIEN_OK;
    MIEN_TRY(check_name(f, name));
    for (int v = 0; v < column->count; v++)
        if (strcmp(column->values[v], name) == 0) {
            *place = v;
            return MIEN_OK;
        }
    if (column->count > MIEN_GROUP_VALUES)
        return MIEN_FAIL(FORMAT,
                         "'%s': line %lld: '%s' is the %dth value of the column '%s', which may "
                         "have %d: put them together to fewer (ages to ranges of years)",
                         f->path, f->line, name, MIEN_GROUP_VALUES + 1, column->name,
                         MIEN_GROUP_VALUES);
    *place = column->count++;
    strcpy(column->values[*place], name);
    return MIEN_OK;
}

static mien_status read_record(group_file *f, mien_groups *out, mien_text *unknown) {
    uint32_t sample;
    bool known = false;
    if (f->count != out->count + 1)
        return MIEN_FAIL(FORMAT, "'%s': line %lld has %d fields, the first line %d", f->path,
                         f->line, f->count, out->count + 1);
    MIEN_TRY(find_sample(f, &sample, &known));
    f->known += known;
    f->unknown += !known;
    if (!known && !unknown->size)
        mien_text_printf(unknown, "'%.200s' in line %lld", f->fields[0], f->line);
    for (int c = 0; c < out->count; c++) {
        int value;
        MIEN_TRY(find_value(f, &out->columns[c], f->fields[c + 1], &value));
        if (sample != NOT_READ) out->columns[c].of[sample] = (uint8_t)value;
    }
    if (sample == NOT_READ) return MIEN_OK;
    if (f->seen[sample])
        return MIEN_FAIL(FORMAT, "'%s': line %lld names '%.200s' a second time", f->path, f->line,
                         f->fields[0]);
    f->seen[sample] = true;
    return MIEN_OK;
}

static mien_status read_records(group_file *f, mien_groups *out, mien_text *unknown) {
    MIEN_TRY(mien_new(&f->seen, f->set->count, sizeof *f->seen));
    for (;;) {
        MIEN_TRY(next_record(f));
        if (!f->count) break;
        MIEN_TRY(read_record(f, out, unknown));
    }
    MIEN_TRY(unknown->status);
    if (!f->known && f->unknown)
        return MIEN_FAIL(INVALID, "'%s' names no image of '%s'; the first of its %zu is %s",
                         f->path, f->set->source, f->unknown, unknown->data);
    if (!f->known) return MIEN_FAIL(INVALID, "'%s' names no image", f->path);
    if (f->unknown)
        MIEN_WARN("%s: %zu of its lines name no image of '%s'; the first is %s", f->path,
                  f->unknown, f->set->source, unknown->data);
    return MIEN_OK;
}

mien_status mien_groups_read(const mien_dataset *set, const char *path, mien_groups *out) {
    group_file f = {.path = path, .set = set, .next_line = 1};
    mien_text unknown = {0};
    mien_status status;
    size_t size;
    *out = (mien_groups){0};
    MIEN_GO(mien_file_read(path, FILE_MAX, &f.text, &size));
    f.at = f.text;
    if (strlen(f.text) != size) {
        status = MIEN_FAIL(FORMAT, "'%s' is no csv: it holds zero bytes", path);
        goto out;
    }
    MIEN_GO(read_header(&f, out));
    MIEN_GO(read_records(&f, out, &unknown));
out:
    mien_text_release(&unknown);
    mien_free(f.text);
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
