#include "host/infer/frame_queue.h"

#include <pthread.h>
#include <stdio.h>

#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/infer/frame_detect.h"
#include "host/track/track.h"

/* A segment of large frames ends before it takes more than this share of options.bytes, but has at
 * least SEGMENT_LEAST frames. */
static const double SEGMENT_SHARE = 0.64;
enum { SEGMENT_LEAST = 5 };
static const size_t DEFAULT_BYTES = (size_t)400 << 20;

/* The detection of a key frame. */
enum { NOT_DETECTED, WAITING, RUNNING, DETECTED };

typedef struct entry {
    frame_slot slot;
    int detection;
} entry;

typedef struct fault {
    mien_status status;
    char message[MIEN_MESSAGE];
} fault;

typedef struct worker {
    frame_queue *queue;
    frame_detect detect;
    pthread_t thread;
    bool started;
} worker;

struct frame_queue {
    mien_frames *source;
    frame_queue_options options;
    entry *ring; /* [size]; frame i is in ring[i % size] */
    int size;
    mien_frame *spare; /* [size]; buffers of released frames, which the next ones use again */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by `lock` */
    long long read;     /* frames read so far */
    long long released; /* frames before this one may be overwritten */
    size_t bytes;       /* of frames that were read and not released */
    int spares;
    bool ended, closing;
    fault reading, detecting;
    /* of the user's thread */
    long long first; /* of the current segment */
    int count;
    worker *workers;
    pthread_t reader;
    bool reader_started;
};

static entry *at(frame_queue *q, long long frame) {
    return &q->ring[frame % q->size];
}

/* Messages belong to threads: keeps this thread's for the user. Only the first fault counts. */
static void keep(fault *f, mien_status status) {
    if (f->status != MIEN_OK) return;
    f->status = status;
    snprintf(f->message, sizeof f->message, "%s", mien_error_message());
}

static mien_status raise_fault(const fault *f) {
    return f->status == MIEN_OK ? MIEN_OK
                                : mien_fail(f->status, __FILE__, __LINE__, "%s", f->message);
}

/* ---- memory ---- */

static size_t frame_bytes(const mien_frame *frame) {
    const size_t pixels = (size_t)frame->gray.width * (size_t)frame->gray.height;
    return frame->colour.pixels ? 4 * pixels : pixels;
}

/* Releases all frames before this one. */
static void release_until(frame_queue *q, long long frame) {
    for (; q->released < frame; q->released++) {
        mien_frame *done = &at(q, q->released)->slot.frame;
        q->bytes -= frame_bytes(done);
        q->spare[q->spares++] = *done;
        *done = (mien_frame){0};
    }
}

/* Without a key frame the user waits for more frames, however many bytes they have. */
static bool has_key(frame_queue *q) {
    for (long long i = q->released; i < q->read; i++)
        if (at(q, i)->slot.key) return true;
    return false;
}

static bool is_full(frame_queue *q) {
    return q->read - q->released >= q->size || (q->bytes > q->options.bytes && has_key(q));
}

/* ---- the detectors ---- */

static void mark_key(frame_queue *q, entry *e) {
    e->slot.key = true;
    e->detection = q->options.detector ? WAITING : DETECTED;
}

static entry *oldest_waiting(frame_queue *q) {
    for (long long i = q->released; i < q->read; i++)
        if (at(q, i)->detection == WAITING) return at(q, i);
    return NULL;
}

static void *detect_all(void *context) {
    worker *w = context;
    frame_queue *q = w->queue;
    mien_threads_leave_team();
    pthread_mutex_lock(&q->lock);
    while (!q->closing) {
        entry *e = oldest_waiting(q);
        if (!e) {
            pthread_cond_wait(&q->changed, &q->lock);
            continue;
        }
        e->detection = RUNNING;
        pthread_mutex_unlock(&q->lock);
        const mien_status status =
            frame_detect_run(&w->detect, &e->slot.frame.gray, &e->slot.faces);
        pthread_mutex_lock(&q->lock);
        if (status != MIEN_OK) keep(&q->detecting, status);
        e->detection = DETECTED;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

/* ---- the reader ---- */

static bool stopped(const frame_queue *q) {
    return q->options.stop && *q->options.stop;
}

/* Waits for a free slot; NULL when the queue is closing. */
static entry *free_slot(frame_queue *q) {
    pthread_mutex_lock(&q->lock);
    while (!q->closing && is_full(q))
        pthread_cond_wait(&q->changed, &q->lock);
    entry *e = q->closing ? NULL : at(q, q->read);
    if (e && q->spares > 0 && !e->slot.frame.gray.pixels) e->slot.frame = q->spare[--q->spares];
    pthread_mutex_unlock(&q->lock);
    return e;
}

/* The last frame of all ends the last segment. */
static void end_reading(frame_queue *q, mien_status status) {
    pthread_mutex_lock(&q->lock);
    if (status != MIEN_OK) keep(&q->reading, status);
    if (q->read > q->released && !at(q, q->read - 1)->slot.key) mark_key(q, at(q, q->read - 1));
    q->ended = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

/* Whether a segment is long enough with this many frames. The bytes are those of frames in colour,
 * so that key frames are the same without. */
static bool ends_segment(const frame_queue *q, int frames, const mien_image *gray) {
    const double bytes = 4.0 * gray->width * gray->height;
    return frames >= q->options.every ||
           (frames >= SEGMENT_LEAST &&
            (frames + 1) * bytes > SEGMENT_SHARE * (double)q->options.bytes);
}

static void *read_all(void *context) {
    frame_queue *q = context;
    mien_scene scene = {0};
    mien_status status = MIEN_OK;
    int since_key = q->options.every;
    mien_threads_leave_team();
    for (entry *e; (e = free_slot(q)) != NULL;) {
        bool more = false;
        if (stopped(q)) {
            status = MIEN_FAIL(INTERRUPTED, "interrupted after %lld frames", q->read);
            break;
        }
        status = mien_frames_next(q->source, &e->slot.frame, &more);
        if (status != MIEN_OK || !more) break;
        e->slot.cut = q->options.detector && mien_scene_cut(&scene, &e->slot.frame.gray);
        e->slot.key = false;
        e->detection = NOT_DETECTED;
        mien_faces_release(&e->slot.faces);
        pthread_mutex_lock(&q->lock);
        if (ends_segment(q, ++since_key, &e->slot.frame.gray) || e->slot.cut) {
            mark_key(q, e);
            since_key = 0;
        }
        q->bytes += frame_bytes(&e->slot.frame);
        q->read++;
        pthread_cond_broadcast(&q->changed);
        pthread_mutex_unlock(&q->lock);
    }
    end_reading(q, status);
    return NULL;
}

/* ---- the user's side ---- */

/* The number of frames up to the next key frame, if it is there and detected; else 0. */
static int complete_segment(frame_queue *q) {
    for (long long i = q->first; i < q->read; i++)
        if (at(q, i)->slot.key)
            return at(q, i)->detection == DETECTED ? (int)(i - q->first + 1) : 0;
    return 0;
}

mien_status frame_queue_next(frame_queue *q, int *count) {
    pthread_mutex_lock(&q->lock);
    q->first += q->count;
    release_until(q, q->first);
    pthread_cond_broadcast(&q->changed);
    while ((q->count = complete_segment(q)) == 0 && !(q->ended && q->first == q->read) &&
           q->detecting.status == MIEN_OK)
        pthread_cond_wait(&q->changed, &q->lock);
    pthread_mutex_unlock(&q->lock);
    *count = q->count;
    if (q->detecting.status != MIEN_OK) {
        *count = 0;
        return raise_fault(&q->detecting);
    }
    return q->count ? MIEN_OK : raise_fault(&q->reading);
}

frame_slot *frame_queue_slot(frame_queue *q, int i) {
    return &at(q, q->first + i)->slot;
}

static mien_status start(frame_queue *q) {
    const mien_detector_choice *choice = q->options.detector;
    MIEN_TRY(mien_new(&q->workers, (size_t)q->options.detectors, sizeof *q->workers));
    for (int i = 0; choice && i < q->options.detectors; i++) {
        worker *w = &q->workers[i];
        w->queue = q;
        w->detect.rule = q->options.rule;
        MIEN_TRY(mien_detector_open(choice, &w->detect.detector));
        w->started = pthread_create(&w->thread, NULL, detect_all, w) == 0;
        if (!w->started) return MIEN_FAIL(NO_MEMORY, "cannot start a thread that finds faces");
    }
    q->reader_started = pthread_create(&q->reader, NULL, read_all, q) == 0;
    if (!q->reader_started) return MIEN_FAIL(NO_MEMORY, "cannot start a thread that reads frames");
    return MIEN_OK;
}

mien_status frame_queue_open(mien_frames *source, const frame_queue_options *options,
                             frame_queue **out) {
    frame_queue *q;
    *out = NULL;
    MIEN_TRY(mien_new(&q, 1, sizeof *q));
    q->source = source;
    q->options = *options;
    if (!q->options.bytes) q->options.bytes = DEFAULT_BYTES;
    /* the segment in use, one in each detector, and one that is being read */
    q->size = (options->detectors + 2) * options->every + 2;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    mien_status status = mien_new(&q->ring, (size_t)q->size, sizeof *q->ring);
    if (status == MIEN_OK) status = mien_new(&q->spare, (size_t)q->size, sizeof *q->spare);
    if (status == MIEN_OK) status = start(q);
    if (status == MIEN_OK)
        *out = q;
    else
        frame_queue_close(q);
    return status;
}

void frame_queue_close(frame_queue *q) {
    if (!q) return;
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    if (q->reader_started) pthread_join(q->reader, NULL);
    for (int i = 0; q->workers && i < q->options.detectors; i++) {
        if (q->workers[i].started) pthread_join(q->workers[i].thread, NULL);
        mien_detector_close(q->workers[i].detect.detector);
        frame_detect_release(&q->workers[i].detect);
    }
    for (int i = 0; q->ring && i < q->size; i++) {
        mien_frame_release(&q->ring[i].slot.frame);
        mien_faces_release(&q->ring[i].slot.faces);
    }
    for (int i = 0; i < q->spares; i++)
        mien_frame_release(&q->spare[i]);
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    mien_free(q->ring);
    mien_free(q->spare);
    mien_free(q->workers);
    mien_free(q);
}
