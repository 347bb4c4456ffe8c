#include "host/serve/multipart.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 2048 };

typedef struct span {
    const char *at;
    size_t size;
} span;

bool multipart_is(const char *type) {
    static const char wanted[] = "multipart/form-data";
    const size_t length = sizeof wanted - 1;
    return type && strncasecmp(type, wanted, length) == 0 &&
           (type[length] == 0 || strchr("; \t", type[length]));
}

/* The value of a parameter in `; name=value; other="quoted"`. A browser writes a quote inside a
 * file name as %22; a backslash before a quote is understood as well. */
static bool parameter(span text, const char *name, char *out, size_t capacity) {
    const char *at = text.at, *end = text.at + text.size;
    const size_t length = strlen(name);
    while (at < end) {
        while (at < end && (*at == ';' || *at == ' ' || *at == '\t'))
            at++;
        const char *word = at;
        while (at < end && *at != '=' && *at != ';')
            at++;
        const bool mine = (size_t)(at - word) == length && strncasecmp(word, name, length) == 0;
        size_t used = 0;
        if (at < end && *at == '=') at++;
        const bool quoted = at < end && *at == '"';
        at += quoted;
        while (at < end && (quoted ? *at != '"' : *at != ';' && *at != ' ' && *at != '\t')) {
            if (quoted && *at == '\\' && at + 1 < end) at++;
            if (mine && used + 1 < capacity) out[used++] = *at;
            at++;
        }
        if (quoted && at == end) return false;
        at += quoted;
        if (mine) {
            out[used] = 0;
            return true;
        }
    }
    return false;
}

/* RFC 2046: 1 to 70 of certain characters. */
static bool read_boundary(const char *type, char out[MULTIPART_BOUNDARY + 5]) {
    const char *rest = strchr(type, ';');
    char found[MULTIPART_BOUNDARY + 2];
    if (!rest || !parameter((span){rest, strlen(rest)}, "boundary", found, sizeof found))
        return false;
    const size_t length = strlen(found);
    if (length == 0 || length > MULTIPART_BOUNDARY) return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)found[i]) && !strchr("'()+_,-./:=? ", found[i])) return false;
    memcpy(out, "\r\n--", 4);
    memcpy(out + 4, found, length + 1);
    return true;
}

/* Goes past one line of a part's head and returns it without its end; false if it has no end. */
static bool next_line(span *rest, span *line) {
    const char *end = memmem(rest->at, rest->size, "\r\n", 2);
    if (!end) return false;
    *line = (span){rest->at, (size_t)(end - rest->at)};
    rest->size -= line->size + 2;
    rest->at = end + 2;
    return true;
}

/* Only the last part of the name, as some clients send the whole path. */
static void keep_name(const char *given, char out[MULTIPART_NAME]) {
    const char *name = given;
    for (const char *c = given; *c; c++)
        if (*c == '/' || *c == '\\') name = c + 1;
    size_t used = 0;
    for (; *name && used + 1 < MULTIPART_NAME; name++)
        if ((unsigned char)*name >= ' ' && *name != 0x7f) out[used++] = *name;
    out[used] = 0;
}

/* Reads the head of a part; *mine if its name is `image`. NULL or what is wrong. */
static const char *read_head(span *rest, multipart_file *out, bool *mine) {
    static const char disposition[] = "content-disposition:";
    const char *begin = rest->at;
    span line;
    *mine = false;
    for (;;) {
        if (!next_line(rest, &line) || rest->at - begin > HEAD_MAX)
            return "a part of the multipart body has no end of its head";
        if (line.size == 0) return NULL;
        if (line.size < sizeof disposition - 1 ||
            strncasecmp(line.at, disposition, sizeof disposition - 1) != 0)
            continue;
        char name[16] = "", file[512] = "";
        const char *at = memchr(line.at, ';', line.size);
        if (!at) continue;
        const span parameters = {at, line.size - (size_t)(at - line.at)};
        *mine = parameter(parameters, "name", name, sizeof name) && strcmp(name, "image") == 0;
        if (*mine && parameter(parameters, "filename", file, sizeof file))
            keep_name(file, out->name);
    }
}

/* After a boundary: "--" ends the body, a line break begins a part. */
static bool at_end(const span *rest) {
    return rest->size >= 2 && memcmp(rest->at, "--", 2) == 0;
}

static bool at_part(span *rest) {
    while (rest->size && (*rest->at == ' ' || *rest->at == '\t')) {
        rest->at++;
        rest->size--;
    }
    if (rest->size < 2 || memcmp(rest->at, "\r\n", 2) != 0) return false;
    rest->at += 2;
    rest->size -= 2;
    return true;
}

const char *multipart_find(const char *type, const char *body, size_t size, multipart_file *out) {
    char mark[MULTIPART_BOUNDARY + 5];
    bool found = false;
    *out = (multipart_file){0};
    if (!read_boundary(type, mark)) return "the multipart body has no valid boundary";
    const size_t length = strlen(mark);
    span rest = {body, size};
    /* the first boundary may be at the very beginning */
    const char *at = size >= length - 2 && memcmp(body, mark + 2, length - 2) == 0
                         ? body - 2
                         : memmem(body, size, mark, length);
    if (!at) return "the multipart body has no part";
    for (int parts = 0;; parts++) {
        bool mine;
        rest = (span){at + length, (size_t)(body + size - (at + length))};
        if (at_end(&rest)) break;
        if (parts == MULTIPART_PARTS) return "the multipart body has too many parts";
        if (!at_part(&rest)) return "a boundary of the multipart body is damaged";
        const char *problem = read_head(&rest, out, &mine);
        if (problem) return problem;
        /* an empty part: the boundary follows the empty line of the head */
        at = rest.size + 2 >= length && memcmp(rest.at - 2, mark, length) == 0
                 ? rest.at - 2
                 : memmem(rest.at, rest.size, mark, length);
        if (!at) return "the multipart body has no end";
        if (mine && found) return "the multipart body has more than one field 'image'";
        if (mine) {
            out->data = rest.at;
            out->size = at > rest.at ? (size_t)(at - rest.at) : 0;
            found = true;
        }
    }
    return found ? NULL : "the multipart body has no field 'image'";
}
