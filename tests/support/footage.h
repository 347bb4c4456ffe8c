/* Made-up footage for tests of video: moving patterned squares as faces, and a detector that knows
 * where they are, because the source writes their boxes into the frame's first pixels. */
#ifndef TESTS_SUPPORT_FOOTAGE_H
#define TESTS_SUPPORT_FOOTAGE_H

#include "host/video/video.h"
#include "host/vision/vision.h"

enum { FOOTAGE_FACES = 200 };

typedef struct footage_face {
    double x, y, side; /* on the first frame */
    double dx, dy;     /* pixels a frame */
    int pattern;       /* what it looks like */
    int from, to;      /* shown on frames from..to-1; to 0: to the end */
    int missed;        /* the detector misses it on each `missed`-th frame; 0: never */
} footage_face;

typedef struct footage {
    int width, height, frames;
    double rate;
    footage_face faces[FOOTAGE_FACES];
    int face_count;
    int cut;            /* the frame that begins another scene; 0: none */
    int smaller;        /* from this frame on the size is halved; 0: never */
    int fails_at;       /* the source reports damage there; 0: never */
    unsigned pause;     /* seed of random pauses; 0: none */
    volatile int *stop; /* set at frame stop_at */
    int stop_at;
    /* of the source */
    long long at;
} footage;

/* The footage as a source of gray frames. `made` is borrowed. */
mien_frames footage_source(footage *made);
/* Where a face is on a frame, and whether it is shown. */
bool footage_box(const footage *made, int face, long long frame, mien_rect *box);
/* Finds the faces of footage, and fails when frame `detector_fails_at` (not 0) comes. */
extern const mien_detector_kind footage_detector;
extern int footage_detector_fails_at;

#endif
