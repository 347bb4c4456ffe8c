/* The function table of the module mien-video.so (see host/base/module.h). */
#ifndef HOST_VIDEO_VIDEO_MODULE_H
#define HOST_VIDEO_VIDEO_MODULE_H

#include "host/base/module.h"
#include "host/base/services.h"
#include "host/video/video.h"

/* Changes with this file and with video.h. */
enum { MIEN_VIDEO_MODULE_VERSION = 1 };

typedef struct mien_video_module {
    mien_module head;
    /* Called once before the others; `services` must outlive the module. */
    void (*start)(const mien_services *services);
    mien_status (*open)(const char *source, const mien_video_options *options, mien_frames *out);
    mien_status (*writer_open)(const char *path, const char *sound_of, int width, int height,
                               double rate, mien_video_writer **out);
    mien_status (*writer_add)(mien_video_writer *writer, const mien_image *colour, double time);
    mien_status (*writer_finish)(mien_video_writer *writer);
    void (*writer_close)(mien_video_writer *writer);
    const char *(*writer_codec)(const mien_video_writer *writer);
} mien_video_module;

#endif
