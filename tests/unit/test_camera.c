/* Cameras without a camera: this program's open, access and ioctl come before the C library's, and
 * are a Video4Linux device whose buffers are a file in memory. FFmpeg and the module run as usual.
 */
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/video/video.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_video.h"

/* ---- the device ---- */

enum { WIDTH = 64, HEIGHT = 48, SLOTS = 4, SLOT = 2 * WIDTH * HEIGHT };
enum { STRIDE = 1 << 16 }; /* from buffer to buffer: whole pages */

/* /dev/video0 carries no pictures, as the second node of many cameras; /dev/video1 is the camera
 * and /dev/video2 one that fails to open. */
static struct device {
    int fd;           /* -1: closed */
    ino_t file;       /* what the descriptor must be */
    int open_error;   /* of /dev/video2 */
    bool fixed_rate;  /* it refuses to be asked for a rate */
    int backlog;      /* frames that wait at once */
    int frames;       /* it gives so many, */
    int then;         /* and then fails so; EAGAIN: hangs */
    int given, polls; /* frames, and questions since the last one */
    int queue[SLOTS], queued;
    int width, height; /* asked for */
} device;

int open64(const char *path, int flags, ...);
int ioctl(int fd, unsigned long request, ...);

static int real_open(const char *path, int flags, mode_t mode) {
    int (*next)(const char *, int, ...) = NULL;
    *(void **)&next = dlsym(RTLD_NEXT, "open64");
    return next(path, flags, mode);
}

static int open_node(const char *path, int flags, mode_t mode) {
    struct stat info;
    if (strncmp(path, "/dev/video", 10) != 0) return real_open(path, flags, mode);
    if (strcmp(path, "/dev/video0") == 0) return real_open("/dev/null", flags, mode);
    if (strcmp(path, "/dev/video2") == 0 && device.open_error) {
        errno = device.open_error;
        return -1;
    }
    const int fd = memfd_create("camera", MFD_CLOEXEC);
    assert_true(fd >= 0 && ftruncate(fd, SLOTS * STRIDE) == 0 && fstat(fd, &info) == 0);
    device.fd = fd;
    device.file = info.st_ino;
    device.queued = 0;
    return fd;
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & O_CREAT ? (mode_t)va_arg(rest, int) : 0;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_node(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_node(path, flags, mode);
}

int access(const char *path, int mode) {
    if (strncmp(path, "/dev/video", 10) == 0) {
        const bool there = path[10] >= '0' && path[10] <= '2' && path[11] == 0;
        errno = ENOENT;
        return there ? 0 : -1;
    }
    return faccessat(AT_FDCWD, path, mode, 0);
}

static int failed(int code) {
    errno = code;
    return -1;
}

static int set_format(struct v4l2_format *format) {
    if (!device.width) device.width = (int)format->fmt.pix.width; /* the first wish */
    if (!device.height) device.height = (int)format->fmt.pix.height;
    format->fmt.pix.width = WIDTH;
    format->fmt.pix.height = HEIGHT;
    format->fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
    format->fmt.pix.field = V4L2_FIELD_NONE;
    format->fmt.pix.bytesperline = 2 * WIDTH;
    format->fmt.pix.sizeimage = SLOT;
    return 0;
}

/* Frame n is gray, of the level 16 + 10 n. */
static int dequeue(struct v4l2_buffer *buffer) {
    static uint8_t pixels[SLOT];
    if (device.given >= device.frames && device.then != EAGAIN) return failed(device.then);
    const bool ready = device.given < device.backlog || ++device.polls > 3;
    if (device.given >= device.frames || !ready || device.queued == 0) return failed(EAGAIN);
    const int slot = device.queue[0];
    memmove(device.queue, device.queue + 1, (size_t)--device.queued * sizeof *device.queue);
    for (int i = 0; i < SLOT; i += 2) {
        pixels[i] = (uint8_t)(16 + 10 * device.given);
        pixels[i + 1] = 128;
    }
    assert_int_equal(pwrite(device.fd, pixels, SLOT, (off_t)slot * STRIDE), SLOT);
    const double time = 100 + device.given / 25.0;
    buffer->index = (unsigned)slot;
    buffer->bytesused = SLOT;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->timestamp.tv_sec = (long)time;
    buffer->timestamp.tv_usec = (long)((time - (double)(long)time) * 1e6 + 0.5);
    buffer->sequence = (unsigned)device.given++;
    device.polls = 0;
    return 0;
}

static int answer(unsigned long request, void *to) {
    struct v4l2_buffer *buffer = to;
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *can = to;
        *can = (struct v4l2_capability){.driver = "made", .card = "made"};
        can->capabilities = V4L2_CAP_DEVICE_CAPS | V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        can->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    }
    case VIDIOC_G_INPUT:
        *(int *)to = 0;
        return 0;
    case VIDIOC_ENUMINPUT:
        ((struct v4l2_input *)to)->std = 0;
        return 0;
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
        return set_format(to);
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *parameters = to;
        if (device.fixed_rate) return failed(EINVAL);
        parameters->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        parameters->parm.capture.timeperframe = (struct v4l2_fract){1, 25};
        return 0;
    }
    case VIDIOC_REQBUFS:
        ((struct v4l2_requestbuffers *)to)->count = SLOTS;
        return 0;
    case VIDIOC_QUERYBUF:
        buffer->length = SLOT;
        buffer->m.offset = buffer->index * STRIDE;
        return 0;
    case VIDIOC_QBUF:
        device.queue[device.queued++] = (int)buffer->index;
        return 0;
    case VIDIOC_DQBUF:
        return dequeue(buffer);
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
        return 0;
    }
    return failed(ENOTTY);
}

int ioctl(int fd, unsigned long request, ...) {
    struct stat info;
    va_list rest;
    va_start(rest, request);
    void *to = va_arg(rest, void *);
    va_end(rest);
    if (device.file && fstat(fd, &info) == 0 && info.st_ino == device.file)
        return answer(request, to);
    int (*next)(int, unsigned long, ...) = NULL;
    *(void **)&next = dlsym(RTLD_NEXT, "ioctl");
    return next(fd, request, to);
}

/* ---- tests ---- */

static void expect_gray(const mien_frame *frame, int index) {
    const int want = (10 * index * 255 + 109) / 219;
    assert_int_equal(frame->index, index);
    assert_int_equal(frame->gray.width, WIDTH);
    assert_int_equal(frame->gray.height, HEIGHT);
    assert_true(abs(frame->gray.pixels[WIDTH * HEIGHT / 2] - want) <= 1);
}

/* Opens a camera and reads as many frames as it gives one by one. */
static mien_status open_and_read(const char *which, const mien_video_options *options, int frames,
                                 mien_frames *source, mien_frame *frame) {
    bool more = true;
    MIEN_TRY(mien_video_open(which, options, source));
    for (int i = 0; i < frames; i++) {
        MIEN_TRY(mien_frames_next(source, frame, &more));
        assert_true(more);
        expect_gray(frame, i);
        assert_float_equal(frame->time, i / 25.0, 1e-4);
    }
    return MIEN_OK;
}

static void close_both(mien_frames *source, mien_frame *frame) {
    mien_frame_release(frame);
    mien_frames_close(source);
    *frame = (mien_frame){0};
}

/* Numbers count cameras, not nodes. The camera has only one size and one format. */
static void frames_of_a_camera(void **state) {
    (void)state;
    static const char *const names[] = {"camera:0", "camera:/dev/video1"};
    for (int i = 0; i < 2; i++) {
        device = (struct device){.frames = 8, .then = EAGAIN};
        const mien_video_options options = {.width = 320, .height = 200, .rate = 25};
        mien_frames source;
        mien_frame frame = {0};
        expect_ok(open_and_read(names[i], &options, 8, &source, &frame));
        assert_true(source.info.live);
        assert_int_equal(source.info.width, WIDTH);
        assert_int_equal(device.width, 320);
        assert_int_equal(device.height, 200);
        close_both(&source, &frame);
    }
}

/* A camera that refuses what it is asked for is opened as it is. */
static void rate_is_refused(void **state) {
    (void)state;
    device = (struct device){.frames = 3, .then = EAGAIN, .fixed_rate = true};
    mien_frames source;
    mien_frame frame = {0};
    expect_ok(open_and_read("camera:0", NULL, 3, &source, &frame));
    close_both(&source, &frame);
}

/* Frames that wait are skipped but for the newest; they are counted. */
static void newest_frame(void **state) {
    (void)state;
    device = (struct device){.frames = 5, .then = EAGAIN, .backlog = 3};
    mien_frames source;
    mien_frame frame = {0};
    bool more;
    expect_ok(mien_video_open("camera:0", NULL, &source));
    expect_ok(mien_frames_next(&source, &frame, &more));
    expect_gray(&frame, 2);
    expect_ok(mien_frames_next(&source, &frame, &more));
    expect_gray(&frame, 3);
    close_both(&source, &frame);
}

static void hangs_and_unplugged(void **state) {
    (void)state;
    const mien_video_options options = {.patience = 0.3};
    static const struct {
        int then;
        const char *message;
    } cases[] = {{EAGAIN, "the camera /dev/video1 has given no picture for 0 seconds"},
                 {ENODEV, "the camera /dev/video1 was unplugged"},
                 {EIO, "the camera /dev/video1 failed: "}};
    for (int i = 0; i < 3; i++) {
        device = (struct device){.frames = 3, .then = cases[i].then};
        mien_frames source;
        mien_frame frame = {0};
        bool more;
        expect_ok(open_and_read("camera:0", &options, 3, &source, &frame));
        const double start = mien_seconds();
        assert_int_equal(mien_frames_next(&source, &frame, &more), MIEN_NO_DEVICE);
        expect_in_message(cases[i].message);
        assert_true((mien_seconds() - start > 0.25) == (cases[i].then == EAGAIN));
        close_both(&source, &frame);
    }
}

static void cannot_be_opened(void **state) {
    (void)state;
    static const struct {
        int code;
        const char *message;
    } cases[] = {{EBUSY, "the camera /dev/video2 is in use by another program"},
                 {EACCES, "no permission for the camera /dev/video2: add your user to"},
                 {EIO, "the camera /dev/video2 cannot be opened: "}};
    mien_frames source;
    for (int i = 0; i < 3; i++) {
        device = (struct device){.open_error = cases[i].code};
        assert_int_equal(mien_video_open("camera:/dev/video2", NULL, &source), MIEN_NO_DEVICE);
        expect_in_message(cases[i].message);
    }
    /* a node that may not be opened counts as a camera, one that fails does not */
    device = (struct device){.open_error = EACCES};
    assert_int_equal(mien_video_open("camera:7", NULL, &source), MIEN_NO_DEVICE);
    expect_in_message("there is no camera 7; those present: camera:0 (/dev/video1), camera:1 "
                      "(/dev/video2)");
    device = (struct device){.open_error = EIO};
    assert_int_equal(mien_video_open("camera:7", NULL, &source), MIEN_NO_DEVICE);
    expect_in_message("those present: camera:0 (/dev/video1)");
}

static void stops(void **state) {
    (void)state;
    volatile int stop = 0;
    device = (struct device){.frames = 1, .then = EAGAIN};
    const mien_video_options options = {.stop = &stop};
    mien_frames source;
    mien_frame frame = {0};
    bool more;
    expect_ok(open_and_read("camera:0", &options, 1, &source, &frame));
    stop = 1;
    assert_int_equal(mien_frames_next(&source, &frame, &more), MIEN_INTERRUPTED);
    close_both(&source, &frame);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_a_camera), cmocka_unit_test(rate_is_refused),
        cmocka_unit_test(newest_frame),       cmocka_unit_test(hangs_and_unplugged),
        cmocka_unit_test(cannot_be_opened),   cmocka_unit_test(stops),
    };
    if (!made_video_module()) return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
