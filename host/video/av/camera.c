/* Cameras: Video4Linux devices, found by their nodes and opened through FFmpeg. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libavutil/opt.h>
#include <linux/videodev2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/base/text.h"
#include "host/video/av/av.h"

enum { NODES = 64, PATH = 64 };

static bool is_number(const char *text) {
    size_t digits = 0;
    while (isdigit((unsigned char)text[digits]))
        digits++;
    return digits > 0 && digits < 6 && !text[digits];
}

bool video_is_camera(const char *which) {
    return is_number(which) || strncmp(which, "/dev/", 5) == 0;
}

/* A camera often has two nodes, one of which carries no pictures. A node that may not be opened
 * counts: it is likely to be a camera. */
static bool gives_pictures(const char *node) {
    struct v4l2_capability can = {0};
    const int fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return errno == EACCES || errno == EPERM || errno == EBUSY;
    const bool asked = ioctl(fd, VIDIOC_QUERYCAP, &can) == 0;
    close(fd);
    const unsigned has =
        can.capabilities & V4L2_CAP_DEVICE_CAPS ? can.device_caps : can.capabilities;
    return asked && (has & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE));
}

/* Finds the cameras in the order of their nodes; returns their number. */
static int find_cameras(char nodes[NODES][PATH]) {
    int found = 0;
    for (int i = 0; i < NODES; i++) {
        snprintf(nodes[found], PATH, "/dev/video%d", i);
        if (access(nodes[found], F_OK) == 0 && gives_pictures(nodes[found])) found++;
    }
    return found;
}

static mien_status no_camera(const char *which, char nodes[NODES][PATH], int found) {
    mien_text present = {0};
    for (int i = 0; i < found; i++)
        mien_text_printf(&present, "%scamera:%d (%s)", i ? ", " : "", i, nodes[i]);
    const mien_status status =
        found ? MIEN_FAIL(NO_DEVICE, "there is no camera %s; those present: %s", which,
                          present.data ? present.data : "")
              : MIEN_FAIL(NO_DEVICE,
                          "there is no camera %s: this machine has no camera, or its "
                          "driver is not loaded",
                          which);
    mien_text_release(&present);
    return status;
}

static mien_status failed(int code, const char *node) {
    char why[AV_ERROR_MAX_STRING_SIZE];
    if (code == AVERROR(EBUSY))
        return MIEN_FAIL(NO_DEVICE, "the camera %s is in use by another program", node);
    if (code == AVERROR(EACCES) || code == AVERROR(EPERM))
        return MIEN_FAIL(
            NO_DEVICE, "no permission for the camera %s: add your user to the group 'video'", node);
    return MIEN_FAIL(NO_DEVICE, "the camera %s cannot be opened: %s", node,
                     video_reason(code, why));
}

/* Cameras refuse sizes and rates that they do not have; then they choose. */
static int open_node(video_input *input, const char *node, const mien_video_options *options,
                     bool ask) {
    char text[32];
    AVDictionary *with = NULL;
    input->format = avformat_alloc_context();
    if (!input->format) return AVERROR(ENOMEM);
    input->format->flags |= AVFMT_FLAG_NONBLOCK; /* a hanging camera must not hold us */
    input->format->interrupt_callback = (AVIOInterruptCB){video_input_interrupt, input};
    if (ask) {
        snprintf(text, sizeof text, "%dx%d", options->width > 0 ? options->width : 640,
                 options->height > 0 ? options->height : 480);
        av_dict_set(&with, "video_size", text, 0);
        snprintf(text, sizeof text, "%.3f", options->rate > 0 ? options->rate : 30);
        av_dict_set(&with, "framerate", text, 0);
    }
    const int code = avformat_open_input(&input->format, node, av_find_input_format("v4l2"), &with);
    av_dict_free(&with);
    return code;
}

mien_status video_input_camera(video_input *input, const char *which,
                               const mien_video_options *options) {
    char nodes[NODES][PATH];
    const int found = find_cameras(nodes);
    *input = (video_input){.fd = -1, .stop = options->stop, .patience = options->patience};
    video_demuxer_complained();
    if (is_number(which)) {
        const int number = atoi(which);
        if (number >= found) return no_camera(which, nodes, found);
        memcpy(input->name, nodes[number], PATH);
    } else {
        if (access(which, F_OK) != 0 || strlen(which) >= PATH)
            return no_camera(which, nodes, found);
        memcpy(input->name, which, strlen(which) + 1);
    }
    video_input_wait_anew(input);
    int code = open_node(input, input->name, options, true);
    if (code == AVERROR(EINVAL)) code = open_node(input, input->name, options, false);
    return code < 0 ? failed(code, input->name) : MIEN_OK;
}
