/* In place of mien-decode: refuses its work when the first request has arrived, without reading it.
 */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "host/decode/protocol.h"
#include "include/mien/status.h"

int main(void) {
    decode_reply reply = {.status = MIEN_IO};
    struct pollfd from = {.fd = DECODE_SOCKET_FD, .events = POLLIN};
    poll(&from, 1, 10000);
    snprintf(reply.message, sizeof reply.message, "its sandbox cannot be set up");
    return write(DECODE_SOCKET_FD, &reply, sizeof reply) == (ssize_t)sizeof reply ? 1 : 2;
}
