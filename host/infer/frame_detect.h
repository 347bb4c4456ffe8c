/* Finds the faces of a video's frame at the lowest resolution that its smallest face allows, which
 * takes a third of the time: a cascade looks for faces of its window's size at every pixel. */
#ifndef HOST_INFER_FRAME_DETECT_H
#define HOST_INFER_FRAME_DETECT_H

#include "host/vision/vision.h"

/* Zero-initialise; release with frame_detect_release. For one thread. */
typedef struct frame_detect {
    mien_detector *detector; /* borrowed */
    mien_detect rule;        /* min_face 0: mien_video_face_least of the frame */
    uint8_t *pixels;         /* of the smaller frame */
    size_t capacity;
} frame_detect;

/* Boxes are in the frame's pixels. Release the faces even after a failure. */
mien_status frame_detect_run(frame_detect *detect, const mien_image *gray, mien_faces *out);
void frame_detect_release(frame_detect *detect);

#endif
