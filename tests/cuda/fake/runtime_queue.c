#include "tests/cuda/fake/runtime_queue.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"

typedef struct fake_op {
    struct fake_op *next;
    void (*work)(void *context);
    void *context;
    cudaEvent_t record, wait;
    fake_queue *from; /* of a wait: where the record is */
    uint64_t ticket;  /* of a record or wait: the number of the record */
} fake_op;

static fake_queue standard, *queues = &standard;

static fake_queue *or_standard(fake_queue *q) {
    if (q) return q;
    if (!standard.end) standard.end = &standard.first;
    return &standard;
}

/* FAKE_CUDA_STREAMS=late,now: the word of this stream; the last one is that of all further ones. */
static bool is_late(unsigned number) {
    const char *list = getenv("FAKE_CUDA_STREAMS");
    bool late = false;
    for (unsigned i = 0; list && *list && i <= number; i++) {
        late = strncmp(list, "late", 4) == 0;
        list = strchr(list, ',');
        if (list) list++;
    }
    return late;
}

void fake_queue_open(fake_queue *q, unsigned number) {
    *q = (fake_queue){.end = &q->first, .late = is_late(number), .next = queues};
    queues = q;
}

void fake_queue_close(fake_queue *q) {
    fake_queue **at = &queues;
    fake_queue_finish(q);
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
}

/* Whether the first operation has to wait for another queue. */
static bool blocked(const fake_queue *q) {
    return q->first->wait && q->first->wait->passed < q->first->ticket;
}

/* Runs the first operation, and in other queues what it waits for. */
static void run_first(fake_queue *q) {
    while (blocked(q))
        run_first(q->first->from);
    fake_op *op = q->first;
    q->first = op->next;
    if (!q->first) q->end = &q->first;
    q->length--;
    if (op->work) {
        fake_count.finished++;
        op->work(op->context);
    }
    if (op->record) {
        op->record->passed = op->ticket;
        op->record->at = mien_seconds();
    }
    free(op->context);
    free(op);
}

/* Runs what prompt queues can run: repeated, because one may wait for another. */
static void run_prompt(void) {
    bool ran;
    do {
        ran = false;
        for (fake_queue *q = queues; q; q = q->next)
            for (; !q->late && q->first && !blocked(q); ran = true)
                run_first(q);
    } while (ran);
}

static void append(fake_queue *q, fake_op op) {
    fake_op *own = malloc(sizeof *own);
    if (!own) abort();
    *own = op;
    q = or_standard(q);
    *q->end = own;
    q->end = &own->next;
    q->length++;
    run_prompt();
}

void fake_queue_work(fake_queue *q, void (*work)(void *context), const void *context,
                     size_t bytes) {
    void *copy = malloc(bytes ? bytes : 1);
    if (!copy) abort();
    memcpy(copy, context, bytes);
    append(q, (fake_op){.work = work, .context = copy});
}

void fake_queue_record(fake_queue *q, cudaEvent_t event) {
    event->recorded = true;
    event->queue = or_standard(q);
    append(q, (fake_op){.record = event, .ticket = ++event->records});
}

void fake_queue_wait(fake_queue *q, cudaEvent_t event) {
    if (event->recorded)
        append(q, (fake_op){.wait = event, .from = event->queue, .ticket = event->records});
}

void fake_queue_finish(fake_queue *q) {
    for (q = or_standard(q); q->first;)
        run_first(q);
    run_prompt();
}

void fake_event_finish(cudaEvent_t event) {
    if (event->passed == event->records) return;
    while (event->passed < event->records)
        run_first(event->queue);
    run_prompt();
    fake_count.beside += event->queue->length;
}

void fake_finish_all(void) {
    for (fake_queue *q = queues; q; q = q->next)
        while (q->first)
            run_first(q);
}
