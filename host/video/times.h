/* Times of frames that never run backwards, from timestamps that may. */
#ifndef HOST_VIDEO_TIMES_H
#define HOST_VIDEO_TIMES_H

#include <stdbool.h>

/* Zero-initialise, and set `step`. */
typedef struct mien_video_times {
    double step;   /* seconds between two frames, as last seen */
    double last;   /* the last frame's time */
    double raw;    /* the last frame's timestamp */
    double origin; /* the timestamp of time 0 */
    bool started, has_origin, repaired;
} mien_video_times;

/* The time of the next frame, from its timestamp in seconds if it is `known`; after that of the
 * frame before. *repaired: the timestamp was unknown or not after that of the frame before, and the
 * time is an estimate. */
double mien_video_times_next(mien_video_times *times, bool known, double raw, bool *repaired);

#endif
