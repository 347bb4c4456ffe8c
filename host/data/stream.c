#include "host/data/stream.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/data/source.h"

/* Reading a batch takes far less time than training on it: a few slots even out slow reads, and two
 * workers hide the latency of a disk. */
enum { SLOTS = 4, WORKERS = 2, WORKERS_MAX = 16 };

typedef struct slot {
    uint8_t *pixels;
    size_t batch; /* number of the batch it holds, once ready */
    bool ready;
    mien_status status;
    char message[MIEN_MESSAGE];
} slot;

/* The lock guards all fields except the pixels of the slots; `abandon` may be read without it. */
struct mien_stream {
    const mien_dataset *set;
    size_t batch; /* images per batch */
    size_t image; /* bytes per image */
    const uint32_t *order;
    size_t count; /* samples in the order; 0: paused */
    size_t next;  /* next batch to be read */
    size_t held;  /* batch of the training step: slots of earlier batches are free */
    int busy;     /* workers that are reading */
    bool stop;
    atomic_bool abandon; /* reads in progress are no longer wanted */
    slot slots[SLOTS];
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pthread_t threads[WORKERS_MAX];
    int workers;
};

static size_t batches(const mien_stream *s) {
    return (s->count + s->batch - 1) / s->batch;
}

/* Reads a batch into its slot, row by row, so that the first bad row is the one reported. */
static mien_status read_batch(mien_stream *s, const uint32_t *order, size_t rows,
                              mien_read_buffer *buffer, uint8_t *pixels) {
    for (size_t r = 0; r < rows && !atomic_load_explicit(&s->abandon, memory_order_relaxed); r++)
        MIEN_TRY(mien_source_read(s->set, order[r], buffer, pixels + r * s->image));
    return MIEN_OK;
}

/* With the lock held: takes the next batch and reads it without the lock. */
static void work_once(mien_stream *s, mien_read_buffer *buffer) {
    const size_t number = s->next++, start = number * s->batch, rest = s->count - start;
    slot *to = &s->slots[number % SLOTS];
    const uint32_t *order = s->order + start;
    to->ready = false;
    s->busy++;
    pthread_mutex_unlock(&s->lock);
    const mien_status status =
        read_batch(s, order, rest < s->batch ? rest : s->batch, buffer, to->pixels);
    pthread_mutex_lock(&s->lock);
    s->busy--;
    to->status = status;
    if (status != MIEN_OK) snprintf(to->message, sizeof to->message, "%s", mien_error_message());
    to->batch = number;
    to->ready = true;
    pthread_cond_signal(&s->done); /* only the training step waits for it */
}

static void *worker(void *context) {
    mien_stream *s = context;
    mien_read_buffer buffer = {0};
    mien_threads_leave_team();
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        if (s->next < batches(s) && s->next < s->held + SLOTS)
            work_once(s, &buffer);
        else
            pthread_cond_wait(&s->work, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    mien_free(buffer.bytes);
    return NULL;
}

/* Signals are for the main thread: workers inherit a mask that blocks them all. */
static mien_status start_workers(mien_stream *s, int workers) {
    sigset_t all, before;
    int code = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (s->workers < workers && code == 0) {
        code = pthread_create(&s->threads[s->workers], NULL, worker, s);
        s->workers += code == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (s->workers > 0) return MIEN_OK; /* fewer than requested also work */
    return MIEN_FAIL(NO_MEMORY, "cannot start a thread to read data: %s", strerror(code));
}

mien_status mien_stream_start(const mien_dataset *set, int batch, int workers, mien_stream **out) {
    mien_stream *s;
    mien_status status;
    *out = NULL;
    if (workers <= 0) workers = mien_threads_available() < WORKERS ? 1 : WORKERS;
    if (workers > WORKERS_MAX) workers = WORKERS_MAX;
    MIEN_TRY(mien_new(&s, 1, sizeof *s));
    s->set = set;
    s->batch = (size_t)batch;
    s->image = mien_image_bytes(set->spec);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->done, NULL);
    for (int i = 0; i < SLOTS; i++)
        MIEN_GO(mien_new(&s->slots[i].pixels, s->batch, s->image));
    MIEN_GO(start_workers(s, workers));
out:
    if (status == MIEN_OK)
        *out = s;
    else
        mien_stream_stop(s);
    return status;
}

void mien_stream_stop(mien_stream *s) {
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    atomic_store(&s->abandon, true);
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->workers; i++)
        pthread_join(s->threads[i], NULL);
    pthread_cond_destroy(&s->done);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    for (int i = 0; i < SLOTS; i++)
        mien_free(s->slots[i].pixels);
    mien_free(s);
}

/* With the lock held: waits until no worker is reading, then empties the ring and restarts at batch
 * `next`. */
static void rewind_to(mien_stream *s, size_t count, size_t next) {
    s->count = 0; /* no worker begins another batch meanwhile */
    atomic_store(&s->abandon, true);
    while (s->busy)
        pthread_cond_wait(&s->done, &s->lock);
    atomic_store(&s->abandon, false);
    for (int i = 0; i < SLOTS; i++)
        s->slots[i].ready = false;
    s->count = count;
    s->next = s->held = next;
    pthread_cond_broadcast(&s->work);
}

void mien_stream_pause(mien_stream *s) {
    pthread_mutex_lock(&s->lock);
    rewind_to(s, 0, 0);
    pthread_mutex_unlock(&s->lock);
}

void mien_stream_order(mien_stream *s, const uint32_t *order, size_t count) {
    pthread_mutex_lock(&s->lock);
    rewind_to(s, 0, 0);
    s->order = order;
    s->count = count;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
}

mien_status mien_stream_take(mien_stream *s, size_t start, int rows, const uint8_t **pixels) {
    const size_t number = start / s->batch, rest = s->count - start;
    if (start >= s->count || start % s->batch ||
        (size_t)rows != (rest < s->batch ? rest : s->batch))
        return MIEN_FAIL(INVALID, "rows %zu to %zu are not a batch of this stream (%zu rows each)",
                         start, start + (size_t)rows, s->batch);
    slot *from = &s->slots[number % SLOTS];
    pthread_mutex_lock(&s->lock);
    if (number == s->held + 1 && s->slots[s->held % SLOTS].ready) {
        s->held = number; /* the previous batch is done with: its slot is free */
        pthread_cond_broadcast(&s->work);
    } else if (number != s->held) {
        rewind_to(s, s->count, number);
    }
    while (!(from->ready && from->batch == number))
        pthread_cond_wait(&s->done, &s->lock);
    const mien_status status = from->status;
    if (status != MIEN_OK) mien_fail(status, __FILE__, __LINE__, "%s", from->message);
    *pixels = from->pixels;
    pthread_mutex_unlock(&s->lock);
    return status;
}
