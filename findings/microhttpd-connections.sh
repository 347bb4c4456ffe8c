#!/usr/bin/env bash
# libmicrohttpd 0.9.75 (Debian 12): when a connection ends, and when it does not.
#
# 1. A handler that answers a GET without a body at its first call.
#    Expected: the connection is kept for the next request, as with an answer at the second call.
#    Seen: the response says `Connection: close` and the connection is closed: each request then costs
#    a connection (and with TLS a handshake).
# 2. A client that sends its request and closes its side at once (as `nc -N` or a short script does),
#    with MHD_USE_EPOLL.
#    Expected: after the answer the server sees the end of the connection and closes it.
#    Seen: the end came together with the request, and with edge-triggered epoll the library does not
#    look again: the connection stays until the timeout (without one: for ever). With select it ends.
# Needs: gcc, libmicrohttpd-dev. Fails if what is printed changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >ask.c <<'C'
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT = 3 };
static int at_first_call;

static enum MHD_Result on_request(void *c, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state) {
    static int seen;
    if (!at_first_call && !*state) {
        *state = &seen;
        return MHD_YES;
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(3, "ok\n", MHD_RESPMEM_PERSISTENT);
    const enum MHD_Result result = MHD_queue_response(connection, 200, r);
    MHD_destroy_response(r);
    return result;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void ask(const char *name, unsigned flags, int first, int close_side) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char got[2048] = "";
    size_t used = 0;
    at_first_call = first;
    struct MHD_Daemon *d =
        MHD_start_daemon(flags | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, NULL,
                         MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT, MHD_OPTION_END);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port)};
    connect(fd, (struct sockaddr *)&to, sizeof to);
    const double start = now();
    send(fd, request, sizeof request - 1, 0);
    if (close_side) shutdown(fd, SHUT_WR);
    for (ssize_t n; (n = recv(fd, got + used, sizeof got - 1 - used, 0)) > 0;)
        used += (size_t)n;
    printf("%s: %s, the connection %s\n", name, strcasestr(got, "connection: close") ? "close" : "keep",
           now() - start < 0.7 * TIMEOUT ? "ends" : "stays until the timeout");
    close(fd);
    MHD_stop_daemon(d);
}

int main(void) {
    printf("libmicrohttpd %s\n", MHD_get_version());
    ask("epoll, answer at the second call", MHD_USE_EPOLL, 0, 0);
    ask("epoll, answer at the first call", MHD_USE_EPOLL, 1, 0);
    ask("select, the client closes its side", 0, 0, 1);
    ask("epoll, the client closes its side", MHD_USE_EPOLL, 0, 1);
    return 0;
}
C
gcc -w ask.c -o ask -lmicrohttpd
./ask | tee got
diff got - <<'SEEN'
libmicrohttpd 0.9.75
epoll, answer at the second call: keep, the connection stays until the timeout
epoll, answer at the first call: close, the connection ends
select, the client closes its side: keep, the connection ends
epoll, the client closes its side: keep, the connection stays until the timeout
SEEN
