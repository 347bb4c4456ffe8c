#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/serve/serve.h"

enum { BACKLOG = 1024 };

static mien_status refuse(const char *host, const char *port, int code) {
    if (code == EADDRINUSE)
        return MIEN_FAIL(IO,
                         "port %s of %s is in use by another program: stop it, or choose another "
                         "port with --port",
                         port, host);
    if (code == EACCES || code == EPERM)
        return MIEN_FAIL(IO,
                         "no right to listen on port %s: ports below 1024 need root or "
                         "CAP_NET_BIND_SERVICE; choose --port 8080, behind a proxy if necessary",
                         port);
    if (code == EADDRNOTAVAIL)
        return MIEN_FAIL(IO,
                         "this machine has no address %s: --host takes one of its own, or 0.0.0.0 "
                         "for all",
                         host);
    return MIEN_FAIL(IO, "cannot listen on port %s of %s: %s", port, host, strerror(code));
}

static int open_socket(const struct addrinfo *a, int *fd) {
    const int on = 1;
    *fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) return errno;
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(*fd, a->ai_addr, a->ai_addrlen) == 0 && listen(*fd, BACKLOG) == 0) return 0;
    const int code = errno;
    close(*fd);
    *fd = -1;
    return code;
}

static int port_of(int fd) {
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &size) != 0) return 0;
    return ntohs(own.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)&own)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)&own)->sin_port);
}

mien_status serve_listen(const char *host, const char *port, int *fd, int *port_number) {
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const int problem = getaddrinfo(host, port, &wanted, &found);
    if (problem != 0)
        return MIEN_FAIL(INVALID, "--host '%s' is not an address of this machine: %s", host,
                         gai_strerror(problem));
    int code = open_socket(found, fd);
    freeaddrinfo(found);
    if (code != 0) return refuse(host, port, code);
    *port_number = port_of(*fd);
    return MIEN_OK;
}

bool serve_is_local(const char *host) {
    return limits_loopback(host);
}
