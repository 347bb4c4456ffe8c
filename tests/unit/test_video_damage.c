/* Damaged video: a file that ends too early, bytes that are wrong, times that are missing. */
#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/video/video.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_video.h"

/* Reads to the end; the number of frames, and how it ended. */
static int read_all(const char *path, mien_status *status) {
    const mien_video_options options = {.colour = true};
    mien_frames source;
    mien_frame frame = {0};
    bool more = true;
    int count = 0;
    double last = -1;
    *status = mien_video_open(path, &options, &source);
    while (*status == MIEN_OK && more) {
        *status = mien_frames_next(&source, &frame, &more);
        if (*status != MIEN_OK || !more) break;
        if (frame.time < last || frame.time != frame.time)
            fail_msg("%s: time %f after %f", path, frame.time, last);
        last = frame.time;
        count++;
    }
    if (*status == MIEN_FORMAT && count) { /* told once */
        expect_ok(mien_frames_next(&source, &frame, &more));
        assert_false(more);
    }
    mien_frames_close(&source);
    mien_frame_release(&frame);
    return count;
}

static int read_part(const char *clip, double share, mien_status *status) {
    size_t size;
    char *bytes = made_clip_bytes(clip, &size);
    scratch_put(clip, bytes, (size_t)((double)size * share));
    mien_free(bytes);
    return read_all(scratch_path(clip), status);
}

/* The frames before the end are given, then one message. */
static void cut_off(void **state) {
    static const struct {
        const char *clip;
        int whole;
    } clips[] = {{"bframes.mp4", 30}, {"piped.webm", 20}, {"uneven.mkv", 25}, {"old.avi", 15}};
    (void)state;
    for (size_t i = 0; i < sizeof clips / sizeof clips[0]; i++) {
        mien_status status;
        const int count = read_part(clips[i].clip, 0.7, &status);
        if (status != MIEN_FORMAT)
            fail_msg("%s: %d frames, status %d", clips[i].clip, count, status);
        expect_in_message("is damaged or was cut off after ");
        if (count < clips[i].whole / 3 || count >= clips[i].whole)
            fail_msg("%s: %d frames", clips[i].clip, count);
        assert_int_equal(read_part(clips[i].clip, 1, &status), clips[i].whole);
        assert_int_equal(status, MIEN_OK);
    }
}

/* An index at the end of the file is lost with it. */
static void without_index(void **state) {
    mien_status status;
    (void)state;
    assert_int_equal(read_part("slow.mp4", 0.5, &status), 0);
    assert_int_equal(status, MIEN_FORMAT);
    expect_in_message("was cut off: the index of the frames is missing");
}

/* Wrong bytes cost the frames that they are in, with one warning. */
static void damaged_frames(void **state) {
    size_t size;
    mien_status status;
    char *bytes = made_clip_bytes("full.mov", &size);
    (void)state;
    scratch_listen();
    char *second = memmem(bytes + size / 3, size - size / 3, "\xff\xd8\xff", 3);
    assert_non_null(second);
    memset(second, 0, 400);
    scratch_put("damaged.mov", bytes, size);
    mien_free(bytes);
    assert_int_equal(read_all(scratch_path("damaged.mov"), &status), 4);
    assert_int_equal(status, MIEN_OK);
    expect_in(said.data, "damaged.mov': 1 damaged frames were skipped");
}

/* The eight ways in which a picture can lie, as the matrix of an mp4. */
static void orientations(void **state) {
    static const char lying[] = "\0\0\0\0\xff\xff\0\0\0\0\0\0\0\1\0\0\0\0\0\0";
    static const int matrices[][4] = {{1, 0, 0, 1}, {-1, 0, 0, 1}, {1, 0, 0, -1}, {-1, 0, 0, -1},
                                      {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, -1, 0}, {0, -1, -1, 0}};
    mien_frame first = {0}, frame = {0};
    bool more;
    (void)state;
    for (size_t m = 0; m < sizeof matrices / sizeof matrices[0]; m++) {
        const int *to = matrices[m];
        size_t size;
        mien_frames source;
        char *bytes = made_clip_bytes("rotated.mp4", &size);
        char *matrix = memmem(bytes, size, lying, sizeof lying - 1);
        assert_non_null(matrix);
        for (int i = 0; i < 4; i++) {
            char *at = matrix + (i < 2 ? 4 * i : 4 * i + 4);
            memcpy(at, to[i] == 0 ? "\0\0\0\0" : to[i] > 0 ? "\0\1\0\0" : "\xff\xff\0\0", 4);
        }
        scratch_put("turned.mp4", bytes, size);
        mien_free(bytes);
        expect_ok(mien_video_open(scratch_path("turned.mp4"), NULL, &source));
        expect_ok(mien_frames_next(&source, m ? &frame : &first, &more));
        assert_true(more);
        mien_frames_close(&source);
        if (m == 0) continue;
        const int w = first.gray.width, h = first.gray.height;
        assert_int_equal(frame.gray.width, to[0] ? w : h);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                int px = to[0] * x + to[2] * y, py = to[1] * x + to[3] * y;
                if (px < 0 || to[0] + to[2] < 0) px += frame.gray.width - 1;
                if (py < 0 || to[1] + to[3] < 0) py += frame.gray.height - 1;
                assert_int_equal(frame.gray.pixels[py * frame.gray.width + px],
                                 first.gray.pixels[y * w + x]);
            }
    }
    mien_frame_release(&first);
    mien_frame_release(&frame);
}

static unsigned next_random(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Whatever the bytes, reading ends with frames or a message. */
static void wrong_bytes(void **state) {
    static const char *const clips[] = {"bframes.mp4", "rotated.mp4", "piped.webm", "uneven.mkv",
                                        "joined.ts",   "old.avi",     "deep.mkv",   "full.mov",
                                        "rgb.mov",     "moving.gif",  "odd.mp4",    "yuyv.avi"};
    enum { CLIP_COUNT = sizeof clips / sizeof clips[0], TRIES = 300 };
    unsigned seed = 15;
    int frames = 0, failed = 0;
    (void)state;
    for (int i = 0; i < TRIES; i++) {
        const char *clip = clips[i % CLIP_COUNT];
        size_t size;
        mien_status status;
        char *bytes = made_clip_bytes(clip, &size);
        if (i / CLIP_COUNT % 2)
            size = next_random(&seed) % size;
        else
            for (unsigned n = 1 + next_random(&seed) % 20; n; n--)
                bytes[next_random(&seed) % size] ^= (char)(1 << next_random(&seed) % 8);
        scratch_put(clip, bytes, size);
        mien_free(bytes);
        frames += read_all(scratch_path(clip), &status);
        failed += status != MIEN_OK;
        if (status != MIEN_OK && !*mien_error_message()) fail_msg("%s: no message", clip);
    }
    print_message("# %d files: %d frames, %d refused or cut off\n", TRIES, frames, failed);
    assert_true(frames > TRIES && failed > TRIES / 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_off),        cmocka_unit_test(without_index),
        cmocka_unit_test(damaged_frames), cmocka_unit_test(orientations),
        cmocka_unit_test(wrong_bytes),
    };
    if (!made_video_module()) return 0;
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
