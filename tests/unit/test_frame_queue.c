/* Frames between threads: large ones are bounded by their bytes, and every frame still comes. */
#include "tests/support/net.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "host/infer/frame_queue.h"
#include "tests/support/test.h"

enum { SIDE = 128, FRAMES = 300, EVERY = 30, GRAY = SIDE * SIDE, BUFFERS_MAX = FRAMES };

typedef struct film {
    atomic_int read;
    bool colour;
} film;

static mien_status next(void *state, mien_frame *frame, bool *more) {
    film *f = state;
    const int index = atomic_load(&f->read);
    *more = index < FRAMES;
    if (!*more) return MIEN_OK;
    MIEN_TRY(mien_frame_resize(frame, SIDE, SIDE, f->colour));
    memset(frame->gray.pixels, index & 255, GRAY);
    frame->index = index;
    frame->time = index / 25.0;
    atomic_fetch_add(&f->read, 1);
    return MIEN_OK;
}

static void nothing(void *state) {
    (void)state;
}

/* How many frames were read once the reader waits. */
static int read_ahead(film *f) {
    int before = -1, quiet = 0;
    while (quiet < 20) {
        const int now = atomic_load(&f->read);
        quiet = now == before ? quiet + 1 : 0;
        before = now;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return before;
}

typedef struct outcome {
    int ahead;   /* frames that were read before the first was asked for */
    int segment; /* frames of the longest segment */
    int buffers; /* that held the pixels of all frames */
} outcome;

static void count_buffer(const void *buffer, const void **known, int *count) {
    for (int i = 0; i < *count; i++)
        if (known[i] == buffer) return;
    known[(*count)++] = buffer;
}

static outcome run(size_t bytes, bool colour) {
    film made = {.colour = colour};
    mien_frames source = {.state = &made, .next = next, .close = nothing};
    const frame_queue_options options = {.every = EVERY, .detectors = 1, .bytes = bytes};
    static const void *known[BUFFERS_MAX];
    frame_queue *queue;
    outcome out = {0};
    int seen = 0, count;
    expect_ok(frame_queue_open(&source, &options, &queue));
    out.ahead = read_ahead(&made);
    for (;;) {
        expect_ok(frame_queue_next(queue, &count));
        if (count == 0) break;
        if (count > out.segment) out.segment = count;
        for (int i = 0; i < count; i++) {
            const mien_frame *frame = &frame_queue_slot(queue, i)->frame;
            assert_int_equal(frame->index, seen);
            assert_int_equal(frame->gray.pixels[GRAY - 1], seen & 255);
            count_buffer(frame->gray.pixels, known, &out.buffers);
            seen++;
        }
    }
    assert_int_equal(seen, FRAMES);
    frame_queue_close(queue);
    return out;
}

static void small_frames_are_bounded_by_number(void **state) {
    (void)state;
    const outcome out = run(0, false);
    assert_int_equal(out.segment, EVERY);
    assert_int_equal(out.ahead, 3 * EVERY + 2);
    assert_true(out.buffers <= 3 * EVERY + 2);
}

/* A limit of 64 gray frames: 16 in colour, of which a segment has at most ten. */
static void large_frames_are_bounded_by_bytes(void **state) {
    (void)state;
    for (int colour = 0; colour < 2; colour++) {
        const int most = (colour ? 16 : 64) + 1;
        const outcome out = run((size_t)64 * GRAY, colour);
        assert_int_equal(out.segment, 10); /* the same, whether colour is asked for or not */
        assert_int_equal(out.ahead, most);
        assert_true(out.buffers <= most + 1);
    }
}

/* Where not even the shortest segment fits, only one is kept at a time. */
static void segment_above_the_limit(void **state) {
    (void)state;
    const outcome out = run(1, true);
    assert_int_equal(out.segment, 5);
    assert_true(out.ahead >= 1 && out.ahead <= 6);
    assert_true(out.buffers <= 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_frames_are_bounded_by_number),
        cmocka_unit_test(large_frames_are_bounded_by_bytes),
        cmocka_unit_test(segment_above_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
