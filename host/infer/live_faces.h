/* The faces of a camera as they are now: each answer is about the newest frame.
 *
 * Detection runs in a thread of its own, on the newest frame each time, and no frame waits for it:
 * what it found is brought forward by following each face to the current frame. Frames that come
 * while an answer is made are skipped. Unlike those of mien_video_faces_run, results depend on the
 * speed of the machine. Memory stays constant. */
#ifndef HOST_INFER_LIVE_FACES_H
#define HOST_INFER_LIVE_FACES_H

#include "host/infer/video_faces.h"

typedef struct mien_live_stats {
    long long frames;     /* that came; those not answered were skipped */
    long long answers;    /* given to the sink */
    long long detections; /* frames on which faces were detected */
    double latency;       /* seconds from a frame's arrival to its answer: of the last frame */
    double p50, p99;      /* of all frames so far, in steps of 0.25 ms */
    double rate;          /* answers per second, over the last second or so */
} mien_live_stats;

typedef struct mien_live_sink {
    void *context;
    /* Called for each answered frame; the result is valid during the call. In it, `key` says that
     * detection begins on this frame, and `detected` of a face is always false. A failure ends the
     * run with that status. */
    mien_status (*take)(void *context, const mien_video_result *result,
                        const mien_live_stats *stats);
    /* Called several times a second while no frame comes; NULL: nothing to do. */
    mien_status (*idle)(void *context);
} mien_live_sink;

typedef struct mien_live_options {
    mien_video_faces_options faces; /* `every`: frames of the camera; `detectors` is not used */
    double patience; /* seconds without a frame after which a camera hangs; 0: 6, to let the
                        source's own 5 s say it first */
} mien_live_options;

/* Answers frames until `source` ends, fails or hangs (NO_DEVICE), *stop is set (INTERRUPTED) or the
 * sink fails. A source that is not live is played at its own rate. `source` is closed and empty
 * afterwards. `detector` NULL: each frame is one face. `ensemble` is borrowed. `stats` may be NULL;
 * it is written also after a failure. */
mien_status mien_live_faces_run(mien_frames *source, mien_ensemble *ensemble,
                                const mien_detector_choice *detector,
                                const mien_live_options *options, const mien_live_sink *sink,
                                mien_live_stats *stats);

#endif
