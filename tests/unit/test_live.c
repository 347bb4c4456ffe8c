/* The faces of a camera as they are now: a synthetic camera and a slow detector that knows where
 * the faces are. */
#include "tests/support/net.h"
#include "tests/support/scratch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/infer/live_faces.h"
#include "host/infer/live_stats.h"
#include "tests/support/test.h"

enum { SIDE = 12, CLASSES = 3, WIDTH = 320, HEIGHT = 240, FACE = 56, FACES = 2, CUT = 57 };
static const char network[] = "name: tiny\nlayers:\n"
                              "  - conv2d: {filters: 4, kernel_size: 3, activation: relu}\n"
                              "  - flatten\n  - dense: {units: classes, activation: softmax}\n";
static mien_backend *backend;
static mien_ensemble model;

static int start(void **state) {
    if (scratch_make(state)) return 1;
    const char *const path = scratch_path("gray.safetensors");
    mien_model made = {0};
    mien_tree tree;
    expect_ok(mien_backend_open("cpu", &(mien_backend_options){.threads = 1}, &backend));
    expect_ok(mien_yaml_parse(network, strlen(network), "network", &tree));
    expect_ok(mien_graph_parse(tree.root, "network", (mien_graph_io){SIDE, SIDE, 1, CLASSES},
                               &made.graph));
    mien_tree_release(&tree);
    expect_ok(mien_weights_create(&made.graph, 7, &made.weights));
    made.meta = (mien_meta){.classes = CLASSES,
                            .input = {SIDE, SIDE, 1},
                            .normalise = {1 / 255.0, {0.5}, {0.25}},
                            .resize = "area",
                            .crop = {.square = true},
                            .temperature = 1,
                            .split = {.val = 0.1, .test = 0.1, .by = MIEN_BY_USAGE, .seed = 1}};
    expect_ok(mien_new(&made.meta.class_names, CLASSES, MIEN_CLASS_NAME));
    for (int k = 0; k < CLASSES; k++)
        snprintf(made.meta.class_names[k], MIEN_CLASS_NAME, "class%d", k);
    expect_ok(mien_quant_create(&made.graph, &made.quant));
    expect_ok(mien_model_save(&made, path));
    mien_model_release(&made);
    expect_ok(mien_ensemble_open(&path, 1, backend, 8, &model));
    return 0;
}

static int stop(void **state) {
    mien_ensemble_release(&model);
    mien_backend_close(backend);
    return scratch_drop(state);
}

static void sleep_for(double seconds) {
    const struct timespec time = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* ---- the camera ---- */

static atomic_int answered; /* by the sink of this run */

typedef struct camera {
    bool lockstep; /* a frame is given when the one before was answered */
    double period; /* seconds between frames; 0: as fast as they are taken */
    int frames, given;
    atomic_int closed;
    mien_status end;    /* after the frames; OK: the end */
    atomic_bool *hangs; /* after the frames, until it becomes false */
    double first;       /* when the first frame was given */
    bool still;         /* nobody moves */
    bool cut;           /* another scene begins at frame CUT */
    int width, height;
} camera;

/* Where a face is on a frame. The two cross no paths. */
static mien_rect truth(int face, long long index) {
    const int step = (int)(index % 120), x = step < 60 ? step : 120 - step;
    return (mien_rect){20 + 2 * x + 100 * face, face ? 120 - x : 40 + x / 2, FACE, FACE};
}

/* A face is a texture of its own; in the first pixels are the frame's number and that of the frame
 * whose positions it has. */
static void draw(uint8_t *pixels, int width, int height, long long number, bool still, bool other) {
    const long long index = still ? 0 : number;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            pixels[y * width + x] = (uint8_t)(other ? 200 - (x + y) / 8 : 90 + (x - y) / 8);
    for (int f = 0; f < FACES; f++) {
        const mien_rect r = truth(f, index);
        for (int y = 0; y < FACE; y++)
            for (int x = 0; x < FACE; x++) {
                const size_t cell = (size_t)((y / 4) * 16 + x / 4);
                if (r.x + x < width && r.y + y < height)
                    pixels[(r.y + y) * width + r.x + x] =
                        (uint8_t)(128 + 100 * noise((uint32_t)f, cell));
            }
    }
    for (int i = 0; i < 4; i++) {
        pixels[i] = (uint8_t)(number >> 8 * i);
        pixels[4 + i] = (uint8_t)(index >> 8 * i);
    }
}

static long long number_at(const uint8_t *pixels) {
    long long number = 0;
    for (int i = 0; i < 4; i++)
        number |= (long long)pixels[i] << 8 * i;
    return number;
}

static long long number_of(const mien_image *gray) {
    return number_at(gray->pixels);
}

static long long positions_of(const mien_image *gray) {
    return number_at(gray->pixels + 4);
}

static mien_status next_frame(void *state, mien_frame *frame, bool *more) {
    camera *c = state;
    if (c->given == 0) c->first = mien_seconds();
    if (c->given == c->frames) {
        while (c->hangs && *c->hangs)
            sleep_for(0.01);
        *more = false;
        return c->end == MIEN_OK ? MIEN_OK : MIEN_FAIL(FORMAT, "the rest is damaged");
    }
    const double due = c->first + c->given * c->period, now = mien_seconds();
    if (c->period > 0 && due > now) sleep_for(due - now);
    while (c->lockstep && answered < c->given)
        sleep_for(0.00002);
    MIEN_TRY(mien_frame_resize(frame, c->width ? c->width : WIDTH, c->height ? c->height : HEIGHT,
                               false));
    draw(frame->gray.pixels, frame->gray.width, frame->gray.height, c->given, c->still,
         c->cut && c->given >= CUT);
    frame->index = c->given;
    frame->time = c->given * (c->period > 0 ? c->period : 1 / 30.0);
    c->given++;
    *more = true;
    return MIEN_OK;
}

static void close_camera(void *state) {
    camera *c = state;
    c->closed++;
}

static mien_frames frames_of(camera *c) {
    return (mien_frames){
        .info = {.live = true}, .state = c, .next = next_frame, .close = close_camera};
}

/* ---- the detector ---- */

static double detection_takes;
static atomic_int detections;

static mien_status open_slow(const char *file, int threads, void **state) {
    (void)threads;
    *state = NULL;
    return file ? MIEN_FAIL(NOT_FOUND, "no detector '%s'", file) : MIEN_OK;
}

static mien_status run_slow(void *state, const mien_image *photo, int min_face, double min_score,
                            mien_faces *out) {
    (void)state, (void)min_face, (void)min_score;
    sleep_for(detection_takes);
    detections++;
    MIEN_TRY(mien_new(&out->items, FACES, sizeof *out->items));
    out->count = FACES;
    for (int f = 0; f < FACES; f++)
        out->items[f] = (mien_face){.box = truth(f, positions_of(photo)), .score = 9};
    return MIEN_OK;
}

static void close_slow(void *state) {
    (void)state;
}

static const mien_detector_kind slow = {.name = "slow",
                                        .forms = "slow",
                                        .open = open_slow,
                                        .run = run_slow,
                                        .close = close_slow,
                                        .min_score = 1};
static const mien_detector_choice choice = {.kind = &slow, .threads = 1};

/* ---- the sink ---- */

typedef struct answers {
    int frames, faces, near; /* near: at IoU 0.5 or more of a true face */
    int switches, idles;     /* switches: ids that changed */
    long long after_cut;     /* the first frame with a face after the cut; 0: none */
    int keys, cuts;
    long long ids[FACES], last;
    mien_status fails;
    volatile int *stop;
    uint64_t memory; /* peak after a warm-up */
} answers;

static void count_face(answers *a, const mien_video_face *face, long long index) {
    float sum = 0;
    for (int k = 0; k < CLASSES; k++)
        sum += face->smoothed[k];
    assert_true(sum > 0.999f && sum < 1.001f);
    assert_false(face->detected);
    a->faces++;
    for (int f = 0; f < FACES; f++) {
        if (mien_rect_overlap(face->box, truth(f, index)) < 0.5) continue;
        a->near++;
        a->switches += a->ids[f] && a->ids[f] != face->id;
        a->ids[f] = face->id;
    }
}

static mien_status take(void *context, const mien_video_result *result,
                        const mien_live_stats *stats) {
    answers *a = context;
    assert_true(result->frame->index > a->last || a->frames == 0);
    assert_int_equal(result->frame->index, number_of(&result->frame->gray));
    a->last = result->frame->index;
    a->frames++;
    answered++;
    a->keys += result->key;
    a->cuts += result->cut;
    if (!a->after_cut && result->count && a->last >= CUT) a->after_cut = a->last;
    assert_int_equal(stats->answers, a->frames);
    for (int i = 0; i < result->count; i++)
        count_face(a, &result->faces[i], positions_of(&result->frame->gray));
    if (a->frames == 500) a->memory = mien_peak_memory();
    if (a->stop && a->frames == 3) *a->stop = 1;
    return a->fails == MIEN_OK ? MIEN_OK : MIEN_FAIL(IO, "the sink fails");
}

static mien_status idle(void *context) {
    answers *a = context;
    a->idles++;
    return MIEN_OK;
}

static mien_status answer(camera *c, const mien_detector_choice *detector,
                          const mien_live_options *options, answers *a, mien_live_stats *stats) {
    mien_frames source = frames_of(c);
    answered = 0;
    const mien_status status = mien_live_faces_run(&source, &model, detector, options,
                                                   &(mien_live_sink){a, take, idle}, stats);
    assert_null(source.next);
    return status;
}

/* ---- tests ---- */

/* Detection takes nine frames, but no frame waits for it, and boxes are those of the frame. */
static void detection_delays_no_frame(void **state) {
    (void)state;
    camera c = {.period = 1 / 30.0, .frames = 90};
    answers a = {0};
    mien_live_stats stats;
    detection_takes = 0.3;
    detections = 0;
    expect_ok(answer(&c, &choice, NULL, &a, &stats));
    assert_int_equal(c.closed, 1);
    assert_int_equal(stats.frames, 90);
    assert_int_equal(stats.answers, a.frames);
    assert_true(a.frames >= 60); /* those that came while an answer was made are skipped */
    assert_true(detections >= 5 && detections <= 10);
    assert_true(stats.p99 < 0.25); /* detection alone takes 0.3 */
    assert_true(stats.p99 >= stats.p50 && stats.latency > 0 && stats.rate > 10);
    assert_true(a.faces > 100);
    assert_true(a.near >= 0.95 * a.faces);
    assert_int_equal(a.switches, 0);
    assert_true(a.ids[0] && a.ids[1] && a.ids[0] != a.ids[1]);
}

/* A detector that takes a second still says where faces are that do not move much. */
static void a_very_slow_detector(void **state) {
    (void)state;
    camera c = {.period = 1 / 30.0, .frames = 75, .still = true};
    answers a = {0};
    detection_takes = 1;
    expect_ok(answer(&c, &choice, NULL, &a, NULL));
    assert_true(a.faces >= 30 && a.near == a.faces);
    assert_int_equal(a.switches, 0);
}

/* Another background with the same faces: nothing is concluded from the scene before, neither by
 * following nor from the detection that was under way. Detection takes three frames. */
static void a_cut_ends_boxes(void **state) {
    (void)state;
    camera c = {.period = 1 / 30.0, .frames = 90, .cut = true};
    answers a = {0};
    detection_takes = 0.1;
    expect_ok(answer(&c, &choice, NULL, &a, NULL));
    assert_int_equal(a.cuts, 1);
    assert_true(a.after_cut >= CUT + 3 && a.after_cut < 88);
    assert_true(a.near >= 0.95 * a.faces);
}

static void memory_stays_flat(void **state) {
    (void)state;
    camera c = {.lockstep = true, .frames = 4000, .width = 240, .height = 180};
    answers a = {0};
    mien_live_stats stats;
    detection_takes = 0;
    expect_ok(answer(&c, &choice, NULL, &a, &stats));
    assert_int_equal(a.frames, 4000);
    if (!SANITIZED) assert_true(mien_peak_memory() - a.memory < 2 << 20);
}

static void whole_frames(void **state) {
    (void)state;
    camera c = {.period = 0.01, .frames = 20};
    answers a = {0};
    expect_ok(answer(&c, NULL, &(mien_live_options){.faces.raw = true}, &a, NULL));
    assert_true(a.frames > 3);
    assert_int_equal(a.faces, a.frames);
    assert_int_equal(a.keys, 0);
}

/* A driver that never returns does not keep the program. */
static void a_camera_that_hangs(void **state) {
    (void)state;
    static atomic_bool hangs = true;
    static camera c = {.period = 0.01, .frames = 5, .hangs = &hangs};
    answers a = {0};
    const double begun = mien_seconds();
    assert_int_equal(answer(&c, &choice, &(mien_live_options){.patience = 0.3}, &a, NULL),
                     MIEN_NO_DEVICE);
    expect_in_message("no frame for 0.3 seconds");
    assert_true(mien_seconds() - begun < 4);
    assert_true(a.frames >= 1 && a.idles >= 3);
    assert_int_equal(c.closed, 0); /* a source in use cannot be closed */
    hangs = false;
    for (int i = 0; i < 500 && !c.closed; i++)
        sleep_for(0.01);
    assert_int_equal(c.closed, 1);
}

static void ends_and_failures(void **state) {
    (void)state;
    volatile int stopped = 0;
    detection_takes = 0;
    camera damaged = {.period = 0.01, .frames = 5, .end = MIEN_FORMAT};
    answers a = {0};
    assert_int_equal(answer(&damaged, &choice, NULL, &a, NULL), MIEN_FORMAT);
    expect_in_message("the rest is damaged");
    assert_true(a.frames >= 1 && damaged.closed == 1);

    camera full = {.period = 0.01, .frames = 50};
    a = (answers){.fails = MIEN_IO};
    assert_int_equal(answer(&full, &choice, NULL, &a, NULL), MIEN_IO);
    assert_true(a.frames == 1 && full.closed == 1);

    camera endless = {.period = 0.01, .frames = 100000};
    a = (answers){.stop = &stopped};
    assert_int_equal(
        answer(&endless, &choice, &(mien_live_options){.faces.stop = &stopped}, &a, NULL),
        MIEN_INTERRUPTED);
    assert_true(a.frames == 3 && endless.closed == 1);

    camera unused = {.frames = 5};
    a = (answers){0};
    assert_int_equal(
        answer(&unused, &(mien_detector_choice){.kind = &slow, .file = "x"}, NULL, &a, NULL),
        MIEN_NOT_FOUND);
    assert_true(a.frames == 0 && unused.closed == 1);

    camera empty = {.frames = 0};
    expect_ok(answer(&empty, &choice, NULL, &a, NULL));
    assert_int_equal(a.frames, 0);
}

/* A file gives its frames at once; it is played at its own rate. */
static void files_play_at_their_rate(void **state) {
    (void)state;
    camera c = {.frames = 16};
    answers a = {0};
    mien_frames source = frames_of(&c);
    source.info.live = false;
    const double begun = mien_seconds();
    expect_ok(
        mien_live_faces_run(&source, &model, NULL, NULL, &(mien_live_sink){&a, take, NULL}, NULL));
    assert_true(mien_seconds() - begun > 0.49); /* 15 times 1/30 s */
    assert_true(a.frames >= 8);
}

static void percentiles(void **state) {
    (void)state;
    static live_stats s;
    for (int i = 1; i <= 1000; i++)
        live_stats_add(&s, i, i + (i <= 980 ? 0.0101 : 0.2));
    assert_true(s.public.p50 > 0.0101 && s.public.p50 < 0.0105);
    assert_true(s.public.p99 > 0.1999 && s.public.p99 < 0.2005);
    static live_stats rate;
    for (int i = 0; i < 100; i++)
        live_stats_add(&rate, i / 25.0, i / 25.0);
    assert_true(rate.public.rate > 24.9 && rate.public.rate < 25.1);
    live_stats_add(&rate, 60, 60); /* after a pause */
    live_stats_add(&rate, 60.5, 60.5);
    assert_true(rate.public.rate > 1.9 && rate.public.rate < 2.1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detection_delays_no_frame),
        cmocka_unit_test(a_very_slow_detector),
        cmocka_unit_test(a_cut_ends_boxes),
        cmocka_unit_test(memory_stays_flat),
        cmocka_unit_test(whole_frames),
        cmocka_unit_test(a_camera_that_hangs),
        cmocka_unit_test(ends_and_failures),
        cmocka_unit_test(files_play_at_their_rate),
        cmocka_unit_test(percentiles),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
