/* What a request must keep to before anything is done for it. The HTTP library is lenient with
 * malformed requests, so Host, Origin, lengths and paths are checked here. */
#ifndef HOST_SERVE_LIMITS_H
#define HOST_SERVE_LIMITS_H

#include "host/serve/http.h"

enum {
    SERVE_BODY_MAX = 10 << 20,
    SERVE_HEAD_MAX = 16 << 10,
    SERVE_TARGET_MAX = 2048,
    SERVE_PIXELS_MAX = 16000000
};

typedef struct serve_limits {
    const char *const *names; /* [name_count] hosts besides the loopback ones that Host may name */
    int name_count;
} serve_limits;

/* Why a request is refused. */
typedef struct serve_problem {
    int status;       /* of HTTP */
    const char *code; /* for programs: "host_not_allowed" */
    char message[240];
    bool close; /* the connection cannot be used further */
} serve_problem;

/* False and *out if the head of a request is malformed, too large, or meant for another host or
 * sent by the page of another one. */
bool limits_check(const serve_limits *limits, const serve_request *request, serve_problem *out);

/* False and *out if a request has a body, which a GET must not: a proxy may take it for the next
 * request. */
bool limits_no_body(const serve_request *request, serve_problem *out);

/* Reads the parameter `live` of "/v1/predict?live=1"; false and *out if it has another value. */
bool limits_live(const char *target, bool *live, serve_problem *out);

/* Fills *out and returns false. */
bool serve_refuse(serve_problem *out, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The value of a field, NULL if it is missing; the first of several. */
const char *serve_field_of(const serve_request *request, const char *name);
/* "localhost" or an address of the loopback network, without a port. */
bool limits_loopback(const char *name);
/* Whether a host name or address can be meant by --allow-host: no port, no scheme, no path. */
bool limits_host_name(const char *name);

#endif
