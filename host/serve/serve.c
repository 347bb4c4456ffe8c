#include "host/serve/serve.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/log.h"
#include "host/serve/routes.h"

/* A client that is in the middle of a request when the server is stopped has DRAIN_SECONDS. */
enum { CONNECTIONS = 2048, BODY_MEMORY = 256 << 20, WAIT_MILLISECONDS = 100, DESCRIPTORS = 64 };
static const double DRAIN_SECONDS = 10, QUIET_SECONDS = 0.2;

static mien_status load_module(const serve_http_module **out) {
    const mien_module *module = NULL;
    const mien_status status = mien_module_load("mien-serve", SERVE_HTTP_VERSION, &module);
    if (status == MIEN_NOT_FOUND)
        return MIEN_FAIL(UNSUPPORTED,
                         "this build cannot serve (it has no mien-serve.so): install Debian's "
                         "packages libmicrohttpd-dev and libseccomp-dev and build again with "
                         "SERVE=1");
    if (status != MIEN_OK) return status;
    *out = (const serve_http_module *)module;
    (*out)->use(&mien_program_services);
    return MIEN_OK;
}

/* As many connections as the limit on descriptors allows. */
static int connection_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return CONNECTIONS / 4;
    if (limit.rlim_cur < CONNECTIONS + DESCRIPTORS && limit.rlim_cur < limit.rlim_max) {
        const rlim_t wanted = CONNECTIONS + DESCRIPTORS;
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= CONNECTIONS + DESCRIPTORS) return CONNECTIONS;
    return limit.rlim_cur > 2 * DESCRIPTORS ? (int)limit.rlim_cur - DESCRIPTORS : DESCRIPTORS;
}

static void tell_address(const serve_options *o, int port) {
    char url[400];
    const bool bracket = strchr(o->host, ':');
    snprintf(url, sizeof url, "%s://%s%s%s:%d/", o->certificate ? "https" : "http",
             bracket ? "[" : "", o->host, bracket ? "]" : "", port);
    if (o->started) o->started(url);
}

/* Answers what has begun; the connections end with their answers. */
static void drain(serve_routes *r) {
    const double end = mien_seconds() + DRAIN_SECONDS;
    double quiet = mien_seconds();
    bool cancelled = false;
    atomic_store(&r->draining, true);
    r->module->quiesce(r->http);
    MIEN_INFO("stopping: %d requests are answered first", r->module->active(r->http));
    for (;;) {
        batch_run(r->batch, 10);
        const double now = mien_seconds();
        const int waiting = batch_length(r->batch);
        if (waiting || (r->module->active(r->http) && !cancelled)) quiet = now;
        if (now > end && !cancelled) {
            MIEN_WARN("%d requests are not answered after %.0f s", waiting, DRAIN_SECONDS);
            cancelled = true;
            batch_cancel(r->batch);
        }
        if (now - quiet > QUIET_SECONDS) return;
    }
}

static mien_status serve_until_stopped(serve_routes *r, int fd, int port) {
    const serve_options *o = r->options;
    const serve_handler handler = routes_handler(r);
    const serve_http_options options = {.listener = fd,
                                        .certificate = o->certificate,
                                        .key = o->key,
                                        .fields = routes_fields,
                                        .connections = connection_limit(),
                                        .body_memory = BODY_MEMORY,
                                        .head_seconds = 10,
                                        .body_seconds = 30,
                                        .idle_seconds = 15};
    const mien_status status = r->module->start(&options, &handler, &r->http);
    if (status != MIEN_OK) {
        close(fd);
        return status;
    }
    tell_address(o, port);
    while (!*o->stop)
        batch_run(r->batch, WAIT_MILLISECONDS);
    drain(r);
    r->module->stop(r->http);
    return MIEN_OK;
}

mien_status serve_run(const serve_options *options) {
    serve_metrics metrics = {0};
    serve_routes r = {.options = options, .metrics = &metrics};
    int fd = -1, port = 0;
    mien_status status;
    MIEN_GO(load_module(&r.module));
    MIEN_GO(access_log_open(options->log, &metrics, &r.log));
    const batch_options work = {.models = options->models,
                                .model_count = options->model_count,
                                .detector = options->detector,
                                .photos = options->photos,
                                .capacity = options->queue,
                                .threads = options->threads,
                                .metrics = &metrics,
                                .finished = routes_finished,
                                .context = &r};
    MIEN_GO(batch_open(&work, &r.batch));
    MIEN_GO(serve_listen(options->host, options->port, &fd, &port));
    status = serve_until_stopped(&r, fd, port);
out:
    batch_close(r.batch);
    access_log_close(r.log);
    return status;
}
