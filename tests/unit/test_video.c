/* Video as frames: the clips of tests/golden/video against PyAV's times and ffmpeg's pixels, and
 * sources that are no video. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/video/video.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_video.h"

static double mean(const mien_image *image, int channel) {
    const size_t pixels = (size_t)image->width * (size_t)image->height;
    double sum = 0;
    for (size_t i = 0; i < pixels; i++)
        sum += image->pixels[i * (size_t)image->channels + (size_t)channel];
    return sum / (double)pixels;
}

/* Reads the next line of expected.txt that is about `clip`. */
static bool expected(FILE *from, const char *clip, double out[7]) {
    char line[256], name[64];
    while (fgets(line, sizeof line, from))
        if (sscanf(line, "%63s %lf %lf %lf %lf %lf %lf %lf", name, &out[0], &out[1], &out[2],
                   &out[3], &out[4], &out[5], &out[6]) == 8 &&
            strcmp(name, clip) == 0)
            return true;
    return false;
}

static void check_clip(const char *clip, int threads) {
    const mien_video_options options = {.colour = true, .threads = threads};
    double want[7];
    mien_frames source;
    mien_frame frame = {0};
    bool more;
    int count = 0;
    FILE *lines = fopen(CLIPS "expected.txt", "r");
    assert_non_null(lines);
    expect_ok(mien_video_open(made_clip(clip), &options, &source));
    while (expected(lines, clip, want)) {
        expect_ok(mien_frames_next(&source, &frame, &more));
        if (!more) fail_msg("%s ends after %d frames", clip, count);
        if (count == 0) {
            assert_int_equal(source.info.width, want[0]);
            assert_int_equal(source.info.height, want[1]);
        }
        assert_int_equal(frame.index, count);
        if (frame.gray.width != want[0] || frame.gray.height != want[1])
            fail_msg("%s, frame %d: %dx%d", clip, count, frame.gray.width, frame.gray.height);
        /* AVI has no times: FFmpeg 5.1 has none for a last frame that follows B-frames */
        const bool repaired = frame.repaired && strcmp(clip, "old.avi") != 0;
        if (repaired || fabs(frame.time - want[2]) > 1e-5)
            fail_msg("%s, frame %d: time %f%s, not %f", clip, count, frame.time,
                     frame.repaired ? " (repaired)" : "", want[2]);
        if (fabs(mean(&frame.gray, 0) - want[3]) > 0.6)
            fail_msg("%s, frame %d: gray %f, not %f", clip, count, mean(&frame.gray, 0), want[3]);
        for (int c = 0; c < 3; c++)
            if (fabs(mean(&frame.colour, c) - want[4 + c]) > 1)
                fail_msg("%s, frame %d: colour %d is %f, not %f", clip, count, c,
                         mean(&frame.colour, c), want[4 + c]);
        count++;
    }
    assert_true(count > 0);
    expect_ok(mien_frames_next(&source, &frame, &more));
    assert_false(more);
    expect_ok(mien_frames_next(&source, &frame, &more)); /* it stays at its end */
    assert_false(more);
    fclose(lines);
    mien_frame_release(&frame);
    mien_frames_close(&source);
}

static void golden_clips(void **state) {
    static const char *const clips[] = {
        "bframes.mp4", "rotated.mp4", "piped.webm", "uneven.mkv", "old.avi", "deep.mkv", "full.mov",
        "rgb.mov",     "moving.gif",  "slow.mp4",   "fast.mp4",   "odd.mp4", "yuyv.avi"};
    (void)state;
    for (size_t i = 0; i < sizeof clips / sizeof clips[0]; i++)
        for (int threads = 0; threads < 6; threads += 3)
            check_clip(clips[i], threads);
}

/* Every pixel of the first frame is that of ffmpeg's gray, to one level. */
static void golden_pixels(void **state) {
    static const char *const clips[][2] = {
        {"bframes.mp4", "first-bframes.pgm"}, {"rotated.mp4", "first-rotated.pgm"},
        {"deep.mkv", "first-deep.pgm"},       {"full.mov", "first-full.pgm"},
        {"odd.mp4", "first-odd.pgm"},         {"yuyv.avi", "first-yuyv.pgm"}};
    (void)state;
    for (size_t i = 0; i < sizeof clips / sizeof clips[0]; i++) {
        mien_frames source;
        mien_frame frame = {0};
        mien_image want;
        bool more;
        char path[MIEN_PATH];
        snprintf(path, sizeof path, CLIPS "%s", clips[i][1]);
        expect_ok(mien_image_read(path, 1, &want));
        expect_ok(mien_video_open(made_clip(clips[i][0]), NULL, &source));
        expect_ok(mien_frames_next(&source, &frame, &more));
        assert_true(more);
        assert_null(frame.colour.pixels);
        assert_int_equal(frame.gray.width, want.width);
        assert_int_equal(frame.gray.height, want.height);
        for (int p = 0; p < want.width * want.height; p++)
            if (abs(frame.gray.pixels[p] - want.pixels[p]) > 1)
                fail_msg("%s, pixel %d: %d, not %d", clips[i][0], p, frame.gray.pixels[p],
                         want.pixels[p]);
        mien_image_release(&want);
        mien_frame_release(&frame);
        mien_frames_close(&source);
    }
}

/* Two recordings in one file: another size, and timestamps that begin again. */
static void joined(void **state) {
    mien_frames source;
    mien_frame frame = {0};
    bool more;
    double last = -1;
    int count[2] = {0}, repaired = 0;
    (void)state;
    expect_ok(mien_video_open(made_clip("joined.ts"), NULL, &source));
    for (;;) {
        expect_ok(mien_frames_next(&source, &frame, &more));
        if (!more) break;
        const bool second = frame.gray.width == 64;
        assert_int_equal(frame.gray.height, second ? 80 : 64);
        if (frame.time <= last) fail_msg("time %f after %f", frame.time, last);
        last = frame.time;
        count[second]++;
        repaired += frame.repaired;
    }
    assert_int_equal(count[0], 15);
    assert_int_equal(count[1], 15);
    assert_int_equal(repaired, 1);
    assert_true(fabs(last - 29 * 0.04) < 0.02);
    mien_frame_release(&frame);
    mien_frames_close(&source);
}

static void what_is_known(void **state) {
    mien_frames source;
    (void)state;
    expect_ok(mien_video_open(made_clip("rotated.mp4"), NULL, &source));
    assert_int_equal(source.info.width, 64); /* a phone held upright */
    assert_int_equal(source.info.height, 96);
    assert_string_equal(source.info.form, "mp4");
    assert_string_equal(source.info.codec, "h264");
    assert_true(source.info.sound);
    assert_false(source.info.live);
    assert_true(source.info.rate == 25);
    mien_frames_close(&source);
    mien_frames_close(&source); /* harmless */
    expect_ok(mien_video_open(made_clip("piped.webm"), NULL, &source));
    assert_string_equal(source.info.form, "webm");
    assert_true(source.info.duration == 0);
    assert_true(source.info.size > 5000);
    assert_false(source.info.sound);
    mien_frames_close(&source);
}

static void progresses(void **state) {
    static const char *const clips[] = {"piped.webm", "bframes.mp4", "joined.ts"};
    (void)state;
    for (size_t i = 0; i < sizeof clips / sizeof clips[0]; i++) {
        mien_frames source;
        mien_frame frame = {0};
        bool more = true;
        double share = 0;
        expect_ok(mien_video_open(made_clip(clips[i]), NULL, &source));
        for (int n = 0; more; n++) {
            const double now = source.progress(source.state);
            assert_true(now >= share && now <= 1);
            share = now;
            if (n == 3) assert_true(share < 0.7);
            expect_ok(mien_frames_next(&source, &frame, &more));
        }
        if (share < 0.9) fail_msg("%s ends at %f", clips[i], share);
        mien_frame_release(&frame);
        mien_frames_close(&source);
    }
}

static void no_videos(void **state) {
    mien_frames source;
    (void)state;
    assert_int_equal(mien_video_open(made_clip("sound.mp3"), NULL, &source), MIEN_FORMAT);
    expect_in_message("sound.mp3' has no video: it is sound (mp3)");
    assert_int_equal(mien_video_open(made_clip("cover.m4a"), NULL, &source), MIEN_FORMAT);
    expect_in_message("has no video: it is sound (aac) with a cover picture");
    assert_int_equal(mien_video_open(made_clip("still.png"), NULL, &source), MIEN_FORMAT);
    expect_in_message("is a picture, not a video: use `mien predict`");
    assert_int_equal(mien_video_open(scratch_path("missing.mp4"), NULL, &source), MIEN_NOT_FOUND);
    expect_in_message("cannot open '");
    assert_int_equal(mien_video_open(scratch, NULL, &source), MIEN_INVALID);
    expect_in_message("is a folder, not a video");
    assert_int_equal(mien_video_open("", NULL, &source), MIEN_INVALID);
    scratch_put("empty.mp4", "", 0);
    assert_int_equal(mien_video_open(scratch_path("empty.mp4"), NULL, &source), MIEN_FORMAT);
    expect_in_message("is empty");
    scratch_put("text.mp4", "these are words\n", 16);
    assert_int_equal(mien_video_open(scratch_path("text.mp4"), NULL, &source), MIEN_FORMAT);
    expect_in_message("is not a video");
    assert_int_equal(mkfifo(scratch_path("pipe.mp4"), 0600), 0);
    assert_int_equal(mien_video_open(scratch_path("pipe.mp4"), NULL, &source), MIEN_UNSUPPORTED);
    expect_in_message("is a pipe or device");
    assert_null(source.state);
}

/* Sizes that a header claims cost no memory. */
static void too_large(void **state) {
    static const struct {
        uint32_t width, height;
        mien_status status;
        const char *message;
    } claims[] = {
        {9000, 100, MIEN_UNSUPPORTED,
         "has 9000x100 pixels; the limits are 8192 on each side and 50"},
        {8000, 8000, MIEN_FORMAT, "it is damaged, or has more than 50 million pixels"},
        {65535, 65535, MIEN_FORMAT, "it is damaged, or has more than 50 million pixels"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        size_t size;
        mien_frames source;
        char *bytes = made_clip_bytes("yuyv.avi", &size);
        char *header = memmem(bytes, size, "strf", 4);
        assert_non_null(header);
        memcpy(header + 12, &claims[i].width, 4);
        memcpy(header + 16, &claims[i].height, 4);
        scratch_put("large.avi", bytes, size);
        mien_free(bytes);
        assert_int_equal(mien_video_open(scratch_path("large.avi"), NULL, &source),
                         claims[i].status);
        expect_in_message(claims[i].message);
    }
    assert_true(mien_peak_memory() < (768u << 20));
}

/* Files that name other files or URLs, which must not be opened. */
static void nothing_else(void **state) {
    static const struct {
        const char *name, *text;
    } files[] = {
        {"list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n%s\n#EXT-X-ENDLIST\n"},
        {"list.ffconcat", "ffconcat version 1.0\nfile '%s'\n"},
        {"list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://%s\n#EXT-X-ENDLIST\n"},
        {"list.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
                     "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n%.0s"},
        {"list.mpd", "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
                     "profiles=\"urn:mpeg:dash:profile:isoff-live:2011\"><Period><AdaptationSet>"
                     "<Representation><BaseURL>%s</BaseURL></Representation></AdaptationSet>"
                     "</Period></MPD>"},
    };
    mien_frames source;
    char clip[MIEN_PATH], text[MIEN_PATH + 512];
    (void)state;
    if (!realpath(made_clip("bframes.mp4"), clip)) fail_msg("no clip");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(text, sizeof text, files[i].text, clip);
        scratch_put(files[i].name, text, strlen(text));
        const mien_status status = mien_video_open(scratch_path(files[i].name), NULL, &source);
        if (status != MIEN_UNSUPPORTED && status != MIEN_FORMAT)
            fail_msg("%s: status %d, %s", files[i].name, status, mien_error_message());
        expect_in_message("not a");
    }
    /* protocols of FFmpeg are only names of files that do not exist */
    static const char *const names[] = {"concat:%s|%s", "file:%s%.0s", "subfile:%s%.0s",
                                        "lavfi:testsrc%.0s%.0s", "pipe:0%.0s%.0s"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(text, sizeof text, names[i], clip, clip);
        assert_int_equal(mien_video_open(text, NULL, &source), MIEN_NOT_FOUND);
    }
    assert_int_equal(mien_video_open("/dev/zero", NULL, &source), MIEN_UNSUPPORTED);
}

static void urls(void **state) {
    static const char *const refused[] = {"http://127.0.0.1:9/a.mp4", "file:///etc/passwd",
                                          "rtsp://127.0.0.1/x", "a+b://c"};
    const mien_video_options options = {.allow_url = true, .patience = 1};
    mien_frames source;
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_true(mien_video_is_url(refused[i]));
        assert_int_equal(mien_video_open(refused[i], NULL, &source), MIEN_UNSUPPORTED);
        expect_in_message("is a URL: give --allow-url");
    }
    assert_int_equal(mien_video_open("file:///etc/passwd", &options, &source), MIEN_UNSUPPORTED);
    expect_in_message("a URL begins with http");
    assert_int_equal(mien_video_open("http://127.0.0.1:9/a.mp4", &options, &source), MIEN_IO);
    expect_in_message("cannot open 'http://127.0.0.1:9/a.mp4': Connection refused");
    assert_false(mien_video_is_url("camera:0"));
    assert_false(mien_video_is_url("c://x"));
    assert_false(mien_video_is_url("folder/a://b"));
    assert_false(mien_video_is_url("a.mp4"));
}

static void cameras(void **state) {
    mien_frames source;
    (void)state;
    assert_int_equal(mien_video_open("camera:99", NULL, &source), MIEN_NO_DEVICE);
    expect_in_message("there is no camera 99");
    assert_int_equal(mien_video_open("camera:/dev/video-none", NULL, &source), MIEN_NO_DEVICE);
    expect_in_message("there is no camera /dev/video-none");
    assert_int_equal(mien_video_open("camera:/dev/null", NULL, &source), MIEN_NO_DEVICE);
    expect_in_message("the camera /dev/null cannot be opened");
}

/* A file as a camera: frames come at their times, and a caller that is late gets the newest. */
static void played(void **state) {
    mien_frames source;
    mien_frame frame = {0};
    bool more;
    char name[MIEN_PATH + 8];
    (void)state;
    snprintf(name, sizeof name, "camera:%s", made_clip("bframes.mp4"));
    expect_ok(mien_video_open(name, NULL, &source));
    assert_true(source.info.live);
    expect_ok(mien_frames_next(&source, &frame, &more));
    const double start = mien_seconds();
    assert_int_equal(frame.index, 0);
    expect_ok(mien_frames_next(&source, &frame, &more));
    assert_true(mien_seconds() - start > 0.03);
    usleep(400000);
    expect_ok(mien_frames_next(&source, &frame, &more));
    const double late = mien_seconds() - start - frame.time;
    if (frame.index < 9 || late < -0.02 || late > 0.2)
        fail_msg("frame %lld at %f, %f seconds late", frame.index, frame.time, late);
    long long last = frame.index;
    for (;;) {
        expect_ok(mien_frames_next(&source, &frame, &more));
        if (!more) break;
        assert_true(frame.index > last);
        last = frame.index;
    }
    assert_int_equal(last, 29);
    assert_true(mien_seconds() - start > 1.1);
    mien_frame_release(&frame);
    mien_frames_close(&source);
}

static void stops(void **state) {
    volatile int stop = 0;
    const mien_video_options options = {.stop = &stop};
    mien_frames source;
    mien_frame frame = {0};
    bool more;
    (void)state;
    expect_ok(mien_video_open(made_clip("bframes.mp4"), &options, &source));
    expect_ok(mien_frames_next(&source, &frame, &more));
    stop = 1;
    assert_int_equal(mien_frames_next(&source, &frame, &more), MIEN_INTERRUPTED);
    assert_false(more);
    mien_frames_close(&source);
    assert_int_equal(mien_video_open(made_clip("bframes.mp4"), &options, &source),
                     MIEN_INTERRUPTED);
    mien_frame_release(&frame);
}

/* Runs before the module is found. */
static void without_module(void **state) {
    mien_frames source;
    mien_video_writer *writer;
    (void)state;
    assert_int_equal(mien_video_open(made_clip("bframes.mp4"), NULL, &source), MIEN_UNSUPPORTED);
    expect_in_message("it lacks mien-video.so: install FFmpeg's libraries with `make deps`");
    assert_int_equal(mien_video_writer_open("a.mp4", NULL, 2, 2, 1, &writer), MIEN_UNSUPPORTED);
    assert_null(writer);
}

int main(void) {
    const struct CMUnitTest before[] = {cmocka_unit_test(without_module)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_clips), cmocka_unit_test(golden_pixels),
        cmocka_unit_test(joined),       cmocka_unit_test(what_is_known),
        cmocka_unit_test(progresses),   cmocka_unit_test(no_videos),
        cmocka_unit_test(nothing_else), cmocka_unit_test(urls),
        cmocka_unit_test(cameras),      cmocka_unit_test(played),
        cmocka_unit_test(stops),        cmocka_unit_test(too_large),
    };
    if (!made_video_module()) return 0;
    unsetenv("MIEN_MODULES");
    if (cmocka_run_group_tests(before, NULL, NULL)) return 1;
    made_video_module();
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
