/* The faces of a video, frame by frame: who is where, and what each face shows.
 *
 * Every k-th frame is a key frame, on which faces are detected, in threads of their own. Between
 * two key frames each face is followed from both ends. Faces of several frames go through the
 * network in one batch. Frames come out in order, and the same video gives the same answers on
 * every machine: nothing depends on timing. At most a few times k frames are held. */
#ifndef HOST_INFER_VIDEO_FACES_H
#define HOST_INFER_VIDEO_FACES_H

#include "host/infer/ensemble.h"
#include "host/track/track.h"
#include "host/video/video.h"
#include "host/vision/vision.h"

typedef struct mien_video_face {
    long long id;          /* from 1, stable, never used again; 0: there is no detector */
    mien_rect box;         /* in the frame's pixels, inside it */
    bool detected;         /* by the detector on this frame; otherwise followed */
    double score;          /* the detector's, of the nearest detection */
    const float *scores;   /* [classes] of this frame alone */
    const float *smoothed; /* [classes] over time; equal to `scores` without smoothing */
    int label;             /* of the greatest score */
    int smoothed_label;    /* with hysteresis */
} mien_video_face;

typedef struct mien_video_result {
    const mien_frame *frame;
    const mien_video_face *faces; /* [count], by id */
    int count;
    bool key; /* faces were detected on this frame */
    bool cut; /* a new scene begins */
} mien_video_result;

typedef struct mien_video_faces_options {
    int every;               /* k; 0: MIEN_VIDEO_EVERY */
    int min_face;            /* side of the smallest face in pixels; 0: mien_video_face_least */
    const double *min_score; /* NULL: the detector's own threshold */
    bool raw;                /* no smoothing */
    int detectors;           /* threads that detect; 0: as the CPUs allow */
    const volatile int *stop;
} mien_video_faces_options;
enum { MIEN_VIDEO_EVERY = 5 };
/* max(24 px, 10 % of the short side). */
int mien_video_face_least(int width, int height);

typedef struct mien_video_sink {
    void *context;
    /* Called once for each frame, in order; the result is valid during the call. A failure ends
     * the run with that status. */
    mien_status (*take)(void *context, const mien_video_result *result);
} mien_video_sink;

/* Reads `source` to its end. `detector` NULL: each frame is one face. `ensemble` is borrowed.
 * INTERRUPTED when *stop was set: all frames read so far were given to the sink. */
mien_status mien_video_faces_run(mien_frames *source, mien_ensemble *ensemble,
                                 const mien_detector_choice *detector,
                                 const mien_video_faces_options *options,
                                 const mien_video_sink *sink);

#endif
