#include "host/serve/batch.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/base/clock.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/serve/worker.h"

enum { WAIT_MILLISECONDS = 1000 };

typedef struct list {
    batch_job *first, *last;
    int count;
} list;

typedef struct photo_thread {
    batch *batch;
    pthread_t thread;
    serve_worker *worker;
    mien_detector *detector;
    mien_photos *photos;
    bool started;
} photo_thread;

/* One that classifies; the first has no thread, but the caller of batch_run. */
typedef struct network {
    batch *batch;
    mien_ensemble *models;
    pthread_t thread;
    uint8_t *pixels; /* [BATCH_FACES] of the models' input */
    float *scores;   /* [BATCH_FACES][classes] */
    bool started;
} network;

struct batch {
    batch_options options;
    pthread_mutex_t lock;
    pthread_cond_t arrived, ready_arrived;
    list waiting, ready;
    int length;
    bool stop, cancelled;
    photo_thread *threads;
    int thread_count;
    network *networks; /* [options.model_count] */
};

static void push(list *l, batch_job *job) {
    job->next = NULL;
    if (l->last)
        l->last->next = job;
    else
        l->first = job;
    l->last = job;
    l->count++;
}

static batch_job *pop(list *l) {
    batch_job *job = l->first;
    if (!job) return NULL;
    l->first = job->next;
    if (!l->first) l->last = NULL;
    l->count--;
    job->next = NULL;
    return job;
}

void batch_job_free(batch_job *job) {
    if (!job) return;
    mien_free(job->body);
    mien_free(job->faces);
    mien_free(job->scores);
    mien_free(job->crops);
    mien_free(job);
}

static void finish(batch *b, batch_job *job) {
    metrics_prediction(b->options.metrics, mien_seconds() - job->start);
    b->options.finished(b->options.context, job);
    batch_job_free(job);
    pthread_mutex_lock(&b->lock);
    b->length--;
    pthread_mutex_unlock(&b->lock);
}

/* ---- decoding and detection ---- */

static void fail(batch_job *job, mien_status status) {
    const char *message = mien_error_message();
    if (status == MIEN_FORMAT || status == MIEN_UNSUPPORTED)
        serve_refuse(&job->problem, 422, "bad_picture", "%s", message);
    else
        serve_refuse(&job->problem, 500, "internal", "%s", message);
}

static mien_status keep_faces(const mien_photos *photos, int index, size_t classes,
                              size_t crop_bytes, batch_job *job) {
    const mien_photo_view view = mien_photos_faces(photos, index);
    const size_t count = (size_t)view.count;
    job->count = view.count;
    if (!count) return MIEN_OK;
    MIEN_TRY(mien_new(&job->faces, count, sizeof *job->faces));
    MIEN_TRY(mien_new(&job->scores, count * classes, sizeof *job->scores));
    MIEN_TRY(mien_new(&job->crops, count, crop_bytes));
    memcpy(job->faces, view.faces, count * sizeof *job->faces);
    memcpy(job->crops, mien_photos_crops(photos, index), count * crop_bytes);
    return MIEN_OK;
}

static mien_status find_faces(photo_thread *t, batch_job *job) {
    const mien_meta *meta = &t->batch->options.models->models[0].meta;
    mien_photo_facts facts = {0};
    mien_photo photo = {.name = job->name};
    mien_image image;
    int index;
    const int restarts = worker_restarts(t->worker);
    const mien_status status =
        worker_decode(t->worker, job->picture, job->size, meta->input.channels, &image, &facts);
    atomic_fetch_add(&t->batch->options.metrics->worker_restarts,
                     (unsigned long long)(worker_restarts(t->worker) - restarts));
    MIEN_TRY(status);
    job->width = facts.width;
    job->height = facts.height;
    photo.image = &image;
    if (facts.width != image.width || facts.height != image.height) {
        photo.width = facts.width;
        photo.height = facts.height;
    }
    mien_photos_clear(t->photos);
    MIEN_TRY(mien_photos_add(t->photos, &photo, &index));
    return keep_faces(t->photos, index, (size_t)meta->classes, mien_image_bytes(meta->input), job);
}

/* The memory of pictures is needed no longer than until the faces are cut out. */
static void *photo_work(void *context) {
    photo_thread *t = context;
    batch *b = t->batch;
    mien_threads_leave_team();
    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (!b->waiting.first && !b->stop)
            pthread_cond_wait(&b->arrived, &b->lock);
        batch_job *job = pop(&b->waiting);
        if (!job) break;
        pthread_mutex_unlock(&b->lock);
        const mien_status status = find_faces(t, job);
        if (status != MIEN_OK) fail(job, status);
        mien_free(job->body);
        job->body = NULL;
        job->picture = NULL;
        const bool done = status != MIEN_OK || job->count == 0;
        if (done) finish(b, job);
        pthread_mutex_lock(&b->lock);
        if (!done) {
            push(&b->ready, job);
            pthread_cond_signal(&b->ready_arrived);
        }
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static mien_status start_thread(batch *b, photo_thread *t) {
    t->batch = b;
    MIEN_TRY(worker_open(&t->worker));
    if (b->options.detector) MIEN_TRY(mien_detector_open(b->options.detector, &t->detector));
    MIEN_TRY(mien_photos_create(b->options.models, t->detector, &b->options.photos, &t->photos));
    t->started = pthread_create(&t->thread, NULL, photo_work, t) == 0;
    return t->started ? MIEN_OK : MIEN_FAIL(NO_MEMORY, "a thread cannot be started");
}

static void *network_work(void *context);

static mien_status start_network(batch *b, int index) {
    network *n = &b->networks[index];
    const mien_meta *meta = &b->options.models->models[0].meta;
    n->batch = b;
    n->models = &b->options.models[index];
    MIEN_TRY(mien_new(&n->pixels, BATCH_FACES, mien_image_bytes(meta->input)));
    MIEN_TRY(mien_new(&n->scores, BATCH_FACES * (size_t)meta->classes, sizeof *n->scores));
    if (index == 0) return MIEN_OK;
    n->started = pthread_create(&n->thread, NULL, network_work, n) == 0;
    return n->started ? MIEN_OK : MIEN_FAIL(NO_MEMORY, "a thread cannot be started");
}

mien_status batch_open(const batch_options *options, batch **out) {
    batch *b;
    mien_status status;
    *out = NULL;
    MIEN_TRY(mien_new(&b, 1, sizeof *b));
    b->options = *options;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->arrived, NULL);
    pthread_cond_init(&b->ready_arrived, NULL);
    const int threads = options->threads > 0 ? options->threads : mien_threads_available();
    MIEN_GO(mien_new(&b->networks, (size_t)options->model_count, sizeof *b->networks));
    MIEN_GO(mien_new(&b->threads, (size_t)threads, sizeof *b->threads));
    b->thread_count = threads;
    for (int i = 0; i < options->model_count; i++)
        MIEN_GO(start_network(b, i));
    for (int i = 0; i < threads; i++)
        MIEN_GO(start_thread(b, &b->threads[i]));
    *out = b;
    return MIEN_OK;
out:
    batch_close(b);
    return status;
}

void batch_close(batch *b) {
    if (!b) return;
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_broadcast(&b->arrived);
    pthread_cond_broadcast(&b->ready_arrived);
    pthread_mutex_unlock(&b->lock);
    for (int i = 0; i < b->thread_count; i++) {
        photo_thread *t = &b->threads[i];
        if (t->started) pthread_join(t->thread, NULL);
        mien_photos_free(t->photos);
        mien_detector_close(t->detector);
        worker_close(t->worker);
    }
    for (int i = 0; b->networks && i < b->options.model_count; i++) {
        network *n = &b->networks[i];
        if (n->started) pthread_join(n->thread, NULL);
        mien_free(n->pixels);
        mien_free(n->scores);
    }
    mien_free(b->networks);
    mien_free(b->threads);
    mien_free(b);
}

bool batch_add(batch *b, batch_job *job, bool live) {
    pthread_mutex_lock(&b->lock);
    const bool fits =
        !b->cancelled && b->length < b->options.capacity && !(live && b->waiting.count > 0);
    if (fits) {
        b->length++;
        push(&b->waiting, job);
        pthread_cond_signal(&b->arrived);
    }
    pthread_mutex_unlock(&b->lock);
    return fits;
}

int batch_length(batch *b) {
    pthread_mutex_lock(&b->lock);
    const int length = b->length;
    pthread_mutex_unlock(&b->lock);
    return length;
}

void batch_cancel(batch *b) {
    pthread_mutex_lock(&b->lock);
    b->cancelled = true;
    list waiting = b->waiting;
    b->waiting = (list){0};
    pthread_mutex_unlock(&b->lock);
    for (batch_job *job = pop(&waiting); job; job = pop(&waiting)) {
        serve_refuse(&job->problem, 503, "draining", "the server is being stopped");
        finish(b, job);
    }
}

/* ---- the network ---- */

/* Takes jobs of BATCH_FACES faces together, or one with more. */
static list take_ready(batch *b, int milliseconds, int *faces) {
    struct timespec until;
    list taken = {0};
    *faces = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += milliseconds % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_mutex_lock(&b->lock);
    if (!b->ready.first && !b->stop) pthread_cond_timedwait(&b->ready_arrived, &b->lock, &until);
    while (b->ready.first && (!taken.first || *faces + b->ready.first->count <= BATCH_FACES)) {
        *faces += b->ready.first->count;
        push(&taken, pop(&b->ready));
    }
    pthread_mutex_unlock(&b->lock);
    return taken;
}

/* The faces of several jobs are put side by side; a job alone needs no copy. */
static mien_status classify(network *n, const list *taken, int faces) {
    const mien_meta *meta = &n->models->models[0].meta;
    const size_t bytes = mien_image_bytes(meta->input), classes = (size_t)meta->classes;
    size_t at = 0;
    if (taken->count == 1)
        return mien_ensemble_run(n->models, taken->first->crops, faces, taken->first->scores);
    for (const batch_job *job = taken->first; job; job = job->next) {
        memcpy(n->pixels + at * bytes, job->crops, (size_t)job->count * bytes);
        at += (size_t)job->count;
    }
    MIEN_TRY(mien_ensemble_run(n->models, n->pixels, faces, n->scores));
    at = 0;
    for (batch_job *job = taken->first; job; job = job->next) {
        memcpy(job->scores, n->scores + at * classes, (size_t)job->count * classes * sizeof(float));
        at += (size_t)job->count;
    }
    return MIEN_OK;
}

static void run_network(network *n, int milliseconds) {
    batch *b = n->batch;
    int faces;
    list taken = take_ready(b, milliseconds, &faces);
    if (!taken.first) return;
    const mien_status status = classify(n, &taken, faces);
    if (status != MIEN_OK) MIEN_WARN("a batch of %d faces failed: %s", faces, mien_error_message());
    metrics_batch(b->options.metrics, faces);
    if (status == MIEN_OK) atomic_fetch_add(&b->options.metrics->faces, (unsigned long long)faces);
    for (batch_job *job = pop(&taken); job; job = pop(&taken)) {
        if (status != MIEN_OK) fail(job, MIEN_DEVICE);
        finish(b, job);
    }
}

static bool is_stopped(batch *b) {
    pthread_mutex_lock(&b->lock);
    const bool stop = b->stop && !b->ready.first;
    pthread_mutex_unlock(&b->lock);
    return stop;
}

static void *network_work(void *context) {
    network *n = context;
    mien_threads_leave_team();
    mien_threads_start(1, false); /* the size of this thread's own team */
    while (!is_stopped(n->batch))
        run_network(n, WAIT_MILLISECONDS);
    return NULL;
}

void batch_run(batch *b, int milliseconds) {
    run_network(&b->networks[0], milliseconds);
}
