#include "host/infer/live_camera.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/base/threads.h"

/* One slot is filled, one is fresh and one is used by the reader of frames. */
enum { SLOTS = 3, NONE = -1 };
static const double CLOSE_WITHIN = 2; /* seconds for the source's call to return */

struct live_camera {
    mien_frames source;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    mien_frame slots[SLOTS];
    double arrived[SLOTS];
    int filling, fresh, used; /* slots; `fresh` may be NONE */
    long long count;
    bool quit, ended;
    bool abandoned;     /* whoever asked has gone: the thread frees all when it ends */
    mien_status status; /* of the end */
    char message[MIEN_MESSAGE];
};

/* Waits on `changed` until `until` (mien_seconds); false when that time is over. */
static bool wait_until(live_camera *c, double until) {
    struct timespec at = {(time_t)until, (long)((until - (double)(time_t)until) * 1e9)};
    return pthread_cond_timedwait(&c->changed, &c->lock, &at) == 0;
}

/* Files give their frames at once: each is held back until its time. */
static void hold_back(live_camera *c, double start, double time) {
    pthread_mutex_lock(&c->lock);
    while (!c->quit && wait_until(c, start + time))
        ;
    pthread_mutex_unlock(&c->lock);
}

static void publish(live_camera *c) {
    pthread_mutex_lock(&c->lock);
    const int skipped = c->fresh;
    c->arrived[c->filling] = mien_seconds();
    c->fresh = c->filling;
    c->filling = skipped == NONE ? SLOTS - c->fresh - c->used : skipped; /* 0 + 1 + 2 = SLOTS */
    c->count++;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void destroy(live_camera *c) {
    if (c->source.close) c->source.close(c->source.state);
    for (int i = 0; i < SLOTS; i++)
        mien_frame_release(&c->slots[i]);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    mien_free(c);
}

static void *read_frames(void *context) {
    live_camera *c = context;
    const double start = mien_seconds();
    mien_status status = MIEN_OK;
    bool more = true, quit = false;
    mien_threads_leave_team();
    while (!quit) {
        mien_frame *frame = &c->slots[c->filling];
        status = c->source.next(c->source.state, frame, &more);
        if (status != MIEN_OK || !more) break;
        if (!c->source.info.live) hold_back(c, start, frame->time);
        publish(c);
        pthread_mutex_lock(&c->lock);
        quit = c->quit;
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_lock(&c->lock);
    c->status = status;
    if (status != MIEN_OK) snprintf(c->message, sizeof c->message, "%s", mien_error_message());
    c->ended = true;
    const bool abandoned = c->abandoned;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (abandoned) destroy(c);
    return NULL;
}

static mien_status prepare(live_camera *c) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&c->thread, NULL, read_frames, c) == 0) return MIEN_OK;
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    return MIEN_FAIL(NO_MEMORY, "cannot start a thread that reads the camera");
}

mien_status live_camera_open(mien_frames *source, live_camera **out) {
    live_camera *c;
    *out = NULL;
    MIEN_TRY(mien_new(&c, 1, sizeof *c));
    c->source = *source;
    c->filling = 0;
    c->used = 1;
    c->fresh = NONE;
    const mien_status status = prepare(c);
    if (status != MIEN_OK) {
        mien_free(c);
        return status;
    }
    *source = (mien_frames){0};
    *out = c;
    return MIEN_OK;
}

mien_status live_camera_next(live_camera *c, double seconds, live_event *event,
                             const mien_frame **frame, double *arrived) {
    const double until = mien_seconds() + seconds;
    mien_status status = MIEN_OK;
    pthread_mutex_lock(&c->lock);
    while (c->fresh == NONE && !c->ended && wait_until(c, until))
        ;
    if (c->fresh != NONE) {
        *event = LIVE_FRAME;
        c->used = c->fresh;
        c->fresh = NONE;
        *frame = &c->slots[c->used];
        *arrived = c->arrived[c->used];
    } else if (c->ended) {
        *event = LIVE_END;
        status = c->status;
    } else {
        *event = LIVE_WAITING;
    }
    pthread_mutex_unlock(&c->lock);
    return status == MIEN_OK ? MIEN_OK : mien_fail(status, __FILE__, __LINE__, "%s", c->message);
}

long long live_camera_count(live_camera *c) {
    pthread_mutex_lock(&c->lock);
    const long long count = c->count;
    pthread_mutex_unlock(&c->lock);
    return count;
}

void live_camera_close(live_camera *c) {
    if (!c) return;
    const double until = mien_seconds() + CLOSE_WITHIN;
    pthread_mutex_lock(&c->lock);
    c->quit = true;
    pthread_cond_broadcast(&c->changed);
    while (!c->ended && wait_until(c, until))
        ;
    const bool ended = c->ended;
    c->abandoned = !ended;
    if (!ended) pthread_detach(c->thread);
    pthread_mutex_unlock(&c->lock);
    if (!ended) return;
    pthread_join(c->thread, NULL);
    destroy(c);
}
