/* include/mien/video.h over host/infer/video_faces.h. */
#include "include/mien/video.h"

#include "host/api/common.h"
#include "host/base/memory.h"
#include "host/infer/video_faces.h"

enum { BATCH = 64 };

typedef struct feed {
    mien_video_fn frame;
    void *context;
    mien_face_result *faces;
    size_t capacity;
    bool raw;
    volatile int stop;
} feed;

static mien_status take(void *context, const mien_video_result *result) {
    feed *f = context;
    if (f->stop) return MIEN_OK;
    MIEN_TRY(mien_grow(&f->faces, &f->capacity, (size_t)result->count, sizeof *f->faces));
    for (int i = 0; i < result->count; i++) {
        const mien_video_face *from = &result->faces[i];
        f->faces[i] = (mien_face_result){from->id,
                                         from->box.x,
                                         from->box.y,
                                         from->box.width,
                                         from->box.height,
                                         from->detected,
                                         from->score,
                                         f->raw ? from->label : from->smoothed_label,
                                         f->raw ? from->scores : from->smoothed};
    }
    const mien_frame *frame = result->frame;
    const mien_video_frame view = {frame->index, frame->time, frame->gray.width, frame->gray.height,
                                   result->key,  result->cut, f->faces,          result->count};
    f->stop = f->frame(f->context, &view) != 0;
    return MIEN_OK;
}

mien_status mien_video_run(const char *model, mien_backend *backend, const char *source,
                           const mien_video_settings *settings, mien_video_fn frame,
                           void *context) {
    const mien_video_settings want = settings ? *settings : (mien_video_settings){0};
    feed f = {.frame = frame, .context = context, .raw = want.no_smoothing};
    mien_detector_choice choice = {0};
    mien_ensemble models = {0};
    mien_frames frames = {0};
    mien_status status;
    bool none;
    MIEN_TRY(api_choose_detector(want.detector, &choice, &none));
    choice.threads = 1; /* frames are detected side by side */
    MIEN_GO(api_open_model(model, backend, BATCH, &models));
    const mien_video_options options = {.colour = models.models[0].meta.input.channels == 3,
                                        .allow_url = want.allow_url,
                                        .stop = &f.stop};
    MIEN_GO(mien_video_open(source, &options, &frames));
    const mien_video_faces_options how = {.every = want.every,
                                          .min_face = want.min_face,
                                          .min_score = want.min_score,
                                          .raw = want.no_smoothing,
                                          .stop = &f.stop};
    status = mien_video_faces_run(&frames, &models, none ? NULL : &choice, &how,
                                  &(mien_video_sink){&f, take});
    if (status == MIEN_INTERRUPTED && f.stop) status = MIEN_OK;
out:
    mien_frames_close(&frames);
    mien_ensemble_release(&models);
    mien_free(f.faces);
    return status;
}
