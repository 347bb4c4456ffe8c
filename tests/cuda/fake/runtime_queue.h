/* The work of a stream in its order. A stream runs its work at once or, with FAKE_CUDA_STREAMS, not
 * before something waits for it, as on a device that is slower than the host. */
#ifndef TESTS_CUDA_FAKE_RUNTIME_QUEUE_H
#define TESTS_CUDA_FAKE_RUNTIME_QUEUE_H

#include "tests/cuda/fake/runtime.h"

struct fake_op;

typedef struct fake_queue {
    struct fake_op *first, **end;
    uint64_t length;
    bool late; /* runs only what something waits for */
    struct fake_queue *next;
} fake_queue;

struct CUevent_st {
    unsigned flags;
    bool recorded, captured;
    double at;                /* seconds, of the last record that has run */
    uint64_t records, passed; /* records queued, and how many of them have run */
    fake_queue *queue;        /* of the last record */
};

/* The `number`th stream of those that exist, counted from 0. */
void fake_queue_open(fake_queue *q, unsigned number);
void fake_queue_close(fake_queue *q); /* runs what is left */

/* Each adds to the end of the queue; NULL: the default stream's. */
void fake_queue_work(fake_queue *q, void (*work)(void *context), const void *context, size_t bytes);
void fake_queue_record(fake_queue *q, cudaEvent_t event);
void fake_queue_wait(fake_queue *q, cudaEvent_t event);

/* Run what must have run when a wait returns. */
void fake_queue_finish(fake_queue *q);
void fake_event_finish(cudaEvent_t event);
void fake_finish_all(void);

#endif
