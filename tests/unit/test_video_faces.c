/* The faces of a video: every frame once and in order, boxes and ids between detections, the same
 * answers whatever the timing, and what happens when something fails. */
#include "tests/support/footage.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/infer/photo.h"
#include "host/infer/video_faces.h"
#include "tests/support/test.h"

static mien_backend *backend;
static mien_ensemble model;
static const mien_detector_choice detector = {.kind = &footage_detector};

static int start(void **state) {
    if (scratch_make(state)) return 1;
    expect_ok(mien_backend_open("cpu", &(mien_backend_options){.threads = 1}, &backend));
    tiny_ensemble(backend, 1, &model);
    return 0;
}

static int stop(void **state) {
    mien_ensemble_release(&model);
    mien_backend_close(backend);
    return scratch_drop(state);
}

/* ---- what a run gave ---- */

enum { FRAMES_MAX = 400, FACES_MAX = 16 };

typedef struct seen_face {
    long long id;
    mien_rect box;
    bool detected;
    int label, smoothed_label;
    float scores[TINY_CLASSES], smoothed[TINY_CLASSES];
} seen_face;

typedef struct seen_frame {
    bool key, cut;
    int count;
    seen_face faces[FACES_MAX];
} seen_frame;

typedef struct seen {
    seen_frame frames[FRAMES_MAX];
    int count;
    int fails_at; /* the sink fails at this frame; 0: never */
} seen;

static mien_status take(void *context, const mien_video_result *r) {
    seen *s = context;
    assert_true(s->count < FRAMES_MAX && r->count <= FACES_MAX);
    assert_int_equal(r->frame->index, s->count);
    if (s->fails_at && s->count == s->fails_at) return MIEN_FAIL(IO, "the sink failed");
    seen_frame *frame = &s->frames[s->count++];
    memset(frame, 0, sizeof *frame);
    frame->key = r->key;
    frame->cut = r->cut;
    frame->count = r->count;
    for (int i = 0; i < r->count; i++) {
        const mien_video_face *f = &r->faces[i];
        seen_face *face = &frame->faces[i];
        face->id = f->id;
        face->box = f->box;
        face->detected = f->detected;
        face->label = f->label;
        face->smoothed_label = f->smoothed_label;
        memcpy(face->scores, f->scores, sizeof face->scores);
        memcpy(face->smoothed, f->smoothed, sizeof face->smoothed);
    }
    return MIEN_OK;
}

static mien_status watch_with(footage *made, const mien_detector_choice *choice,
                              const mien_video_faces_options *options, seen *out) {
    mien_frames source = footage_source(made);
    return mien_video_faces_run(&source, &model, choice, options, &(mien_video_sink){out, take});
}

static mien_status watch(footage *made, seen *out) {
    return watch_with(made, &detector, NULL, out);
}

/* The face of a frame that covers `box` best, if by at least half. */
static const seen_face *face_at(const seen_frame *frame, mien_rect box) {
    const seen_face *best = NULL;
    for (int i = 0; i < frame->count; i++)
        if (mien_rect_overlap(frame->faces[i].box, box) >=
            (best ? mien_rect_overlap(best->box, box) : 0.5))
            best = &frame->faces[i];
    return best;
}

static footage two_people(int frames) {
    return (footage){
        .width = 320,
        .height = 240,
        .frames = frames,
        .rate = 30,
        .face_count = 2,
        .faces = {{20, 20, 60, 1.5, 0.1, .pattern = 1}, {220, 150, 70, -1, -0.1, .pattern = 2}}};
}

/* ---- tests ---- */

static void every_frame_in_order(void **state) {
    (void)state;
    static const int lengths[] = {0, 1, 2, 5, 6, 7, 61};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        static seen got;
        footage made = two_people(lengths[i]);
        got = (seen){0};
        expect_ok(watch(&made, &got));
        assert_int_equal(got.count, lengths[i]);
        for (int f = 0; f < got.count; f++)
            assert_int_equal(got.frames[f].key, f % MIEN_VIDEO_EVERY == 0 || f == got.count - 1);
    }
}

/* Every face is reported on every frame, near where it is, under one id, with detections and
 * without. */
static void boxes_and_ids_between(void **state) {
    (void)state;
    static seen got;
    got = (seen){0};
    footage made = two_people(120);
    made.faces[0].missed = 3;
    made.faces[1].missed = 4;
    expect_ok(watch(&made, &got));
    for (int face = 0; face < 2; face++) {
        long long id = 0;
        for (int f = 0; f < got.count; f++) {
            mien_rect box;
            assert_true(footage_box(&made, face, f, &box));
            const seen_face *at = face_at(&got.frames[f], box);
            if (!at) fail_msg("face %d is not found on frame %d", face, f);
            if (id) assert_int_equal(at->id, id);
            id = at->id;
        }
    }
    for (int f = 0; f < got.count; f++)
        assert_int_equal(got.frames[f].count, 2);
}

/* A face is not reported long before it comes or after it has gone. */
static void comes_and_goes(void **state) {
    (void)state;
    static seen got;
    got = (seen){0};
    footage made = two_people(100);
    made.faces[0].from = 32;
    made.faces[0].to = 68;
    expect_ok(watch(&made, &got));
    for (int f = 0; f < got.count; f++) {
        const int want = f >= 32 && f < 68 ? 2 : 1;
        if (got.frames[f].count != want)
            fail_msg("frame %d has %d faces, not %d", f, got.frames[f].count, want);
    }
}

/* Timing decides nothing: threads, and a source with pauses. */
static void same_answers(void **state) {
    (void)state;
    static seen first, other;
    footage made = two_people(90);
    made.faces[0].missed = 5;
    first = other = (seen){0};
    expect_ok(watch(&made, &first));
    for (int detectors = 1; detectors <= 3; detectors += 2) {
        footage slow = made;
        slow.pause = (unsigned)detectors;
        memset(&other, 0, sizeof other);
        expect_ok(watch_with(&slow, &detector, &(mien_video_faces_options){.detectors = detectors},
                             &other));
        assert_int_equal(other.count, first.count);
        assert_memory_equal(first.frames, other.frames, sizeof first.frames);
    }
}

static void scene_cut_begins_anew(void **state) {
    (void)state;
    static seen got;
    got = (seen){0};
    footage made = two_people(60);
    made.cut = 33; /* between two key frames */
    made.faces[0].to = 33;
    made.faces[1].from = 33;
    made.faces[1].x = made.faces[0].x; /* another person in the same position */
    made.faces[1].y = made.faces[0].y;
    made.faces[1].dx = made.faces[0].dx;
    made.faces[1].dy = made.faces[0].dy;
    made.faces[1].side = made.faces[0].side;
    expect_ok(watch(&made, &got));
    assert_true(got.frames[33].cut && got.frames[33].key);
    for (int f = 0; f < got.count; f++)
        assert_int_equal(got.frames[f].count, 1);
    assert_int_not_equal(got.frames[32].faces[0].id, got.frames[33].faces[0].id);
    assert_int_equal(got.frames[0].faces[0].id, got.frames[32].faces[0].id);
    assert_int_equal(got.frames[33].faces[0].id, got.frames[59].faces[0].id);
}

/* Scores of a frame are those of a photo: with a detector, and of the whole picture. */
static void scores_of_a_photo(void **state) {
    (void)state;
    static seen got;
    for (int whole = 0; whole < 2; whole++) {
        footage made = two_people(11);
        got = (seen){0};
        expect_ok(watch_with(&made, whole ? NULL : &detector, NULL, &got));
        mien_frames source = footage_source(&made);
        mien_frame frame = {0};
        mien_detector *own = NULL;
        mien_photos *photos;
        bool more = true;
        int index;
        if (!whole) expect_ok(mien_detector_open(&detector, &own));
        expect_ok(mien_photos_create(&model, own, NULL, &photos));
        for (int f = 0; f <= 10; f++)
            expect_ok(mien_frames_next(&source, &frame, &more));
        expect_ok(
            mien_photos_add(photos, &(mien_photo){.image = &frame.gray, .name = "frame"}, &index));
        expect_ok(mien_photos_run(photos));
        const mien_photo_view view = mien_photos_faces(photos, index);
        assert_int_equal(view.count, whole ? 1 : 2);
        for (int i = 0; i < view.count; i++) {
            const seen_face *face = face_at(&got.frames[10], view.faces[i].box);
            assert_non_null(face);
            assert_int_equal(face->id == 0, whole);
            for (int k = 0; k < TINY_CLASSES; k++)
                assert_true(fabsf(face->scores[k] - view.probabilities[i * TINY_CLASSES + k]) <
                            1e-6f);
        }
        mien_photos_free(photos);
        mien_detector_close(own);
        mien_frame_release(&frame);
    }
}

static void smoothing_can_be_off(void **state) {
    (void)state;
    static seen raw, smooth;
    footage made = two_people(40);
    raw = smooth = (seen){0};
    expect_ok(watch_with(&made, &detector, &(mien_video_faces_options){.raw = true}, &raw));
    expect_ok(watch(&made, &smooth));
    bool differs = false;
    for (int f = 0; f < raw.count; f++)
        for (int i = 0; i < raw.frames[f].count; i++) {
            const seen_face *a = &raw.frames[f].faces[i], *b = &smooth.frames[f].faces[i];
            assert_memory_equal(a->scores, a->smoothed, sizeof a->scores);
            assert_int_equal(a->label, a->smoothed_label);
            assert_memory_equal(a->scores, b->scores, sizeof a->scores);
            differs |= memcmp(b->scores, b->smoothed, sizeof b->scores) != 0;
        }
    assert_true(differs);
}

static void size_changes(void **state) {
    (void)state;
    static seen got;
    got = (seen){0};
    footage made = two_people(40);
    made.smaller = 22;
    made.faces[0] = (footage_face){20, 20, 40, .pattern = 1};
    made.face_count = 1;
    expect_ok(watch(&made, &got));
    assert_int_equal(got.count, 40);
    for (int f = 0; f < got.count; f++)
        assert_int_equal(got.frames[f].count, 1);
    assert_true(got.frames[22].key);
}

static void failures(void **state) {
    (void)state;
    static seen got;
    footage made = two_people(50);
    /* a broken tail: the frames before are given */
    got = (seen){0};
    made.fails_at = 23;
    assert_int_equal(watch(&made, &got), MIEN_FORMAT);
    expect_in_message("the tail is damaged");
    assert_int_equal(got.count, 23);
    assert_int_equal(got.frames[22].count, 2);
    made.fails_at = 0;
    /* the detector */
    got = (seen){0};
    footage_detector_fails_at = 20;
    assert_int_equal(watch(&made, &got), MIEN_INVALID);
    expect_in_message("the detector failed");
    footage_detector_fails_at = 0;
    /* the sink, such as a full disk */
    got = (seen){.fails_at = 17};
    assert_int_equal(watch(&made, &got), MIEN_IO);
    expect_in_message("the sink failed");
    assert_int_equal(got.count, 17);
    /* a signal */
    volatile int stopped = 0;
    made.stop = &stopped;
    made.stop_at = 31;
    got = (seen){0};
    assert_int_equal(
        watch_with(&made, &detector, &(mien_video_faces_options){.stop = &stopped}, &got),
        MIEN_INTERRUPTED);
    assert_int_equal(got.count, 32);
}

static mien_status ignore(void *context, const mien_video_result *r) {
    *(long long *)context += r->count;
    return MIEN_OK;
}

static void many_faces(void **state) {
    (void)state;
    footage made = {.width = 800, .height = 600, .frames = 12, .rate = 25, .face_count = 200};
    for (int i = 0; i < 200; i++)
        made.faces[i] =
            (footage_face){i % 20 * 40, 4 + i / 20 * 59, 36, 0.2, 0.1, .pattern = i + 1};
    mien_frames source = footage_source(&made);
    long long faces = 0;
    expect_ok(mien_video_faces_run(&source, &model, &detector,
                                   &(mien_video_faces_options){.min_face = 24},
                                   &(mien_video_sink){&faces, ignore}));
    assert_true(faces >= 12 * 196);
}

/* People who come and go for ever: nothing is allocated any more after a while. */
static void constant_memory(void **state) {
    (void)state;
    const char *wish = getenv("MIEN_FRAMES");
    const int frames = wish ? atoi(wish) : 20000;
    footage made = {.width = 96, .height = 64, .frames = frames, .rate = 30, .face_count = 3};
    for (int i = 0; i < 3; i++)
        made.faces[i] = (footage_face){4 + 30 * i, 20, 24, .pattern = i + 1, .missed = 2 + i};
    mien_frames source = footage_source(&made);
    long long faces = 0;
    const double began = mien_seconds();
    made.frames = frames / 4;
    expect_ok(
        mien_video_faces_run(&source, &model, &detector, NULL, &(mien_video_sink){&faces, ignore}));
    const uint64_t before = mien_peak_memory();
    made.frames = frames;
    made.at = 0;
    expect_ok(
        mien_video_faces_run(&source, &model, &detector, NULL, &(mien_video_sink){&faces, ignore}));
    const double rate = 1.25 * frames / (mien_seconds() - began);
    const uint64_t growth = mien_peak_memory() - before;
    print_message("# %.0f frames/s, %.1f MB more\n", rate, (double)growth / 1e6);
    assert_true(SANITIZED || growth < 5000000);
    assert_true(faces > frames);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_in_order),
        cmocka_unit_test(boxes_and_ids_between),
        cmocka_unit_test(comes_and_goes),
        cmocka_unit_test(same_answers),
        cmocka_unit_test(scene_cut_begins_anew),
        cmocka_unit_test(scores_of_a_photo),
        cmocka_unit_test(smoothing_can_be_off),
        cmocka_unit_test(size_changes),
        cmocka_unit_test(failures),
        cmocka_unit_test(many_faces),
        cmocka_unit_test(constant_memory),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
