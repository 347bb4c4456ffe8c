#include "host/data/records.h"

#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"

mien_status mien_records_open(mien_records *r, const char *path, size_t limit) {
    size_t size;
    *r = (mien_records){.path = path, .next_line = 1, .separator = ','};
    MIEN_TRY(mien_file_read(path, limit, &r->text, &size));
    if (strlen(r->text) != size)
        return MIEN_FAIL(FORMAT, "'%s' is not a csv: it contains NUL bytes", path);
    r->at = r->text + (strncmp(r->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0); /* byte order mark */
    return MIEN_OK;
}

/* Reads a quoted field in place: the unquoted text ends at *to, and r->at moves past the closing
 * quote. */
static mien_status read_quoted(mien_records *r, char **to) {
    for (r->at++; *r->at; r->at++) {
        if (*r->at == '\n') r->next_line++;
        if (*r->at == '"' && *++r->at != '"') {
            if (r->at[0] == '\r' && (r->at[1] == '\n' || !r->at[1])) r->at++;
            if (!*r->at || *r->at == r->separator || *r->at == '\n') return MIEN_OK;
            return MIEN_FAIL(FORMAT, "'%s': line %lld: text follows a closing quote", r->path,
                             r->next_line);
        }
        *(*to)++ = *r->at;
    }
    return MIEN_FAIL(FORMAT, "'%s': a quote that line %lld opens is never closed", r->path,
                     r->line);
}

static void read_bare(mien_records *r, char **to) {
    const size_t length = strcspn(r->at, (const char[]){r->separator, '\n', 0});
    r->at += length;
    *to = r->at;
    if (*r->at != r->separator && length && (*to)[-1] == '\r') --*to;
}

mien_status mien_records_next(mien_records *r) {
    r->count = 0;
    while (*r->at == '\n' || (*r->at == '\r' && r->at[1] == '\n')) {
        r->next_line += *r->at == '\n';
        r->at++;
    }
    r->line = r->next_line;
    for (char end = *r->at ? r->separator : 0; end && end == r->separator;) {
        char *field = r->at, *to = r->at;
        if (r->count == MIEN_FIELDS)
            return MIEN_FAIL(FORMAT, "'%s': line %lld has more than %d fields", r->path, r->line,
                             MIEN_FIELDS);
        if (*field == '"')
            MIEN_TRY(read_quoted(r, &to));
        else
            read_bare(r, &to);
        end = *r->at;
        r->at += end != 0;
        r->next_line += end == '\n';
        *to = 0;
        r->fields[r->count++] = field;
    }
    return MIEN_OK;
}

void mien_records_release(mien_records *r) {
    mien_free(r->text);
    *r = (mien_records){0};
}
