/* Loads mien-video.so and passes calls on to it. */
#include "host/video/video.h"

#include <pthread.h>
#include <string.h>

#include "host/base/file.h"
#include "host/video/video_module.h"

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static mien_status load_once(const mien_video_module **out) {
    static const mien_video_module *loaded;
    const mien_module *module;
    if (!loaded) {
        const mien_status status =
            mien_module_load("mien-video", MIEN_VIDEO_MODULE_VERSION, &module);
        if (status == MIEN_NOT_FOUND)
            return MIEN_FAIL(UNSUPPORTED,
                             "this build cannot read or write video, because it lacks "
                             "mien-video.so: install FFmpeg's libraries with `make deps` and build "
                             "again with VIDEO=1");
        if (status != MIEN_OK)
            return mien_fail_context(status, "video needs mien-video.so and FFmpeg's libraries");
        loaded = (const mien_video_module *)module;
        loaded->start(&mien_program_services);
    }
    *out = loaded;
    return MIEN_OK;
}

static mien_status load(const mien_video_module **out) {
    pthread_mutex_lock(&loading);
    const mien_status status = load_once(out);
    pthread_mutex_unlock(&loading);
    return status;
}

mien_status mien_video_open(const char *source, const mien_video_options *options,
                            mien_frames *out) {
    static const mien_video_options plain;
    const mien_video_module *module;
    *out = (mien_frames){0};
    if (!options) options = &plain;
    if (!*source) return MIEN_FAIL(INVALID, "the video's name is empty");
    if (mien_video_is_url(source) && !options->allow_url)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a URL: give --allow-url if Mien may open it over the network",
                         source);
    MIEN_TRY(load(&module));
    return module->open(source, options, out);
}

mien_status mien_frames_next(mien_frames *source, mien_frame *frame, bool *more) {
    *more = false;
    return source->next(source->state, frame, more);
}

void mien_frames_close(mien_frames *source) {
    if (source->close) source->close(source->state);
    *source = (mien_frames){0};
}

/* ---- writers: they exist only after the module was loaded ---- */

mien_status mien_video_writer_open(const char *path, const char *sound_of, int width, int height,
                                   double rate, mien_video_writer **out) {
    const mien_video_module *module;
    *out = NULL;
    if (sound_of && mien_same_file(path, sound_of))
        return MIEN_FAIL(INVALID, "'%s' is the video that is read: choose another name", path);
    MIEN_TRY(load(&module));
    return module->writer_open(path, sound_of, width, height, rate, out);
}

mien_status mien_video_writer_add(mien_video_writer *writer, const mien_image *colour,
                                  double time) {
    const mien_video_module *module;
    MIEN_TRY(load(&module));
    return module->writer_add(writer, colour, time);
}

mien_status mien_video_writer_finish(mien_video_writer *writer) {
    const mien_video_module *module;
    MIEN_TRY(load(&module));
    return module->writer_finish(writer);
}

void mien_video_writer_close(mien_video_writer *writer) {
    const mien_video_module *module;
    if (writer && load(&module) == MIEN_OK) module->writer_close(writer);
}

const char *mien_video_writer_codec(const mien_video_writer *writer) {
    const mien_video_module *module;
    return load(&module) == MIEN_OK ? module->writer_codec(writer) : "";
}
