/* LD_PRELOAD: as on a busy machine, time passes between poll and what follows. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <unistd.h>

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    int (*next)(struct pollfd *, nfds_t, int);
    *(void **)&next = dlsym(RTLD_NEXT, "poll");
    const int ready = next(fds, count, timeout);
    usleep(300000);
    return ready;
}
