/* The module mien-serve.so: HTTP/1.1 by libmicrohttpd. http.c requests and responses, deadlines.c
 * the time that a connection may take. */
#ifndef HOST_SERVE_HTTP_HTTP_H
#define HOST_SERVE_HTTP_HTTP_H

#include <poll.h>
#include <pthread.h>

#include "host/serve/http.h"

/* A connection and when it will be cut. The library's own timeout only knows silence: a client that
 * sends a byte now and then would stay for ever. */
typedef struct http_connection {
    int fd;
    double end;   /* 0: no deadline */
    bool reading; /* it is the client's turn */
    bool ended;   /* the client had closed its side at the last check */
    struct http_connection *next, *previous;
} http_connection;

typedef struct http_deadlines {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    http_connection list; /* a ring */
    struct pollfd *polled;
    size_t capacity;
    int count;
    bool running, stop;
} http_deadlines;

mien_status deadlines_start(http_deadlines *d);
void deadlines_stop(http_deadlines *d);
http_connection *deadlines_add(http_deadlines *d, int fd, double seconds);
/* Ends in `seconds` from now; 0: never. `reading`: and soon after the client has closed its side.
 */
void deadlines_set(http_deadlines *d, http_connection *connection, double seconds, bool reading);
void deadlines_remove(http_deadlines *d, http_connection *connection);
int deadlines_count(http_deadlines *d);

#endif
