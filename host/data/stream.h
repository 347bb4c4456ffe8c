/* Batches read ahead of the training step: worker threads read the images in the epoch's order into
 * a ring of batches, and sleep while it is full. A batch does not depend on the worker that reads
 * it, so training gives the same bits for any number of workers. */
#ifndef HOST_DATA_STREAM_H
#define HOST_DATA_STREAM_H

#include "host/data/dataset.h"

typedef struct mien_stream mien_stream;

/* Starts `workers` threads (0: chosen automatically) for batches of `batch` images of a streamed
 * set, which must outlive the stream. */
mien_status mien_stream_start(const mien_dataset *set, int batch, int workers, mien_stream **out);
/* Ends and joins the workers; NULL is fine. */
void mien_stream_stop(mien_stream *stream);

/* Stops reading the current order, which may then be written to. */
void mien_stream_pause(mien_stream *stream);
/* Starts to read `count` samples in this order, which must not change until the next pause. */
void mien_stream_order(mien_stream *stream, const uint32_t *order, size_t count);
/* Returns the pixels of `rows` samples from position `start`, which must be a batch of the order;
 * they are valid until another batch is requested. Waits until the batch is read. Batches requested
 * in order have been read ahead; any other is started now. Error messages name the source and the
 * row. */
mien_status mien_stream_take(mien_stream *stream, size_t start, int rows, const uint8_t **pixels);

#endif
