#include "host/serve/limits.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_LENGTH = 255 };

bool serve_refuse(serve_problem *out, int status, const char *code, const char *format, ...) {
    va_list args;
    *out = (serve_problem){.status = status, .code = code};
    va_start(args, format);
    vsnprintf(out->message, sizeof out->message, format, args);
    va_end(args);
    return false;
}

/* The request cannot be trusted to end where it seems to. */
static bool malformed(serve_problem *out, const char *message) {
    serve_refuse(out, 400, "bad_request", "%s", message);
    out->close = true;
    return false;
}

const char *serve_field_of(const serve_request *request, const char *name) {
    for (size_t i = 0; i < request->field_count && i < SERVE_FIELDS; i++)
        if (strcasecmp(request->fields[i].name, name) == 0) return request->fields[i].value;
    return NULL;
}

static int count_of(const serve_request *request, const char *name) {
    int count = 0;
    for (size_t i = 0; i < request->field_count; i++)
        count += strcasecmp(request->fields[i].name, name) == 0;
    return count;
}

/* ---- syntax ---- */

static bool is_token(const char *text) {
    const char *c = text;
    while (*c && (isalnum((unsigned char)*c) || strchr("!#$%&'*+-.^_`|~", *c)))
        c++;
    return c > text && !*c;
}

static bool check_fields(const serve_request *r, serve_problem *out) {
    if (r->field_count > SERVE_FIELDS || r->head_bytes > SERVE_HEAD_MAX) {
        serve_refuse(out, 431, "head_too_large",
                     "the request has more than %d header fields or %d KiB of them", SERVE_FIELDS,
                     SERVE_HEAD_MAX >> 10);
        out->close = true;
        return false;
    }
    for (size_t i = 0; i < r->field_count; i++) {
        if (!is_token(r->fields[i].name))
            return malformed(out, "the name of a header field is not a word");
        for (const char *c = r->fields[i].value; *c; c++)
            if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
                return malformed(out, "a header field has a control character");
    }
    return true;
}

/* Files come from a table, so nothing can be reached with a strange path; it is a sign of an
 * attack. */
static bool check_target(const char *target, serve_problem *out) {
    const size_t path = strcspn(target, "?");
    if (strlen(target) > SERVE_TARGET_MAX)
        return serve_refuse(out, 414, "target_too_long", "the address is longer than %d bytes",
                            SERVE_TARGET_MAX);
    if (*target != '/') return malformed(out, "the address must be a path that begins with '/'");
    for (size_t i = 0; target[i]; i++)
        if (!isgraph((unsigned char)target[i]) || strchr("\"<>\\^`{|}#", target[i]))
            return malformed(out, "the address has a character that must be encoded");
    for (size_t i = 0; i < path; i++)
        if (target[i] == '%' ||
            (target[i] == '/' && (target[i + 1] == '/' || target[i + 1] == '.')))
            return malformed(out, "the path has an encoded character, an empty part or a dot");
    return true;
}

/* Two readings of where a body ends would let one request hide in another. */
static bool check_length(const serve_request *r, serve_problem *out) {
    const char *coding = serve_field_of(r, "Transfer-Encoding");
    const char *length = serve_field_of(r, "Content-Length");
    if (count_of(r, "Content-Length") > 1 || count_of(r, "Transfer-Encoding") > 1)
        return malformed(out, "the length of the body is given twice");
    if (coding && length)
        return malformed(out, "Content-Length and Transfer-Encoding exclude each other");
    if (coding && strcasecmp(coding, "chunked") != 0) {
        serve_refuse(out, 501, "unknown_coding", "the only transfer coding is chunked");
        out->close = true;
        return false;
    }
    if (coding && strcmp(r->version, "HTTP/1.1") != 0)
        return malformed(out, "Transfer-Encoding needs HTTP/1.1");
    if (length && (!*length || strspn(length, "0123456789") != strlen(length)))
        return malformed(out, "Content-Length is not a number");
    if (strcmp(r->method, "POST") != 0) return true; /* limits_no_body, or its address refuses it */
    if (!coding && !length)
        return serve_refuse(out, 411, "length_required", "a POST needs a Content-Length");
    if (length && (strlen(length) > 18 || strtoll(length, NULL, 10) > SERVE_BODY_MAX))
        return serve_refuse(out, 413, "body_too_large", "the body may have %d MiB at most",
                            SERVE_BODY_MAX >> 20);
    return true;
}

bool limits_no_body(const serve_request *request, serve_problem *out) {
    const char *length = serve_field_of(request, "Content-Length");
    if (!serve_field_of(request, "Transfer-Encoding") &&
        (!length || strspn(length, "0") == strlen(length)))
        return true;
    return malformed(out, "a request of this method has no body");
}

bool limits_live(const char *target, bool *live, serve_problem *out) {
    static const char name[] = "live=";
    *live = false;
    for (const char *at = strchr(target, '?'); at; at = strchr(at, '&')) {
        if (strncmp(++at, name, sizeof name - 1) != 0) continue;
        const char *value = at + sizeof name - 1;
        if (*value != '1' || (value[1] && value[1] != '&'))
            return serve_refuse(out, 400, "bad_request", "the only value of 'live' is 1");
        *live = true;
    }
    return true;
}

static bool check_expect(const serve_request *r, serve_problem *out) {
    const char *expect = serve_field_of(r, "Expect");
    if (!expect || strcasecmp(expect, "100-continue") == 0) return true;
    return serve_refuse(out, 417, "unknown_expectation", "the only expectation is 100-continue");
}

/* ---- hosts ---- */

/* Splits "name:port", "1.2.3.4:port" or "[::1]:port"; the name goes to out[NAME_MAX_LENGTH + 1] in
 * lower case, without brackets and without a final dot. */
static bool split_host(const char *text, char *out) {
    const bool bracket = *text == '[';
    const char *begin = text + bracket, *end = begin + strcspn(begin, bracket ? "]" : ":");
    size_t length = (size_t)(end - begin);
    if (bracket && *end++ != ']') return false;
    if (length == 0 || length > NAME_MAX_LENGTH) return false;
    if (*end == ':') {
        const size_t digits = strspn(end + 1, "0123456789");
        if (digits > 5 || end[1 + digits]) return false;
    } else if (*end) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)begin[i];
        if (!(isalnum(c) || c == '.' || (bracket ? c == ':' : c == '-' || c == '_'))) return false;
        out[i] = (char)tolower(c);
    }
    if (length > 1 && out[length - 1] == '.') length--;
    out[length] = 0;
    return true;
}

bool limits_loopback(const char *name) {
    return strcasecmp(name, "localhost") == 0 || strcmp(name, "::1") == 0 ||
           (strncmp(name, "127.", 4) == 0 && strspn(name, "0123456789.") == strlen(name));
}

bool limits_host_name(const char *name) {
    char out[NAME_MAX_LENGTH + 1];
    struct in6_addr address;
    return strchr(name, ':') ? inet_pton(AF_INET6, name, &address) == 1 : split_host(name, out);
}

static bool is_allowed(const serve_limits *limits, const char *name) {
    if (limits_loopback(name)) return true;
    for (int i = 0; i < limits->name_count; i++)
        if (strcasecmp(limits->names[i], name) == 0) return true;
    return false;
}

/* A page of another site can make a browser send requests to this server under a name of its own
 * that leads here; the browser then says that name. */
static bool check_host(const serve_limits *limits, const serve_request *r, serve_problem *out) {
    char name[NAME_MAX_LENGTH + 1];
    const char *host = serve_field_of(r, "Host");
    if (count_of(r, "Host") != 1) return malformed(out, "a request needs one Host field");
    if (!split_host(host, name)) return malformed(out, "the Host field is not a host");
    if (is_allowed(limits, name)) return true;
    return serve_refuse(out, 421, "host_not_allowed",
                        "this server does not answer for '%.100s'; start it with --allow-host "
                        "%.100s if it should",
                        name, name);
}

/* A browser adds Origin to each POST: the page must come from this server. */
static bool check_origin(const serve_request *r, serve_problem *out) {
    const char *origin = serve_field_of(r, "Origin"), *host = serve_field_of(r, "Host");
    const char *site = serve_field_of(r, "Sec-Fetch-Site");
    if (strcmp(r->method, "POST") != 0) return true;
    const char *from = origin ? strstr(origin, "://") : NULL;
    const bool same = from && count_of(r, "Origin") == 1 && strcasecmp(from + 3, host) == 0;
    if ((!origin || same) &&
        (!site || strcasecmp(site, "same-origin") == 0 || strcasecmp(site, "none") == 0))
        return true;
    return serve_refuse(out, 403, "foreign_origin",
                        "requests from the pages of other sites are refused");
}

bool limits_check(const serve_limits *limits, const serve_request *r, serve_problem *out) {
    if (strcmp(r->version, "HTTP/1.1") != 0 && strcmp(r->version, "HTTP/1.0") != 0) {
        serve_refuse(out, 505, "unknown_version", "the server speaks HTTP/1.1 and HTTP/1.0");
        out->close = true;
        return false;
    }
    return check_fields(r, out) && check_target(r->target, out) && check_length(r, out) &&
           check_host(limits, r, out) && check_origin(r, out) && check_expect(r, out);
}
