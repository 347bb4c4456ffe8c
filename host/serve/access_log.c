#include "host/serve/access_log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/base/clock.h"
#include "host/base/memory.h"

enum { BUFFER = 64 << 10, LINE = 512, TARGET = 200 };

struct access_log {
    access_log_sink sink;
    serve_metrics *metrics;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    char pending[BUFFER], writing[BUFFER];
    size_t pending_size, pending_lines;
    bool stop, busy, ended;
};

static void write_pending(access_log *log) {
    const size_t size = log->pending_size, lines = log->pending_lines;
    memcpy(log->writing, log->pending, size);
    log->pending_size = log->pending_lines = 0;
    pthread_mutex_unlock(&log->lock);
    if (!log->sink(log->writing, size)) atomic_fetch_add(&log->metrics->log_lines_lost, lines);
    pthread_mutex_lock(&log->lock);
}

static void *work(void *context) {
    access_log *log = context;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (!log->pending_size && !log->stop)
            pthread_cond_wait(&log->wake, &log->lock);
        if (!log->pending_size) break;
        write_pending(log);
    }
    log->ended = true;
    pthread_cond_signal(&log->idle);
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

mien_status access_log_open(access_log_sink sink, serve_metrics *metrics, access_log **out) {
    *out = NULL;
    if (!sink) return MIEN_OK;
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    access_log *log = *out;
    log->sink = sink;
    log->metrics = metrics;
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->wake, NULL);
    pthread_cond_init(&log->idle, NULL);
    if (pthread_create(&log->thread, NULL, work, log) == 0) return MIEN_OK;
    mien_free(log);
    *out = NULL;
    return MIEN_FAIL(NO_MEMORY, "a thread cannot be started");
}

/* What a client sent may have anything in it. */
static void clean(char *out, size_t size, const char *text) {
    size_t used = 0;
    for (; *text && used + 1 < size; text++)
        out[used++] = *text < ' ' || *text == 0x7f || *text == '"' || *text == '\\' ? '?' : *text;
    out[used] = 0;
}

void access_log_add(access_log *log, const serve_request *r, int status, size_t bytes,
                    double seconds) {
    char line[LINE], now[32], method[16], target[TARGET];
    if (!log) return;
    mien_timestamp(now);
    clean(method, sizeof method, r->method);
    clean(target, sizeof target, r->target);
    const int size =
        snprintf(line, sizeof line, "%s %s \"%s %s\" %d %zu bytes %.1f ms\n", now,
                 *r->peer ? r->peer : "-", method, target, status, bytes, 1e3 * seconds);
    pthread_mutex_lock(&log->lock);
    if (size > 0 && (size_t)size < sizeof line && log->pending_size + (size_t)size <= BUFFER) {
        memcpy(log->pending + log->pending_size, line, (size_t)size);
        log->pending_size += (size_t)size;
        log->pending_lines++;
        pthread_cond_signal(&log->wake);
    } else {
        atomic_fetch_add(&log->metrics->log_lines_lost, 1);
    }
    pthread_mutex_unlock(&log->lock);
}

void access_log_close(access_log *log) {
    struct timespec until;
    if (!log) return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_mutex_lock(&log->lock);
    log->stop = true;
    pthread_cond_signal(&log->wake);
    int waited = 0;
    while (!log->ended && waited == 0)
        waited = pthread_cond_timedwait(&log->idle, &log->lock, &until);
    const bool ended = log->ended;
    pthread_mutex_unlock(&log->lock);
    if (!ended) { /* it hangs in the sink for ever: leave it behind */
        pthread_detach(log->thread);
        return;
    }
    pthread_join(log->thread, NULL);
    mien_free(log);
}
