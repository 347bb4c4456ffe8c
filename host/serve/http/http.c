/* Requests and responses. One thread of the library has all connections (epoll); while a request is
 * being worked on, its connection is suspended. */
#include "host/serve/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/memory.h"

/* HEAD_MEMORY: of one connection, for its head and the library's own use. A body that is not wanted
 * is read up to DISCARD_MAX before the answer, because closing a socket with unread bytes resets
 * the connection and the client may never see the answer. */
enum { HEAD_MEMORY = 32 << 10, FIRST_BODY = 16 << 10, DISCARD_MAX = 128 << 20 };

typedef struct http {
    struct MHD_Daemon *daemon;
    serve_http_options options;
    serve_handler handler;
    http_deadlines deadlines;
    _Atomic size_t body_memory;
    _Atomic int active;
} http;

typedef enum phase { HEAD, READING, DISCARDING, WORKING, ANSWERED, QUEUED } phase;

typedef struct exchange {
    http *http;
    struct MHD_Connection *connection;
    http_connection *timer;
    phase phase;
    char *target;
    serve_request request;
    serve_response response;
    size_t most, capacity, discarded;
    double start;
    bool begun; /* its head was whole */
} exchange;

/* ---- responses ---- */

static void add_fields(const exchange *e, struct MHD_Response *out) {
    const serve_response *r = &e->response;
    char number[16];
    for (const serve_field *f = e->http->options.fields; f && f->name; f++)
        MHD_add_response_header(out, f->name, f->value);
    if (r->type) MHD_add_response_header(out, "Content-Type", r->type);
    if (r->allow) MHD_add_response_header(out, "Allow", r->allow);
    if (r->challenge) MHD_add_response_header(out, "WWW-Authenticate", "Bearer realm=\"mien\"");
    if (r->close) MHD_add_response_header(out, "Connection", "close");
    if (r->retry_after) {
        snprintf(number, sizeof number, "%d", r->retry_after);
        MHD_add_response_header(out, "Retry-After", number);
    }
}

static enum MHD_Result send_response(exchange *e) {
    serve_response *r = &e->response;
    struct MHD_Response *out =
        r->body ? MHD_create_response_from_buffer_with_free_callback(r->size, r->body, mien_free)
                : MHD_create_response_from_buffer(r->size, (void *)(uintptr_t)r->fixed,
                                                  MHD_RESPMEM_PERSISTENT);
    if (!out) return MHD_NO;
    r->body = NULL; /* the library's now */
    add_fields(e, out);
    e->phase = QUEUED;
    deadlines_set(&e->http->deadlines, e->timer, e->http->options.body_seconds, false);
    const enum MHD_Result result = MHD_queue_response(e->connection, (unsigned)r->status, out);
    MHD_destroy_response(out);
    return result;
}

static void answer(void *context, const serve_response *response) {
    exchange *e = context;
    e->response = *response;
    e->phase = ANSWERED;
    MHD_resume_connection(e->connection);
}

/* ---- requests ---- */

static enum MHD_Result add_field(void *context, enum MHD_ValueKind kind, const char *name,
                                 const char *value) {
    serve_request *r = context;
    (void)kind;
    if (r->field_count < SERVE_FIELDS)
        r->fields[r->field_count] = (serve_field){name, value ? value : ""};
    r->field_count++;
    return MHD_YES;
}

static const char *field(const serve_request *r, const char *name) {
    for (size_t i = 0; i < r->field_count && i < SERVE_FIELDS; i++)
        if (strcasecmp(r->fields[i].name, name) == 0) return r->fields[i].value;
    return NULL;
}

static void read_peer(exchange *e) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info ? info->client_addr : NULL;
    char *out = e->request.peer;
    if (a && a->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, out,
                  SERVE_PEER);
    else if (a && a->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, out,
                  SERVE_PEER);
}

/* The answer is known before the body. The body is read all the same, unless the client waits for a
 * word or announces too much; for the library, an answer at the first call ends the connection,
 * even where there is no body. */
static enum MHD_Result refuse_body(exchange *e) {
    const char *length = field(&e->request, "Content-Length");
    const unsigned long long announced = length ? strtoull(length, NULL, 10) : 0;
    if (field(&e->request, "Expect") || announced > DISCARD_MAX || e->response.close)
        return send_response(e);
    e->phase = DISCARDING;
    deadlines_set(&e->http->deadlines, e->timer, e->http->options.body_seconds, true);
    return MHD_YES;
}

static enum MHD_Result begin(exchange *e, const char *method, const char *version) {
    const union MHD_ConnectionInfo *info;
    serve_request *r = &e->request;
    const serve_handler *handler = &e->http->handler;
    r->method = method;
    r->version = version;
    r->target = e->target ? e->target : "";
    MHD_get_connection_values(e->connection, MHD_HEADER_KIND, add_field, r);
    info = MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (info) r->head_bytes = info->header_size;
    read_peer(e);
    e->begun = true;
    if (!handler->begin(handler->context, r, &e->most, &e->response)) return refuse_body(e);
    e->phase = READING;
    deadlines_set(&e->http->deadlines, e->timer, e->http->options.body_seconds, true);
    return MHD_YES;
}

static void drop_body(exchange *e) {
    mien_free(e->request.body);
    atomic_fetch_sub(&e->http->body_memory, e->capacity);
    e->request.body = NULL;
    e->request.body_size = e->capacity = 0;
}

static void refuse(exchange *e, int status) {
    drop_body(e);
    e->http->handler.refuse(e->http->handler.context, status, &e->response);
    e->phase = DISCARDING;
}

/* Memory follows what has arrived, not what is announced. */
static void append(exchange *e, const char *data, size_t size) {
    serve_request *r = &e->request;
    const size_t need = r->body_size + size;
    if (need > e->most) {
        refuse(e, 413);
        return;
    }
    if (need > e->capacity) {
        size_t wanted = e->capacity ? 2 * e->capacity : FIRST_BODY;
        if (wanted < need) wanted = need;
        if (wanted > e->most) wanted = e->most;
        const size_t old = e->capacity;
        const size_t before = atomic_fetch_add(&e->http->body_memory, wanted - old);
        if (before + wanted - old > e->http->options.body_memory ||
            mien_grow_to(&r->body, &e->capacity, wanted, 1) != MIEN_OK) {
            atomic_fetch_sub(&e->http->body_memory, wanted - old);
            refuse(e, 503);
            return;
        }
    }
    memcpy(r->body + r->body_size, data, size);
    r->body_size = need;
}

static void finish(exchange *e) {
    const serve_handler *handler = &e->http->handler;
    e->phase = WORKING;
    deadlines_set(&e->http->deadlines, e->timer, 0, false);
    /* before the work begins: another thread may resume it at once */
    MHD_suspend_connection(e->connection);
    atomic_fetch_sub(&e->http->body_memory, e->capacity);
    e->capacity = 0;
    handler->finish(handler->context, &e->request, e);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state) {
    exchange *e = *state;
    (void)context;
    (void)connection;
    (void)url;
    if (!e) return MHD_NO;
    switch (e->phase) {
    case HEAD:
        return begin(e, method, version);
    case READING:
        if (!*size) {
            finish(e);
            return MHD_YES;
        }
        append(e, data, *size);
        *size = 0;
        return MHD_YES;
    case DISCARDING:
        if (!*size) return send_response(e);
        e->discarded += *size;
        *size = 0;
        return e->discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
    case ANSWERED:
        return send_response(e);
    case WORKING:
    case QUEUED:
        return MHD_YES;
    }
    return MHD_NO;
}

/* ---- connections ---- */

static http_connection *timer_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* The request line has arrived. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection) {
    http *h = context;
    exchange *e;
    if (mien_new(&e, 1, sizeof *e) != MIEN_OK) return NULL;
    e->http = h;
    e->connection = connection;
    e->timer = timer_of(connection);
    e->start = mien_seconds();
    atomic_fetch_add(&h->active, 1);
    if (mien_copy_text(&e->target, target) != MIEN_OK) e->target = NULL;
    deadlines_set(&h->deadlines, e->timer, h->options.head_seconds, true);
    return e;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    http *h = context;
    exchange *e = *state;
    (void)connection;
    if (!e) return;
    if (e->begun) {
        const bool sent = e->phase == QUEUED && code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
        h->handler.done(h->handler.context, &e->request, sent ? e->response.status : 0,
                        e->response.size, mien_seconds() - e->start);
    }
    atomic_fetch_sub(&h->active, 1);
    deadlines_set(&h->deadlines, e->timer, h->options.idle_seconds + h->options.head_seconds, true);
    drop_body(e);
    mien_free(e->response.body);
    mien_free(e->target);
    mien_free(e);
    *state = NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode code) {
    http *h = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        deadlines_remove(&h->deadlines, *state);
        *state = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *state = deadlines_add(&h->deadlines, info ? info->connect_fd : -1, h->options.head_seconds);
}

__attribute__((format(printf, 2, 0))) static void on_log(void *context, const char *format,
                                                         va_list args) {
    char line[256];
    (void)context;
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = 0;
    mien_log(MIEN_LOG_DEBUG, "http: %s", line);
}

/* ---- the module's functions ---- */

static mien_status start(const serve_http_options *options, const serve_handler *handler,
                         void **out) {
    http *h;
    MIEN_TRY(mien_new(&h, 1, sizeof *h));
    h->options = *options;
    h->handler = *handler;
    const mien_status status = deadlines_start(&h->deadlines);
    if (status != MIEN_OK) {
        mien_free(h);
        return status;
    }
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
         (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3"},
        {MHD_OPTION_END, 0, NULL}};
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC |
                           MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                           (options->certificate ? MHD_USE_TLS : 0);
    if (!options->certificate) tls[0] = tls[3];
    h->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, options->listener, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)options->connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)options->idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, h,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        h, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (!h->daemon) {
        deadlines_stop(&h->deadlines);
        mien_free(h);
        return options->certificate
                   ? MIEN_FAIL(INVALID, "the certificate and the key of --tls-cert and --tls-key "
                                        "cannot be used: give PEM files that belong together")
                   : MIEN_FAIL(IO, "the HTTP server cannot be started");
    }
    *out = h;
    return MIEN_OK;
}

static void quiesce(void *context) {
    http *h = context;
    const MHD_socket listener = MHD_quiesce_daemon(h->daemon);
    if (listener == MHD_INVALID_SOCKET) return;
    for (;;) {
        struct sockaddr_storage address;
        socklen_t length = sizeof address;
        const int fd =
            accept4(listener, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && errno == EINTR) continue;
        if (fd < 0) break;
        MHD_add_connection(h->daemon, fd, (const struct sockaddr *)&address, length);
    }
    close(listener);
}

static int active(void *context) {
    http *h = context;
    return atomic_load(&h->active);
}

static int connections(void *context) {
    http *h = context;
    return deadlines_count(&h->deadlines);
}

static void stop(void *context) {
    http *h = context;
    MHD_stop_daemon(h->daemon);
    deadlines_stop(&h->deadlines);
    mien_free(h);
}

extern const serve_http_module mien_module_table;
const serve_http_module mien_module_table = {
    .head = {SERVE_HTTP_VERSION, "serve"},
    .use = mien_services_use,
    .start = start,
    .answer = answer,
    .quiesce = quiesce,
    .active = active,
    .connections = connections,
    .stop = stop,
};
