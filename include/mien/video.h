/* Faces in videos, frame by frame.
 *
 *     mien_video_run("best.h5", backend, "talk.mp4", NULL, print_frame, NULL);
 *
 * Several threads may each run a video, on backends of their own. */
#ifndef MIEN_VIDEO_H
#define MIEN_VIDEO_H

#include "photo.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mien_video_settings {
    const char *detector;    /* as in photo.h */
    int every;               /* detect on every k-th frame; 0: 5 */
    int min_face;            /* side of the smallest face in pixels; 0: depends on the video */
    const double *min_score; /* NULL: the detector's own threshold */
    bool no_smoothing;       /* each frame's own probabilities */
    bool allow_url;          /* `source` may be a URL */
} mien_video_settings;

typedef struct mien_video_frame {
    long long index; /* from 0 */
    double time;     /* seconds from the first frame */
    int width, height;
    bool key; /* faces were detected on this frame */
    bool cut; /* a new scene begins */
    const mien_face_result *faces;
    int count;
} mien_video_frame;

/* Called once for each frame, in order, by the thread that called mien_video_run. The frame is
 * valid during the call. Returns 0 to go on, anything else to stop. */
typedef int (*mien_video_fn)(void *context, const mien_video_frame *frame);

/* Reads `source`, a file or "camera:N", to its end, or until `frame` stops it, which is no error.
 * `model`: a path as for mien_model_load; `settings` may be NULL. */
mien_status mien_video_run(const char *model, mien_backend *backend, const char *source,
                           const mien_video_settings *settings, mien_video_fn frame, void *context);

#ifdef __cplusplus
}
#endif
#endif
