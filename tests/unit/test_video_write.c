/* Annotated copies: what is written is read again, with its times, its sound and its colours. */
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/video/video.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_video.h"

enum { FRAMES = 24 };

/* A square that moves over a ground of red, green and blue. */
static mien_image draw(int width, int height, int step) {
    mien_image image = {width, height, 3, NULL};
    image.pixels = malloc((size_t)width * (size_t)height * 3);
    assert_non_null(image.pixels);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint8_t *at = image.pixels + (y * width + x) * 3;
            const bool square = x >= step * 2 && x < step * 2 + 12 && y > 20 && y < 32;
            at[0] = square ? 250 : 180;
            at[1] = square ? 250 : 90;
            at[2] = square ? 250 : 40;
        }
    return image;
}

static double time_of(int frame) {
    return frame * 0.04 + frame % 3 * 0.007 + (frame > 10 ? 2.5 : 0);
}

static void write_frames(mien_video_writer *writer, int width, int height, int count, bool even) {
    for (int i = 0; i < count; i++) {
        mien_image image = draw(width, height, i);
        expect_ok(mien_video_writer_add(writer, &image, even ? i * 0.04 : time_of(i)));
        free(image.pixels);
    }
}

static void check_copy(const char *path, int width, int height, bool even, bool sound) {
    const mien_video_options options = {.colour = true};
    mien_frames source;
    mien_frame frame = {0};
    bool more;
    expect_ok(mien_video_open(path, &options, &source));
    assert_int_equal(source.info.width, width);
    assert_int_equal(source.info.height, height);
    assert_int_equal(source.info.sound, sound);
    for (int i = 0; i < FRAMES; i++) {
        expect_ok(mien_frames_next(&source, &frame, &more));
        if (!more) fail_msg("%s ends after %d frames", path, i);
        const double want = even ? i * 0.04 : time_of(i);
        if (fabs(frame.time - want) > 0.0011)
            fail_msg("%s, frame %d: %f, not %f", path, i, frame.time, want);
        const uint8_t *corner = frame.colour.pixels + (width * height - 1) * 3;
        if (abs(corner[0] - 180) > 8 || abs(corner[1] - 90) > 8 || abs(corner[2] - 40) > 8)
            fail_msg("%s, frame %d: %d %d %d", path, i, corner[0], corner[1], corner[2]);
        const int middle = frame.gray.pixels[26 * width + i * 2 + 6];
        if (abs(middle - 250) > 12) fail_msg("%s, frame %d: square %d", path, i, middle);
    }
    expect_ok(mien_frames_next(&source, &frame, &more));
    assert_false(more);
    mien_frame_release(&frame);
    mien_frames_close(&source);
}

/* Every container, with uneven times (but for AVI), even and odd sizes, small and HD. */
static void containers(void **state) {
    static const struct {
        const char *name, *codec;
        int width, height;
        bool even;
    } files[] = {{"a.mp4", "libx264", 96, 64, false}, {"b.mov", "libx264", 97, 65, false},
                 {"c.mkv", "libx264", 96, 65, false}, {"d.webm", "libvpx", 97, 64, false},
                 {"e.avi", "libx264", 96, 64, true},  {"g.mp4", "libx264", 1280, 720, false},
                 {"H.MP4", "libx264", 96, 64, false}};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        mien_video_writer *writer;
        const int w = files[i].width, h = files[i].height;
        expect_ok(mien_video_writer_open(scratch_path(files[i].name), NULL, w, h, 25, &writer));
        assert_string_equal(mien_video_writer_codec(writer), files[i].codec);
        write_frames(writer, w, h, FRAMES, files[i].even);
        assert_false(mien_file_exists(scratch_path(files[i].name)));
        expect_ok(mien_video_writer_finish(writer));
        expect_ok(mien_video_writer_finish(writer)); /* once is enough */
        mien_video_writer_close(writer);
        check_copy(scratch_path(files[i].name), w + (w & 1), h + (h & 1), files[i].even, false);
    }
}

/* Sound is copied where the container takes it. */
static void sound(void **state) {
    static const struct {
        const char *name;
        bool sound;
    } files[] = {{"a.mp4", true}, {"b.mkv", true}, {"c.webm", false}, {"d.mov", true}};
    (void)state;
    scratch_listen();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        mien_video_writer *writer;
        expect_ok(mien_video_writer_open(scratch_path(files[i].name), made_clip("bframes.mp4"), 96,
                                         64, 25, &writer));
        write_frames(writer, 96, 64, FRAMES, false);
        expect_ok(mien_video_writer_finish(writer));
        mien_video_writer_close(writer);
        check_copy(scratch_path(files[i].name), 96, 64, false, files[i].sound);
    }
    expect_in(said.data, "the copy is without sound: webm files cannot hold aac");
    mien_video_writer *writer; /* a source without sound needs no warning */
    mien_text_release(&said);
    expect_ok(mien_video_writer_open(scratch_path("e.mp4"), made_clip("piped.webm"), 96, 64, 25,
                                     &writer));
    write_frames(writer, 96, 64, 3, false);
    expect_ok(mien_video_writer_finish(writer));
    mien_video_writer_close(writer);
    assert_true(!said.data || !strstr(said.data, "sound"));
}

static void refused(void **state) {
    mien_video_writer *writer;
    char path[MIEN_PATH];
    (void)state;
    assert_int_equal(mien_video_writer_open(scratch_path("a.txt"), NULL, 96, 64, 25, &writer),
                     MIEN_INVALID);
    expect_in_message("a video's name ends with .mp4, .mkv, .webm, .mov or .avi");
    assert_int_equal(mien_video_writer_open(scratch_path("none/a.mp4"), NULL, 96, 64, 25, &writer),
                     MIEN_NOT_FOUND);
    expect_in_message("none/a.mp4");
    assert_int_equal(mien_video_writer_open(scratch_path("a.mp4"), NULL, 96, 0, 25, &writer),
                     MIEN_INVALID);
    snprintf(path, sizeof path, "%s", scratch_path("same.mp4"));
    scratch_put("same.mp4", "x", 1);
    assert_int_equal(mien_video_writer_open(path, path, 96, 64, 25, &writer), MIEN_INVALID);
    expect_in_message("is the video that is read");
    expect_ok(mien_video_writer_open(scratch_path("empty.mp4"), NULL, 96, 64, 25, &writer));
    assert_int_equal(mien_video_writer_finish(writer), MIEN_INVALID);
    mien_video_writer_close(writer);
    assert_false(mien_file_exists(scratch_path("empty.mp4")));
    mien_video_writer_close(NULL);
}

/* Closed without finish, as after another failure: what was written can be played, and the message
 * of that failure stays. */
static void given_up(void **state) {
    mien_video_writer *writer;
    (void)state;
    expect_ok(mien_video_writer_open(scratch_path("given-up.mp4"), NULL, 96, 64, 25, &writer));
    write_frames(writer, 96, 64, FRAMES, false);
    MIEN_FAIL(IO, "the reason");
    mien_video_writer_close(writer);
    expect_in_message("the reason");
    check_copy(scratch_path("given-up.mp4"), 96, 64, false, false);
}

/* Adds noise until that fails; returns the number of frames. */
static int write_noise(mien_video_writer *writer, const char *reason) {
    mien_status status = MIEN_OK;
    unsigned noise = 1;
    int written = 0;
    for (; written < 400 && status == MIEN_OK; written += status == MIEN_OK) {
        mien_image image = draw(640, 480, written);
        for (int p = 0; p < 640 * 480 * 3; p += 3)
            image.pixels[p] = (uint8_t)((noise = noise * 1664525u + 1013904223u) >> 24);
        status = mien_video_writer_add(writer, &image, written * 0.04);
        free(image.pixels);
    }
    assert_int_equal(status, MIEN_IO);
    expect_in_message(reason);
    assert_int_equal(mien_video_writer_finish(writer), MIEN_IO);
    assert_int_equal(mien_video_writer_finish(writer), MIEN_IO); /* no success the second time */
    mien_video_writer_close(writer);
    return written;
}

static void expect_some(const char *path, int written) {
    mien_frames source;
    mien_frame frame = {0};
    bool more = true;
    int count = 0;
    mien_status status;
    expect_ok(mien_video_open(path, NULL, &source));
    while ((status = mien_frames_next(&source, &frame, &more)) == MIEN_OK && more)
        count++;
    if (count < 6 || count > written) fail_msg("%s: %d frames of %d", path, count, written);
    mien_frames_close(&source);
    mien_frame_release(&frame);
}

/* What was written before the disk was full can be played. */
static void full_disk(void **state) {
    static const char *const names[] = {"full/a.mp4", "full/b.mkv", "full/c.webm"};
    (void)state;
    expect_ok(mien_make_folders(scratch_path("full")));
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", scratch_path("full"), "tmpfs", 0, "size=6m") != 0)
        skip();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        mien_video_writer *writer;
        expect_ok(mien_video_writer_open(scratch_path(names[i]), NULL, 640, 480, 25, &writer));
        const int written = write_noise(writer, ": No space left on device");
        expect_some(scratch_path(names[i]), written);
        assert_int_equal(unlink(scratch_path(names[i])), 0);
    }
    assert_int_equal(umount(scratch_path("full")), 0); /* nothing is open, nothing is left */
}

/* Where space cannot be reserved, an mp4 is lost, and the file that it would have replaced is not.
 */
static void no_reserve(void **state) {
    static const char *const names[] = {"large.mkv", "large.mp4"};
    struct rlimit whole, limit;
    char left[8];
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &whole);
    for (int i = 0; i < 2; i++) {
        mien_video_writer *writer;
        scratch_put(names[i], "before", 6);
        expect_ok(mien_video_writer_open(scratch_path(names[i]), NULL, 640, 480, 25, &writer));
        limit = (struct rlimit){3 << 20, whole.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        const int written = write_noise(writer, ": File too large");
        setrlimit(RLIMIT_FSIZE, &whole);
        if (i == 0) expect_some(scratch_path(names[i]), written);
    }
    FILE *file = fopen(scratch_path("large.mp4"), "rb");
    assert_non_null(file);
    assert_int_equal(fread(left, 1, sizeof left, file), 6);
    fclose(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers), cmocka_unit_test(sound),     cmocka_unit_test(refused),
        cmocka_unit_test(given_up),   cmocka_unit_test(full_disk), cmocka_unit_test(no_reserve),
    };
    if (!made_video_module()) return 0;
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
