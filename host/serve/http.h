/* Between the server and the HTTP library, which is in the module mien-serve.so (host/serve/http):
 * what a request looks like, what a response looks like, and who calls whom. */
#ifndef HOST_SERVE_HTTP_H
#define HOST_SERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/module.h"
#include "host/base/services.h"

enum { SERVE_HTTP_VERSION = 1, SERVE_PEER = 64, SERVE_FIELDS = 100 };

typedef struct serve_field {
    const char *name, *value;
} serve_field;

typedef struct serve_request {
    const char *method, *version; /* "POST", "HTTP/1.1" */
    const char *target;           /* path and query as they were sent */
    serve_field fields[SERVE_FIELDS];
    size_t field_count; /* may be larger than SERVE_FIELDS; the others are not stored */
    size_t head_bytes;  /* request line and header fields */
    char peer[SERVE_PEER];
    uint8_t *body; /* in `finish`; take it by setting it to NULL, free it with mien_free */
    size_t body_size;
} serve_request;

typedef struct serve_response {
    int status;
    const char *type;  /* its media type */
    const void *fixed; /* a body that outlives the server, or */
    char *body;        /* one to free with mien_free */
    size_t size;
    int retry_after;   /* seconds; 0: no such field */
    const char *allow; /* for 405; NULL: no such field */
    bool challenge;    /* 401: ask for a bearer token */
    bool close;        /* end the connection afterwards */
} serve_response;

/* The server's half; the functions are called by the library's thread. */
typedef struct serve_handler {
    void *context;
    /* The head has arrived. True: read a body of at most *most bytes and call `finish`. False: *out
     * is the answer. */
    bool (*begin)(void *context, const serve_request *request, size_t *most, serve_response *out);
    /* The whole request has arrived. The module's `answer` must be called once for `exchange`, now
     * or later, by any thread. */
    void (*finish)(void *context, serve_request *request, void *exchange);
    /* Fills *out for a body that is larger than `most` (status 413), that does not fit in memory
     * beside the others (503). */
    void (*refuse)(void *context, int status, serve_response *out);
    /* After a response; `status` 0: the client went away before it. */
    void (*done)(void *context, const serve_request *request, int status, size_t bytes,
                 double seconds);
} serve_handler;

typedef struct serve_http_options {
    int listener;              /* a listening socket */
    const char *certificate;   /* PEM; NULL: no TLS */
    const char *key;           /* PEM */
    const serve_field *fields; /* sent with each response, up to one without a name */
    int connections;           /* at most */
    size_t body_memory;        /* bytes of bodies that are being received at most */
    double head_seconds, body_seconds, idle_seconds;
} serve_http_options;

typedef struct serve_http_module {
    mien_module head;
    void (*use)(const mien_services *services);
    mien_status (*start)(const serve_http_options *options, const serve_handler *handler,
                         void **out);
    /* Takes over the body of *response. */
    void (*answer)(void *exchange, const serve_response *response);
    /* Accepts what is waiting at the socket and closes it; open connections go on. */
    void (*quiesce)(void *http);
    /* Requests that have begun and are not answered. */
    int (*active)(void *http);
    int (*connections)(void *http);
    void (*stop)(void *http);
} serve_http_module;

#endif
