#include "host/serve/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/decode/protocol.h"

enum { TIMEOUT_MILLISECONDS = 10000, ATTEMPTS = 2 };

struct serve_worker {
    char program[MIEN_PATH];
    pid_t child; /* 0: none */
    int socket;
    uint8_t *memory; /* shared with the child */
    int restarts;
};

/* As for mien-h5: descriptors from 10 on, because the actions run in order and one dup2 could
 * overwrite the source of the next. */
static int spawn(const char *program, int memory, int socket, pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *const argv[] = {(char *)"mien-decode", NULL}, *const envp[] = {NULL};
    const int high_memory = fcntl(memory, F_DUPFD_CLOEXEC, 10);
    const int high_socket = fcntl(socket, F_DUPFD_CLOEXEC, 10);
    int code = high_memory < 0 || high_socket < 0 ? errno : 0;
    if (code == 0) code = posix_spawn_file_actions_init(&actions);
    if (code == 0) code = posix_spawnattr_init(&attributes);
    if (code == 0) {
        sigset_t none;
        sigemptyset(&none);
        /* its own process group: Ctrl-C must not stop it while the server drains */
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawn_file_actions_adddup2(&actions, high_memory, DECODE_MEMORY_FD);
        posix_spawn_file_actions_adddup2(&actions, high_socket, DECODE_SOCKET_FD);
        code = posix_spawn(child, program, &actions, &attributes, argv, envp);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
    }
    if (high_memory >= 0) close(high_memory);
    if (high_socket >= 0) close(high_socket);
    return code;
}

static void end(serve_worker *w) {
    if (w->child > 0) {
        kill(w->child, SIGKILL);
        while (waitpid(w->child, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (w->socket >= 0) close(w->socket);
    if (w->memory) munmap(w->memory, DECODE_MEMORY);
    w->child = 0;
    w->socket = -1;
    w->memory = NULL;
}

/* Fresh memory each time: what a dead process left is not trusted. */
static mien_status begin(serve_worker *w) {
    int sockets[2] = {-1, -1};
    const int memory = memfd_create("mien-decode", MFD_CLOEXEC);
    int code = memory < 0 || ftruncate(memory, DECODE_MEMORY) != 0 ||
                       socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0
                   ? errno
                   : 0;
    if (code == 0) {
        void *mapped = mmap(NULL, DECODE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        if (mapped == MAP_FAILED)
            code = errno;
        else
            w->memory = mapped;
    }
    if (code == 0) code = spawn(w->program, memory, sockets[1], &w->child);
    if (code != 0) w->child = 0;
    w->socket = sockets[0];
    if (sockets[1] >= 0) close(sockets[1]);
    if (memory >= 0) close(memory);
    if (code == 0) return MIEN_OK;
    end(w);
    return MIEN_FAIL(IO, "the decoder '%s' cannot be started: %s", w->program, strerror(code));
}

static bool ask(serve_worker *w, const decode_request *request, decode_reply *reply, bool *late);

/* A picture of no bytes, which is refused: only a process that could not be prepared answers with
 * something else, or not at all. */
static mien_status try(serve_worker *w) {
    decode_reply reply;
    bool late;
    const bool answers = ask(w, &(decode_request){0, 1}, &reply, &late);
    if (answers && reply.status != MIEN_IO) return MIEN_OK;
    reply.message[sizeof reply.message - 1] = 0;
    end(w);
    return MIEN_FAIL(IO, "the decoder '%s' cannot be started: %s", w->program,
                     answers ? reply.message : "it does not answer");
}

mien_status worker_open(serve_worker **out) {
    serve_worker *w;
    MIEN_TRY(mien_new(&w, 1, sizeof *w));
    w->socket = -1;
    mien_status status = mien_installed_file("mien-decode", w->program);
    if (status != MIEN_OK)
        status = MIEN_FAIL(UNSUPPORTED, "this build cannot serve (mien-decode is missing): build "
                                        "with SERVE=1, which needs libmicrohttpd-dev and "
                                        "libseccomp-dev");
    if (status == MIEN_OK) status = begin(w);
    if (status == MIEN_OK) status = try(w);
    if (status == MIEN_OK)
        *out = w;
    else
        mien_free(w);
    return status;
}

void worker_close(serve_worker *worker) {
    if (!worker) return;
    end(worker);
    mien_free(worker);
}

int worker_restarts(const serve_worker *worker) {
    return worker->restarts;
}

/* A process that ends before it reads the request resets the connection: Linux reports that once,
 * before what the process has said. */
static bool take_reply(const serve_worker *w, decode_reply *reply) {
    ssize_t got = recv(w->socket, reply, sizeof *reply, 0);
    if (got < 0 && errno == ECONNRESET) got = recv(w->socket, reply, sizeof *reply, 0);
    return got == (ssize_t)sizeof *reply;
}

/* False if the process is gone, or is ended because it took too long. */
static bool ask(serve_worker *w, const decode_request *request, decode_reply *reply, bool *late) {
    struct pollfd from = {.fd = w->socket, .events = POLLIN};
    int ready;
    *late = false;
    if (send(w->socket, request, sizeof *request, MSG_NOSIGNAL) != (ssize_t)sizeof *request &&
        errno != EPIPE && errno != ECONNRESET) /* a process that has ended may have said why */
        return false;
    do {
        ready = poll(&from, 1, TIMEOUT_MILLISECONDS);
    } while (ready < 0 && errno == EINTR);
    *late = ready == 0;
    return ready > 0 && take_reply(w, reply);
}

/* What comes from the process is checked: a picture may have taken it over. */
static mien_status take(const serve_worker *w, decode_reply *reply, int channels, mien_image *out,
                        mien_photo_facts *facts) {
    reply->message[sizeof reply->message - 1] = 0;
    if (reply->status != MIEN_OK) {
        const bool unsupported = reply->status == MIEN_UNSUPPORTED;
        return mien_fail(unsupported ? MIEN_UNSUPPORTED : MIEN_FORMAT, __FILE__, __LINE__, "%s",
                         reply->message);
    }
    const long long width = reply->width, height = reply->height;
    if (reply->channels != channels || width < 1 || height < 1 || width > DECODE_PIXELS ||
        height > DECODE_PIXELS || width * height > DECODE_PIXELS || reply->file_width < width ||
        reply->file_height < height || reply->file_width > 65535 * 8 ||
        reply->file_height > 65535 * 8)
        return MIEN_FAIL(FORMAT, "the picture is damaged");
    *out = (mien_image){reply->width, reply->height, channels, w->memory + DECODE_INPUT};
    facts->width = reply->file_width;
    facts->height = reply->file_height;
    snprintf(facts->warning, sizeof facts->warning, "%.*s", (int)sizeof facts->warning - 1,
             reply->message);
    return MIEN_OK;
}

/* A process that died between two pictures is no fault of the second, which is tried again. */
mien_status worker_decode(serve_worker *w, const void *bytes, size_t size, int channels,
                          mien_image *out, mien_photo_facts *facts) {
    const decode_request request = {(unsigned)size, channels};
    decode_reply reply;
    bool late = false;
    if (size > DECODE_INPUT) return MIEN_FAIL(UNSUPPORTED, "the picture has too many bytes");
    for (int i = 0; i < ATTEMPTS && !late; i++) {
        if (!w->child) MIEN_TRY(begin(w));
        memcpy(w->memory, bytes, size);
        if (ask(w, &request, &reply, &late)) return take(w, &reply, channels, out, facts);
        end(w);
        w->restarts++;
    }
    return late ? MIEN_FAIL(FORMAT, "decoding the picture took longer than %d s",
                            TIMEOUT_MILLISECONDS / 1000)
                : MIEN_FAIL(FORMAT, "the picture is damaged: its decoder had to be stopped");
}
