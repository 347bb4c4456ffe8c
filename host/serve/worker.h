/* Decoding of strangers' pictures in a process that may die (host/decode): one process for each
 * worker, started again when it is gone. A worker is for one thread. */
#ifndef HOST_SERVE_WORKER_H
#define HOST_SERVE_WORKER_H

#include "host/image/image.h"

typedef struct serve_worker serve_worker;

/* UNSUPPORTED if mien-decode is not installed. */
mien_status worker_open(serve_worker **out);
void worker_close(serve_worker *worker);
/* Decodes as mien_image_decode_photo does. The pixels belong to the worker and are valid until its
 * next picture. FORMAT if the decoder died of the picture, or took too long. */
mien_status worker_decode(serve_worker *worker, const void *bytes, size_t size, int channels,
                          mien_image *out, mien_photo_facts *facts);
/* How often its process had to be started again. */
int worker_restarts(const serve_worker *worker);

#endif
