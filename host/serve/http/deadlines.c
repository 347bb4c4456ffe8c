#include <sys/socket.h>
#include <time.h>

#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/serve/http/http.h"

enum { CHECK_MILLISECONDS = 50 };

/* Which clients have closed their side. The library misses that if it arrives together with bytes:
 * epoll only tells it of changes, and this one was told before it was interested. */
static bool poll_all(http_deadlines *d) {
    nfds_t n = 0;
    if (mien_grow(&d->polled, &d->capacity, (size_t)d->count + 1, sizeof *d->polled) != MIEN_OK)
        return false;
    for (const http_connection *c = d->list.next; c != &d->list; c = c->next)
        d->polled[n++] = (struct pollfd){.fd = c->reading ? c->fd : -1, .events = POLLRDHUP};
    return n && poll(d->polled, n, 0) > 0;
}

/* A connection is only shut down here: the library notices, closes the descriptor and calls
 * deadlines_remove before, so that the number cannot belong to another connection. A side that was
 * closed at the last check as well will send no more of a request that has not arrived since. */
static void cut_late(http_deadlines *d) {
    const double now = mien_seconds();
    const bool polled = poll_all(d);
    size_t i = 0;
    for (http_connection *c = d->list.next; c != &d->list; c = c->next, i++) {
        const bool ended = polled && d->polled[i].revents != 0;
        if (c->end && (c->end < now || (ended && c->ended))) {
            shutdown(c->fd, SHUT_RDWR);
            c->end = 0;
            c->reading = false;
        }
        c->ended = ended;
    }
}

static void *watch(void *context) {
    http_deadlines *d = context;
    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += CHECK_MILLISECONDS * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&d->wake, &d->lock, &until);
        cut_late(d);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

mien_status deadlines_start(http_deadlines *d) {
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    d->list.next = d->list.previous = &d->list;
    d->running = pthread_create(&d->thread, NULL, watch, d) == 0;
    return d->running ? MIEN_OK : MIEN_FAIL(NO_MEMORY, "a thread cannot be started");
}

void deadlines_stop(http_deadlines *d) {
    if (!d->running) return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    mien_free(d->polled);
    d->running = false;
}

http_connection *deadlines_add(http_deadlines *d, int fd, double seconds) {
    http_connection *c;
    if (mien_new(&c, 1, sizeof *c) != MIEN_OK) return NULL;
    c->fd = fd;
    c->end = mien_seconds() + seconds;
    c->reading = true;
    pthread_mutex_lock(&d->lock);
    c->next = &d->list;
    c->previous = d->list.previous;
    c->previous->next = c->next->previous = c;
    d->count++;
    pthread_mutex_unlock(&d->lock);
    return c;
}

void deadlines_set(http_deadlines *d, http_connection *connection, double seconds, bool reading) {
    if (!connection) return;
    pthread_mutex_lock(&d->lock);
    connection->end = seconds > 0 ? mien_seconds() + seconds : 0;
    connection->reading = reading;
    connection->ended = false;
    pthread_mutex_unlock(&d->lock);
}

void deadlines_remove(http_deadlines *d, http_connection *connection) {
    if (!connection) return;
    pthread_mutex_lock(&d->lock);
    connection->previous->next = connection->next;
    connection->next->previous = connection->previous;
    d->count--;
    pthread_mutex_unlock(&d->lock);
    mien_free(connection);
}

int deadlines_count(http_deadlines *d) {
    pthread_mutex_lock(&d->lock);
    const int count = d->count;
    pthread_mutex_unlock(&d->lock);
    return count;
}
