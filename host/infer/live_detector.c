#include "host/infer/live_detector.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/infer/frame_detect.h"

enum { IDLE, BEGUN, DONE };
/* The thread's nice value: where CPUs are few, answering frames comes first. */
enum { NICE = 5 };

struct live_detector {
    frame_detect detect;
    mien_tracker *tracker;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, quit;
    int state;
    /* of the frame in work; used by the thread between BEGUN and DONE, else by the caller */
    live_found found;
    bool cut;
    size_t gray_capacity, box_capacity, score_capacity, track_capacity;
    mien_rect *boxes;
    double *scores;
    mien_track *tracks;
    mien_status status;
    char message[MIEN_MESSAGE];
};

static mien_status track(live_detector *d, const mien_faces *faces) {
    const size_t need = (size_t)faces->count + 1;
    MIEN_TRY(mien_grow(&d->boxes, &d->box_capacity, need, sizeof *d->boxes));
    MIEN_TRY(mien_grow(&d->scores, &d->score_capacity, need, sizeof *d->scores));
    MIEN_TRY(mien_grow(&d->tracks, &d->track_capacity, need, sizeof *d->tracks));
    for (int i = 0; i < faces->count; i++) {
        d->boxes[i] = faces->items[i].box;
        d->scores[i] = faces->items[i].score;
    }
    MIEN_TRY(mien_tracker_step(d->tracker, &d->found.gray, d->found.time, d->cut, d->boxes,
                               d->scores, faces->count, d->tracks));
    d->found.tracks = d->tracks;
    d->found.count = faces->count;
    return MIEN_OK;
}

static mien_status detect(live_detector *d) {
    mien_faces faces = {0};
    mien_status status = frame_detect_run(&d->detect, &d->found.gray, &faces);
    if (status == MIEN_OK) status = track(d, &faces);
    mien_faces_release(&faces);
    return status;
}

static void *work(void *context) {
    live_detector *d = context;
    mien_threads_leave_team();
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), getpriority(PRIO_PROCESS, 0) + NICE);
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (d->state != BEGUN && !d->quit)
            pthread_cond_wait(&d->changed, &d->lock);
        if (d->quit) break;
        pthread_mutex_unlock(&d->lock);
        const mien_status status = detect(d);
        if (status != MIEN_OK) snprintf(d->message, sizeof d->message, "%s", mien_error_message());
        pthread_mutex_lock(&d->lock);
        d->status = status;
        d->state = DONE;
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

mien_status live_detector_open(const mien_detector_choice *choice, mien_detect rule,
                               live_detector **out) {
    live_detector *d;
    mien_status status;
    *out = NULL;
    MIEN_TRY(mien_new(&d, 1, sizeof *d));
    d->detect.rule = rule;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    MIEN_GO(mien_detector_open(choice, &d->detect.detector));
    MIEN_GO(mien_tracker_create(NULL, &d->tracker));
    d->started = pthread_create(&d->thread, NULL, work, d) == 0;
    if (!d->started) MIEN_GO(MIEN_FAIL(NO_MEMORY, "cannot start a thread that detects faces"));
    *out = d;
    d = NULL;
out:
    live_detector_close(d);
    return status;
}

bool live_detector_idle(live_detector *d) {
    pthread_mutex_lock(&d->lock);
    const bool idle = d->state == IDLE;
    pthread_mutex_unlock(&d->lock);
    return idle;
}

mien_status live_detector_collect(live_detector *d, const live_found **found) {
    *found = NULL;
    pthread_mutex_lock(&d->lock);
    const bool done = d->state == DONE;
    if (done) d->state = IDLE;
    pthread_mutex_unlock(&d->lock);
    if (!done) return MIEN_OK;
    if (d->status != MIEN_OK) return mien_fail(d->status, __FILE__, __LINE__, "%s", d->message);
    *found = &d->found;
    return MIEN_OK;
}

mien_status live_detector_start(live_detector *d, const mien_frame *frame, bool cut) {
    const size_t bytes = (size_t)frame->gray.width * (size_t)frame->gray.height;
    MIEN_TRY(mien_grow(&d->found.gray.pixels, &d->gray_capacity, bytes, 1));
    memcpy(d->found.gray.pixels, frame->gray.pixels, bytes);
    d->found.gray.width = frame->gray.width;
    d->found.gray.height = frame->gray.height;
    d->found.gray.channels = 1;
    d->found.index = frame->index;
    d->found.time = frame->time;
    d->found.count = 0;
    d->cut = cut;
    pthread_mutex_lock(&d->lock);
    d->state = BEGUN;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return MIEN_OK;
}

void live_detector_close(live_detector *d) {
    if (!d) return;
    if (d->started) {
        pthread_mutex_lock(&d->lock);
        d->quit = true;
        pthread_cond_signal(&d->changed);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
    }
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    mien_detector_close(d->detect.detector);
    frame_detect_release(&d->detect);
    mien_tracker_free(d->tracker);
    mien_free(d->found.gray.pixels);
    mien_free(d->boxes);
    mien_free(d->scores);
    mien_free(d->tracks);
    mien_free(d);
}
