/* Detection beside the frames of a camera: a thread finds the faces of one frame at a time and
 * gives them their ids. */
#ifndef HOST_INFER_LIVE_DETECTOR_H
#define HOST_INFER_LIVE_DETECTOR_H

#include "host/track/track.h"
#include "host/video/video.h"
#include "host/vision/vision.h"

typedef struct live_found {
    mien_image gray;          /* the frame */
    long long index;          /* its number */
    double time;              /* its time */
    const mien_track *tracks; /* [count] */
    int count;
} live_found;

typedef struct live_detector live_detector;
/* `rule` as in frame_detect.h; its min_score must stay valid. */
mien_status live_detector_open(const mien_detector_choice *choice, mien_detect rule,
                               live_detector **out);
/* The faces of the last frame, once after each start: *found is NULL while there are none, and
 * valid until the next start. */
mien_status live_detector_collect(live_detector *detector, const live_found **found);
/* Whether the thread has nothing to do and its last faces were collected. */
bool live_detector_idle(live_detector *detector);
/* Copies the frame and begins, if idle. `cut`: the scene changed since the frame of the last
 * start. */
mien_status live_detector_start(live_detector *detector, const mien_frame *frame, bool cut);
/* Waits for a detection that has begun. NULL is allowed. */
void live_detector_close(live_detector *detector);

#endif
