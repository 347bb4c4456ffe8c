/* Batches read ahead of the training step: worker threads read the images of the epoch's order into
 * a ring of batches, and sleep while it is full. Which worker reads a batch changes nothing about
 * it, so that training gives the same bits for any number of them. */
#ifndef HOST_DATA_STREAM_H
#define HOST_DATA_STREAM_H

#include "host/data/dataset.h"

typedef struct mien_stream mien_stream;

/* Starts `workers` threads (0: as many as are useful here) for batches of `batch` images of a
 * streamed set, which must outlive the stream. */
mien_status mien_stream_start(const mien_dataset *set, int batch, int workers, mien_stream **out);
/* Ends and joins the workers; NULL is fine. */
void mien_stream_stop(mien_stream *stream);

/* Forgets the order of before: afterwards nobody reads from it, and it may be written to. */
void mien_stream_pause(mien_stream *stream);
/* Begins to read `count` samples in this order, which must stay as it is until the next pause. */
void mien_stream_order(mien_stream *stream, const uint32_t *order, size_t count);
/* The pixels of the `rows` samples from `start` on, a batch of the order; they stay until another
 * batch is asked for. Waits where reading is behind. Batches asked for one after the other have
 * been read ahead; any other one is begun now. A failure names the source and the row. */
mien_status mien_stream_take(mien_stream *stream, size_t start, int rows, const uint8_t **pixels);

#endif
