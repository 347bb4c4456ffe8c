#include "host/infer/video_faces.h"

#include <math.h>
#include <stdlib.h>

#include "host/base/memory.h"
#include "host/infer/frame_queue.h"

static const double MIN_SHARE = 0.1;
/* A face that the detector misses is followed for this long, if it had been detected twice. */
static const double COAST = 1.0;
/* Between two detections a box is followed from the nearer one; where the face looks different for
 * a moment, the box is interpolated. */
enum { MIN_SIDE = 24, WHOLE_FRAMES = 32, CONFIRMED = 2 };

/* A face that was seen on the last key frame. */
typedef struct person {
    long long id;
    mien_follower *last, *next; /* as seen on the last key frame, and on the one that ends the
                                   segment */
    mien_rect box, next_box;
    bool here, there; /* on the last key frame; on the next */
    bool found;       /* detected on the next key frame, not only followed to it */
    double score, detected_at;
    int detections;
} person;

typedef struct walk {
    const mien_meta *meta;
    mien_ensemble *ensemble;
    mien_video_faces_options options;
    const mien_video_sink *sink;
    frame_queue *queue;
    mien_tracker *tracker;
    mien_smoother *smoother;
    bool whole;      /* there is no detector */
    person *persons; /* [person_count]; the rest up to person_capacity keep their followers */
    int person_count;
    size_t person_capacity, person_made;
    /* of one segment: faces of frame i are those from starts[i] to starts[i + 1] */
    mien_video_face *faces;
    int *starts;
    uint8_t *pixels;
    float *scores, *smoothed;
    int face_count;
    size_t start_capacity, face_capacity, pixel_capacity, score_capacity, smoothed_capacity;
    mien_rect *boxes;
    double *box_scores;
    mien_track *tracks;
    size_t box_capacity, box_score_capacity, track_capacity;
} walk;

int mien_video_face_least(int width, int height) {
    const int share = (int)(MIN_SHARE * (width < height ? width : height) + 0.5);
    return share > MIN_SIDE ? share : MIN_SIDE;
}

/* ---- the faces of a segment ---- */

static mien_status more_faces(walk *w) {
    const size_t need = (size_t)w->face_count + 1, classes = (size_t)w->meta->classes;
    MIEN_TRY(mien_grow(&w->faces, &w->face_capacity, need, sizeof *w->faces));
    MIEN_TRY(mien_grow(&w->pixels, &w->pixel_capacity, need, mien_image_bytes(w->meta->input)));
    MIEN_TRY(mien_grow(&w->scores, &w->score_capacity, need, classes * sizeof *w->scores));
    return mien_grow(&w->smoothed, &w->smoothed_capacity, need, classes * sizeof *w->smoothed);
}

/* Crops a face of a frame for the network, by the model's rule; a whole frame is only resized. */
static mien_status add_face(walk *w, const mien_frame *frame, mien_video_face face) {
    const mien_image_spec input = w->meta->input;
    const mien_crop no_crop = {0};
    const mien_image *picture = input.channels == 1 ? &frame->gray : &frame->colour;
    MIEN_TRY(more_faces(w));
    MIEN_TRY(mien_crop_face(picture, face.box, w->whole ? no_crop : w->meta->crop, input.height,
                            input.width, input.channels,
                            w->pixels + (size_t)w->face_count * mien_image_bytes(input)));
    w->faces[w->face_count++] = face;
    return MIEN_OK;
}

static mien_status smooth(walk *w, mien_video_face *face, double time, float *smoothed) {
    face->smoothed_label = face->label;
    face->smoothed = face->scores;
    if (w->options.raw) return MIEN_OK;
    face->smoothed = smoothed;
    return mien_smoother_add(w->smoother, face->id, time, face->scores, smoothed,
                             &face->smoothed_label);
}

/* Classifies the faces of the segment's frames and gives the frames to the sink. */
static mien_status deliver(walk *w, int count) {
    const size_t classes = (size_t)w->meta->classes;
    if (w->face_count)
        MIEN_TRY(mien_ensemble_run(w->ensemble, w->pixels, w->face_count, w->scores));
    for (int i = 0; i < count; i++) {
        const frame_slot *slot = frame_queue_slot(w->queue, i);
        for (int f = w->starts[i]; f < w->starts[i + 1]; f++) {
            w->faces[f].scores = w->scores + (size_t)f * classes;
            w->faces[f].label = mien_best_class(w->faces[f].scores, w->meta->classes);
            MIEN_TRY(smooth(w, &w->faces[f], slot->frame.time, w->smoothed + (size_t)f * classes));
        }
        const mien_video_result result = {.frame = &slot->frame,
                                          .faces = w->faces + w->starts[i],
                                          .count = w->starts[i + 1] - w->starts[i],
                                          .key = slot->key,
                                          .cut = slot->cut};
        MIEN_TRY(w->sink->take(w->sink->context, &result));
    }
    return MIEN_OK;
}

/* ---- without a detector ---- */

static mien_status whole_segment(walk *w, int count) {
    for (int i = 0; i < count; i++) {
        const mien_frame *frame = &frame_queue_slot(w->queue, i)->frame;
        w->starts[i] = w->face_count;
        const mien_rect all = {0, 0, frame->gray.width, frame->gray.height};
        MIEN_TRY(add_face(w, frame, (mien_video_face){.box = all}));
    }
    return MIEN_OK;
}

/* ---- persons ---- */

static mien_status add_person(walk *w, long long id, person **out) {
    const size_t n = (size_t)w->person_count;
    MIEN_TRY(mien_grow(&w->persons, &w->person_capacity, n + 1, sizeof *w->persons));
    person *p = &w->persons[n];
    if (n == w->person_made) {
        *p = (person){0};
        w->person_made++;
    }
    if (!p->last) MIEN_TRY(mien_follower_create(&p->last));
    if (!p->next) MIEN_TRY(mien_follower_create(&p->next));
    *p = (person){.id = id, .last = p->last, .next = p->next};
    w->person_count++;
    *out = p;
    return MIEN_OK;
}

static person *person_of(walk *w, long long id) {
    for (int i = 0; i < w->person_count; i++)
        if (w->persons[i].id == id) return &w->persons[i];
    return NULL;
}

static mien_rect between(mien_rect a, mien_rect b, double share) {
    return (mien_rect){(int)lround(a.x + share * (b.x - a.x)),
                       (int)lround(a.y + share * (b.y - a.y)),
                       (int)lround(a.width + share * (b.width - a.width)),
                       (int)lround(a.height + share * (b.height - a.height))};
}

/* Connects the faces of the key frame with persons. */
static mien_status identify(walk *w, const frame_slot *key, bool cut) {
    const mien_faces *faces = &key->faces;
    const size_t need = (size_t)faces->count + 1;
    MIEN_TRY(mien_grow(&w->boxes, &w->box_capacity, need, sizeof *w->boxes));
    MIEN_TRY(mien_grow(&w->box_scores, &w->box_score_capacity, need, sizeof *w->box_scores));
    MIEN_TRY(mien_grow(&w->tracks, &w->track_capacity, need, sizeof *w->tracks));
    for (int i = 0; i < faces->count; i++) {
        w->boxes[i] = faces->items[i].box;
        w->box_scores[i] = faces->items[i].score;
    }
    MIEN_TRY(mien_tracker_step(w->tracker, &key->frame.gray, key->frame.time, cut, w->boxes,
                               w->box_scores, faces->count, w->tracks));
    for (int i = 0; i < faces->count; i++) {
        const mien_track *track = &w->tracks[i];
        person *p = person_of(w, track->id);
        if (!p) MIEN_TRY(add_person(w, track->id, &p));
        p->there = p->found = true;
        p->next_box = track->box;
        p->score = track->score;
        p->detected_at = key->frame.time;
        p->detections++;
        mien_follower_set(p->next, &key->frame.gray, track->box);
    }
    return MIEN_OK;
}

/* ---- between two key frames ---- */

/* Follows a person to frame i of the segment, from frame to frame; false when it is lost. */
static bool follow(mien_follower *from, const mien_frame *frame, mien_rect guess, mien_rect *box) {
    mien_rect found;
    if (mien_follower_find(from, &frame->gray, guess, &found) < MIEN_FOLLOW_LEAST) return false;
    *box = mien_rect_inside(found, frame->gray.width, frame->gray.height);
    return true;
}

/* The box of a person on frame i, where segment frames are numbered 0..count-1 and the last key
 * frame would be number -1. */
static mien_rect box_between(person *p, const mien_frame *frame, int i, int count) {
    const double share = (i + 1.0) / count;
    const mien_rect guess = between(p->box, p->next_box, share);
    mien_follower *nearer = share <= 0.5 ? p->last : p->next;
    mien_rect box;
    if (follow(nearer, frame, guess, &box)) return box;
    if (follow(nearer == p->last ? p->next : p->last, frame, guess, &box)) return box;
    return mien_rect_inside(guess, frame->gray.width, frame->gray.height);
}

/* Writes the boxes of a person on the frames before the key frame; the width of a box is 0 where
 * the person is not seen. */
static void boxes_of(walk *w, person *p, int count, bool cut, mien_rect *boxes) {
    mien_rect near = p->box;
    for (int i = 0; i + 1 < count; i++)
        boxes[i] = (mien_rect){0};
    if (p->here && p->there && !cut) {
        for (int i = 0; i + 1 < count; i++)
            boxes[i] = box_between(p, &frame_queue_slot(w->queue, i)->frame, i, count);
    } else if (p->here) {
        for (int i = 0; i + 1 < count; i++) {
            if (!follow(p->last, &frame_queue_slot(w->queue, i)->frame, near, &near)) break;
            boxes[i] = near;
        }
    }
    if (p->there && (!p->here || cut) && !cut) {
        near = p->next_box;
        for (int i = count - 2; i >= 0; i--) {
            if (!follow(p->next, &frame_queue_slot(w->queue, i)->frame, near, &near)) break;
            boxes[i] = near;
        }
    }
}

/* Follows persons whom the detector missed to the key frame. */
static void coast(walk *w, const mien_frame *frame, bool cut) {
    for (int i = 0; i < w->person_count; i++) {
        person *p = &w->persons[i];
        if (p->there || !p->here || cut || p->detections < CONFIRMED ||
            frame->time - p->detected_at > COAST)
            continue;
        if (!follow(p->last, frame, p->box, &p->next_box)) continue;
        p->there = true;
        mien_follower_set(p->next, &frame->gray, p->next_box);
    }
}

static int by_id(const void *a, const void *b) {
    const person *p = a, *q = b;
    return (p->id > q->id) - (p->id < q->id);
}

/* The next key frame becomes the last one; persons who are gone are forgotten, but not their
 * followers. */
static void advance(walk *w) {
    int kept = 0;
    for (int i = 0; i < w->person_count; i++) {
        person p = w->persons[i];
        mien_follower *last = p.next;
        p.next = p.last;
        p.last = last;
        p.box = p.next_box;
        p.here = p.there;
        p.there = p.found = false;
        w->persons[i] = w->persons[kept];
        w->persons[kept] = p;
        kept += p.here;
    }
    w->person_count = kept;
}

static mien_status detected_segment(walk *w, int count) {
    const frame_slot *key = frame_queue_slot(w->queue, count - 1);
    MIEN_TRY(identify(w, key, key->cut));
    coast(w, &key->frame, key->cut);
    if (w->person_count) qsort(w->persons, (size_t)w->person_count, sizeof *w->persons, by_id);
    const size_t need = (size_t)w->person_count * (size_t)count + 1;
    MIEN_TRY(mien_grow(&w->boxes, &w->box_capacity, need, sizeof *w->boxes));
    for (int i = 0; i < w->person_count; i++)
        boxes_of(w, &w->persons[i], count, key->cut, w->boxes + (size_t)i * (size_t)count);
    for (int f = 0; f < count; f++) {
        const mien_frame *frame = &frame_queue_slot(w->queue, f)->frame;
        w->starts[f] = w->face_count;
        for (int i = 0; i < w->person_count; i++) {
            const person *p = &w->persons[i];
            const bool last = f == count - 1;
            const mien_rect box =
                last ? p->next_box : w->boxes[(size_t)i * (size_t)count + (size_t)f];
            if (last ? !p->there : box.width == 0) continue;
            MIEN_TRY(add_face(
                w, frame,
                (mien_video_face){
                    .id = p->id, .box = box, .detected = last && p->found, .score = p->score}));
        }
    }
    advance(w);
    return MIEN_OK;
}

/* ---- the run ---- */

static mien_status segments(walk *w) {
    for (int count;;) {
        MIEN_TRY(frame_queue_next(w->queue, &count));
        if (count == 0) return MIEN_OK;
        w->face_count = 0;
        MIEN_TRY(mien_grow(&w->starts, &w->start_capacity, (size_t)count + 1, sizeof *w->starts));
        MIEN_TRY(w->whole ? whole_segment(w, count) : detected_segment(w, count));
        w->starts[count] = w->face_count;
        MIEN_TRY(deliver(w, count));
    }
}

static void release(walk *w) {
    frame_queue_close(w->queue);
    mien_tracker_free(w->tracker);
    mien_smoother_free(w->smoother);
    for (size_t i = 0; i < w->person_made; i++) {
        mien_follower_free(w->persons[i].last);
        mien_follower_free(w->persons[i].next);
    }
    mien_free(w->persons);
    mien_free(w->faces);
    mien_free(w->starts);
    mien_free(w->pixels);
    mien_free(w->scores);
    mien_free(w->smoothed);
    mien_free(w->boxes);
    mien_free(w->box_scores);
    mien_free(w->tracks);
}

mien_status mien_video_faces_run(mien_frames *source, mien_ensemble *ensemble,
                                 const mien_detector_choice *detector,
                                 const mien_video_faces_options *options,
                                 const mien_video_sink *sink) {
    const mien_meta *meta = &ensemble->models[0].meta;
    walk w = {.meta = meta, .ensemble = ensemble, .sink = sink, .whole = !detector};
    mien_status status;
    if (options) w.options = *options;
    const int every = w.options.every ? w.options.every : MIEN_VIDEO_EVERY;
    const frame_queue_options queue = {
        .detector = detector,
        .rule = {w.options.min_face, w.options.min_score},
        .every = w.whole ? WHOLE_FRAMES : every,
        .detectors = w.options.detectors > 0 ? w.options.detectors : 1,
        .stop = w.options.stop,
    };
    MIEN_GO(mien_tracker_create(NULL, &w.tracker));
    MIEN_GO(mien_smoother_create(meta->classes, NULL, &w.smoother));
    MIEN_GO(frame_queue_open(source, &queue, &w.queue));
    status = segments(&w);
out:
    release(&w);
    return status;
}
