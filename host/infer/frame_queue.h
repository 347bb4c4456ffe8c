/* Frames of a video between the thread that reads them and the one that uses them, with the faces
 * of every k-th frame, which are detected by threads of their own.
 *
 * Frames come in segments: each ends with a key frame, on which faces were detected. Which frames
 * are key frames depends on the video alone: every k-th (earlier where k frames are too large to be
 * kept), the first of a scene, and the last. */
#ifndef HOST_INFER_FRAME_QUEUE_H
#define HOST_INFER_FRAME_QUEUE_H

#include "host/video/video.h"
#include "host/vision/vision.h"

typedef struct frame_slot {
    mien_frame frame;
    bool key;
    bool cut;         /* the first frame of a scene, which is a key frame */
    mien_faces faces; /* of a key frame */
} frame_slot;

typedef struct frame_queue frame_queue;
typedef struct frame_queue_options {
    const mien_detector_choice *detector; /* NULL: none; key frames only end segments */
    mien_detect rule;                     /* as in frame_detect.h */
    int every;                            /* k */
    int detectors;                        /* threads that detect, at least 1 */
    const volatile int *stop;             /* set by a signal: reading ends; may be NULL */
    size_t bytes; /* of the frames that are kept, unless a segment has more; 0: 400 MiB */
} frame_queue_options;

/* Opens the detectors and starts reading. `source` is borrowed. */
mien_status frame_queue_open(mien_frames *source, const frame_queue_options *options,
                             frame_queue **out);
/* Waits for the next segment. *count 0: there are no more frames; the status is then that of the
 * source (FORMAT for a broken tail), or INTERRUPTED. Slots of the segment are valid until the next
 * call. */
mien_status frame_queue_next(frame_queue *queue, int *count);
/* Frame i of the segment. */
frame_slot *frame_queue_slot(frame_queue *queue, int i);
/* Ends the threads. NULL is allowed. */
void frame_queue_close(frame_queue *queue);

#endif
