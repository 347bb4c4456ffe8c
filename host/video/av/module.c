/* The module's table, and FFmpeg's log: its lines go to Mien's at the level of debugging. */
#include <libavdevice/avdevice.h>
#include <stdio.h>
#include <string.h>

#include "host/video/av/av.h"
#include "host/video/video_module.h"

static _Thread_local bool complained;
/* Decoders have threads of their own, whose lines would come while the program writes its own. */
static _Thread_local bool ours;

static AVClassCategory category_of(void *context) {
    const AVClass *class = context ? *(AVClass *const *)context : NULL;
    if (!class) return AV_CLASS_CATEGORY_NA;
    return class->get_category ? class->get_category(context) : class->category;
}

static void take_line(void *context, int level, const char *format, va_list args) {
    char line[512];
    if (level > AV_LOG_WARNING || !ours) return;
    if (level <= AV_LOG_ERROR && category_of(context) == AV_CLASS_CATEGORY_DEMUXER)
        complained = true;
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\r\n")] = 0;
    mien_log(MIEN_LOG_DEBUG, "FFmpeg: %s", line);
}

bool video_demuxer_complained(void) {
    const bool was = complained;
    complained = false;
    ours = true;
    return was;
}

const char *video_reason(int code, char out[AV_ERROR_MAX_STRING_SIZE]) {
    av_strerror(code, out, AV_ERROR_MAX_STRING_SIZE);
    return out;
}

static void start(const mien_services *services) {
    mien_services_use(services);
    av_log_set_callback(take_line);
    avdevice_register_all();
}

__attribute__((visibility("default"))) extern const mien_video_module mien_module_table;
const mien_video_module mien_module_table = {
    .head = {MIEN_VIDEO_MODULE_VERSION, "mien-video"},
    .start = start,
    .open = video_reader_open,
    .writer_open = video_writer_open,
    .writer_add = video_writer_add,
    .writer_finish = video_writer_finish,
    .writer_close = video_writer_close,
    .writer_codec = video_writer_codec,
};
