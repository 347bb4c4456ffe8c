/* mien-decode: decodes the pictures of strangers for mien serve, in a sandbox. It is given pictures
 * one after the other and ends when the server closes its socket, or by a signal if a picture makes
 * it do anything else; the server then starts another one. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host/decode/protocol.h"
#include "host/image/image.h"
#include "host/sandbox/sandbox.h"

/* One gray pixel: libwebp is loaded on use, which the sandbox would not allow. */
static const unsigned char tiny_webp[] = {
    0x52, 0x49, 0x46, 0x46, 0x24, 0,    0,    0,    0x57, 0x45, 0x42, 0x50, 0x56, 0x50, 0x38,
    0x20, 0x18, 0,    0,    0,    0x30, 0x01, 0,    0x9d, 0x01, 0x2a, 0x01, 0,    0x01, 0,
    0x02, 0,    0x34, 0x25, 0xa4, 0,    0x03, 0x70, 0,    0xfe, 0xfb, 0x94, 0,    0};

static const size_t WORK_MEMORY = (size_t)768 << 20;

static void warm_up(void) {
    mien_image image;
    if (mien_image_decode(tiny_webp, sizeof tiny_webp, "webp", 1, &image) == MIEN_OK)
        mien_image_release(&image);
}

static void decode(const decode_request *request, unsigned char *memory, decode_reply *reply) {
    mien_image image;
    mien_photo_facts facts;
    *reply = (decode_reply){0};
    reply->status =
        mien_image_decode_photo(memory, request->size, "image", request->channels, &image, &facts);
    if (reply->status != MIEN_OK) {
        snprintf(reply->message, sizeof reply->message, "%s", mien_error_message());
        return;
    }
    const size_t bytes = (size_t)image.width * (size_t)image.height * (size_t)image.channels;
    if (bytes <= DECODE_MEMORY - DECODE_INPUT) {
        memcpy(memory + DECODE_INPUT, image.pixels, bytes);
        reply->width = image.width;
        reply->height = image.height;
        reply->channels = image.channels;
        reply->file_width = facts.width;
        reply->file_height = facts.height;
        snprintf(reply->message, sizeof reply->message, "%s", facts.warning);
    } else {
        reply->status = MIEN_UNSUPPORTED;
        snprintf(reply->message, sizeof reply->message, "the picture is too large");
    }
    mien_image_release(&image);
}

static bool prepare(unsigned char **memory) {
    static const int socket[] = {DECODE_SOCKET_FD};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    clearenv();
    signal(SIGPIPE, SIG_IGN);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    *memory = mmap(NULL, DECODE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, DECODE_MEMORY_FD, 0);
    if (*memory == MAP_FAILED) return false;
    close(DECODE_MEMORY_FD);
    close_range(DECODE_SOCKET_FD + 1, ~0u, 0);
    warm_up();
    return sandbox_limits(DECODE_MEMORY + WORK_MEMORY, 0, DECODE_SOCKET_FD + 1) &&
           sandbox_filter(socket, 1, socket, 1, -1);
}

int main(void) {
    unsigned char *memory;
    decode_request request;
    decode_reply reply;
    if (!prepare(&memory)) {
        reply = (decode_reply){.status = MIEN_IO};
        snprintf(reply.message, sizeof reply.message,
                 "its sandbox cannot be set up (is seccomp refused here?)");
        _exit(write(DECODE_SOCKET_FD, &reply, sizeof reply) == (ssize_t)sizeof reply ? 1 : 2);
    }
    for (;;) {
        const ssize_t got = read(DECODE_SOCKET_FD, &request, sizeof request);
        if (got < 0 && errno == EINTR) continue;
        if (got != (ssize_t)sizeof request || request.size > DECODE_INPUT) _exit(0);
        decode(&request, memory, &reply);
        if (write(DECODE_SOCKET_FD, &reply, sizeof reply) != (ssize_t)sizeof reply) _exit(0);
    }
}
