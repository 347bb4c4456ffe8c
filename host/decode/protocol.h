/* What mien serve and its decoder mien-decode say to each other: the picture's bytes are at the
 * beginning of shared memory, the decoded pixels go behind them. */
#ifndef HOST_DECODE_PROTOCOL_H
#define HOST_DECODE_PROTOCOL_H

#include "host/base/status.h"

enum {
    DECODE_MEMORY_FD = 3, /* shared memory of DECODE_MEMORY bytes */
    DECODE_SOCKET_FD = 4,
    DECODE_INPUT = 10 << 20,
    DECODE_PIXELS = 16000000,
    DECODE_MEMORY = DECODE_INPUT + 3 * DECODE_PIXELS,
};

typedef struct decode_request {
    unsigned size;
    int channels; /* 1 or 3 */
} decode_request;

typedef struct decode_reply {
    mien_status status;
    int width, height, channels; /* of the pixels */
    int file_width, file_height; /* of the picture in the file */
    char message[MIEN_MESSAGE];  /* of a failure; of success, what is wrong with the file, or "" */
} decode_reply;

#endif
