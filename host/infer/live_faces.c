#include "host/infer/live_faces.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/infer/live_camera.h"
#include "host/infer/live_detector.h"
#include "host/infer/live_stats.h"

static const double PATIENCE = 6, IDLE_STEP = 0.04;
/* A face that the detector misses is followed for this long, if it had been detected twice. */
static const double COAST = 1.0;
enum { CONFIRMED = 2 };
/* Two boxes that overlap by more than this (IoU) are one face. */
static const double SAME = 0.5;

typedef struct person {
    long long id;
    mien_follower *follower;
    mien_rect box;     /* on the last frame on which it was seen */
    mien_rect key_box; /* on the frame that is being detected */
    int dx, dy;        /* from frame to frame */
    bool seen;         /* on this frame */
    double score, detected_at;
    int detections;
} person;

typedef struct live {
    const mien_meta *meta;
    mien_ensemble *ensemble;
    const mien_live_sink *sink;
    mien_video_faces_options options;
    live_camera *camera;
    live_detector *detector; /* NULL: each frame is one face */
    mien_smoother *smoother;
    mien_scene scene;
    int width, height;   /* of the last frame */
    long long key_index; /* of the last frame on which detection began; -1: none yet */
    long long cut_index; /* of the first frame of this scene */
    bool cut;            /* the scene changed since detection last began */
    person *persons;     /* [person_count]; the rest up to person_made keep their followers */
    int person_count, face_count;
    size_t person_capacity, person_made;
    mien_video_face *faces;
    uint8_t *pixels;
    float *scores, *smoothed;
    size_t face_capacity, pixel_capacity, score_capacity, smoothed_capacity;
    live_stats stats;
} live;

/* ---- boxes ---- */

/* ---- persons ---- */

static person *person_of(live *l, long long id) {
    for (int i = 0; i < l->person_count; i++)
        if (l->persons[i].id == id) return &l->persons[i];
    return NULL;
}

static mien_status add_person(live *l, long long id, person **out) {
    const size_t n = (size_t)l->person_count;
    MIEN_TRY(mien_grow(&l->persons, &l->person_capacity, n + 1, sizeof *l->persons));
    person *p = &l->persons[n];
    if (n == l->person_made) {
        *p = (person){0};
        MIEN_TRY(mien_follower_create(&p->follower));
        l->person_made++;
    }
    *p = (person){.id = id, .follower = p->follower};
    l->person_count++;
    *out = p;
    return MIEN_OK;
}

static void remove_person(live *l, int at) {
    const person gone = l->persons[at];
    l->persons[at] = l->persons[--l->person_count];
    l->persons[l->person_count] = gone; /* its follower is used again */
}

/* A face was found on a frame of the near past. Since then the person has moved by as much as its
 * box was moved by following. */
static void meet(person *p, const live_found *found, const mien_track *track) {
    mien_rect box = track->box;
    if (p->detections && p->seen) {
        box.x += p->box.x - p->key_box.x;
        box.y += p->box.y - p->key_box.y;
    }
    p->box = box;
    p->key_box = track->box;
    p->seen = true;
    p->score = track->score;
    p->detected_at = found->time;
    p->detections++;
    mien_follower_set(p->follower, &found->gray, track->box);
}

/* Whether a person whom the detector missed is kept: it may have turned away for a moment, but it
 * must not be a face that was found as somebody else. */
static bool keeps(const person *p, const live_found *found) {
    if (!p->seen || p->detections < CONFIRMED || found->time - p->detected_at > COAST) return false;
    for (int i = 0; i < found->count; i++)
        if (mien_rect_overlap(p->key_box, found->tracks[i].box) > SAME) return false;
    return true;
}

static mien_status take_found(live *l) {
    const live_found *found;
    MIEN_TRY(live_detector_collect(l->detector, &found));
    if (!found) return MIEN_OK;
    l->stats.public.detections++;
    if (found->index < l->cut_index) return MIEN_OK;
    for (int i = 0; i < found->count; i++) {
        person *p = person_of(l, found->tracks[i].id);
        if (!p) MIEN_TRY(add_person(l, found->tracks[i].id, &p));
        meet(p, found, &found->tracks[i]);
    }
    for (int i = l->person_count - 1; i >= 0; i--)
        if (l->persons[i].detected_at < found->time && !keeps(&l->persons[i], found))
            remove_person(l, i);
    return MIEN_OK;
}

static void follow(person *p, const mien_image *gray) {
    mien_rect box, guess = p->box;
    guess.x += p->dx;
    guess.y += p->dy;
    const double similarity = mien_follower_find(p->follower, gray, guess, &box);
    p->seen = similarity >= MIEN_FOLLOW_LEAST;
    p->dx = p->seen ? box.x + box.width / 2 - (p->box.x + p->box.width / 2) : 0;
    p->dy = p->seen ? box.y + box.height / 2 - (p->box.y + p->box.height / 2) : 0;
    if (p->seen) p->box = mien_rect_inside(box, gray->width, gray->height);
}

static int by_id(const void *a, const void *b) {
    const person *p = a, *q = b;
    return (p->id > q->id) - (p->id < q->id);
}

/* ---- one frame ---- */

/* A new scene, or a new size of the picture: where faces were says nothing. */
static bool is_cut(live *l, const mien_frame *frame) {
    const mien_image *gray = &frame->gray;
    const bool changed = l->width && (gray->width != l->width || gray->height != l->height);
    l->width = gray->width;
    l->height = gray->height;
    if (changed) l->scene.set = false;
    const bool cut = mien_scene_cut(&l->scene, gray) && l->key_index >= 0;
    return cut || changed;
}

static mien_status begin_detection(live *l, const mien_frame *frame, bool *begun) {
    const long long every = l->options.every ? l->options.every : MIEN_VIDEO_EVERY;
    const bool due = l->key_index < 0 || l->cut || frame->index - l->key_index >= every;
    *begun = due && live_detector_idle(l->detector);
    if (!*begun) return MIEN_OK;
    MIEN_TRY(live_detector_start(l->detector, frame, l->cut));
    l->key_index = frame->index;
    l->cut = false;
    return MIEN_OK;
}

static mien_status add_face(live *l, const mien_frame *frame, mien_video_face face) {
    const mien_image_spec input = l->meta->input;
    const mien_image *picture = input.channels == 1 ? &frame->gray : &frame->colour;
    const size_t need = (size_t)l->face_count + 1, classes = (size_t)l->meta->classes;
    const mien_crop no_crop = {0};
    MIEN_TRY(mien_grow(&l->faces, &l->face_capacity, need, sizeof *l->faces));
    MIEN_TRY(mien_grow(&l->pixels, &l->pixel_capacity, need, mien_image_bytes(input)));
    MIEN_TRY(mien_grow(&l->scores, &l->score_capacity, need, classes * sizeof *l->scores));
    MIEN_TRY(mien_grow(&l->smoothed, &l->smoothed_capacity, need, classes * sizeof *l->smoothed));
    MIEN_TRY(mien_crop_face(picture, face.box, l->detector ? l->meta->crop : no_crop, input.height,
                            input.width, input.channels,
                            l->pixels + (size_t)l->face_count * mien_image_bytes(input)));
    l->faces[l->face_count++] = face;
    return MIEN_OK;
}

static mien_status find_faces(live *l, const mien_frame *frame, mien_video_result *result) {
    const mien_image *gray = &frame->gray;
    l->face_count = 0;
    if (!l->detector)
        return add_face(l, frame, (mien_video_face){.box = {0, 0, gray->width, gray->height}});
    result->cut = is_cut(l, frame);
    if (result->cut) {
        l->cut = true;
        l->cut_index = frame->index;
        l->person_count = 0;
    }
    MIEN_TRY(take_found(l));
    MIEN_TRY(begin_detection(l, frame, &result->key));
    for (int i = 0; i < l->person_count; i++) {
        follow(&l->persons[i], gray);
        if (result->key) l->persons[i].key_box = l->persons[i].box;
    }
    if (l->person_count) qsort(l->persons, (size_t)l->person_count, sizeof *l->persons, by_id);
    for (int i = 0; i < l->person_count; i++) {
        const person *p = &l->persons[i];
        if (p->seen)
            MIEN_TRY(add_face(l, frame,
                              (mien_video_face){.id = p->id, .box = p->box, .score = p->score}));
    }
    return MIEN_OK;
}

static mien_status classify(live *l, double time) {
    const size_t classes = (size_t)l->meta->classes;
    if (!l->face_count) return MIEN_OK;
    MIEN_TRY(mien_ensemble_run(l->ensemble, l->pixels, l->face_count, l->scores));
    for (int i = 0; i < l->face_count; i++) {
        mien_video_face *face = &l->faces[i];
        float *smoothed = l->smoothed + (size_t)i * classes;
        face->scores = face->smoothed = l->scores + (size_t)i * classes;
        face->label = face->smoothed_label = mien_best_class(face->scores, l->meta->classes);
        if (l->options.raw) continue;
        face->smoothed = smoothed;
        MIEN_TRY(mien_smoother_add(l->smoother, face->id, time, face->scores, smoothed,
                                   &face->smoothed_label));
    }
    return MIEN_OK;
}

static mien_status answer(live *l, const mien_frame *frame, double arrived) {
    mien_video_result result = {.frame = frame};
    MIEN_TRY(find_faces(l, frame, &result));
    MIEN_TRY(classify(l, frame->time));
    result.faces = l->faces;
    result.count = l->face_count;
    l->stats.public.frames = live_camera_count(l->camera);
    live_stats_add(&l->stats, arrived, mien_seconds());
    return l->sink->take(l->sink->context, &result, &l->stats.public);
}

/* ---- the run ---- */

/* A network's first run takes long: it is done before the first frame. */
static mien_status warm_up(live *l) {
    const size_t classes = (size_t)l->meta->classes;
    MIEN_TRY(mien_grow(&l->pixels, &l->pixel_capacity, 1, mien_image_bytes(l->meta->input)));
    MIEN_TRY(mien_grow(&l->scores, &l->score_capacity, 1, classes * sizeof *l->scores));
    memset(l->pixels, 0, mien_image_bytes(l->meta->input));
    return mien_ensemble_run(l->ensemble, l->pixels, 1, l->scores);
}

static mien_status answer_frames(live *l, double patience) {
    const mien_frame *frame;
    double arrived, last = mien_seconds();
    live_event event;
    for (;;) {
        if (l->options.stop && *l->options.stop) return MIEN_FAIL(INTERRUPTED, "interrupted");
        MIEN_TRY(live_camera_next(l->camera, IDLE_STEP, &event, &frame, &arrived));
        if (event == LIVE_END) return MIEN_OK;
        if (event == LIVE_FRAME) {
            MIEN_TRY(answer(l, frame, arrived));
            last = mien_seconds();
        } else if (mien_seconds() - last > patience) {
            return MIEN_FAIL(NO_DEVICE, "the camera has given no frame for %.3g seconds", patience);
        } else if (l->sink->idle) {
            MIEN_TRY(l->sink->idle(l->sink->context));
        }
    }
}

static void release(live *l) {
    live_camera_close(l->camera);
    live_detector_close(l->detector);
    mien_smoother_free(l->smoother);
    for (size_t i = 0; i < l->person_made; i++)
        mien_follower_free(l->persons[i].follower);
    mien_free(l->persons);
    mien_free(l->faces);
    mien_free(l->pixels);
    mien_free(l->scores);
    mien_free(l->smoothed);
    mien_free(l);
}

mien_status mien_live_faces_run(mien_frames *source, mien_ensemble *ensemble,
                                const mien_detector_choice *detector,
                                const mien_live_options *options, const mien_live_sink *sink,
                                mien_live_stats *stats) {
    const mien_meta *meta = &ensemble->models[0].meta;
    const double patience = options && options->patience > 0 ? options->patience : PATIENCE;
    live *l;
    mien_status status;
    MIEN_TRY(mien_new(&l, 1, sizeof *l));
    l->meta = meta;
    l->ensemble = ensemble;
    l->sink = sink;
    l->key_index = -1;
    if (options) l->options = options->faces;
    if (detector) {
        const mien_detect rule = {l->options.min_face, l->options.min_score};
        MIEN_GO(live_detector_open(detector, rule, &l->detector));
    }
    if (!l->options.raw) MIEN_GO(mien_smoother_create(meta->classes, NULL, &l->smoother));
    MIEN_GO(warm_up(l));
    MIEN_GO(live_camera_open(source, &l->camera));
    status = answer_frames(l, patience);
out:
    mien_frames_close(source);
    if (l->camera) l->stats.public.frames = live_camera_count(l->camera);
    if (stats) *stats = l->stats.public;
    release(l);
    return status;
}
