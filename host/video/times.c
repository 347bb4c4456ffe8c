/* Times of frames from the timestamps of a stream, which may be missing, repeat or run backwards.
 */
#include "host/video/times.h"

/* A timestamp this much before its predecessor, in seconds, begins a new timeline, as where two
 * recordings were joined. */
static const double JOINT = 0.5;

/* A time after the last frame's for a timestamp that is not. If timestamps advance, the estimates
 * are too late: the next ones stay close until the timestamps have caught up. */
static double after_last(const mien_video_times *times, double raw) {
    if (raw > times->raw) return times->last + times->step / 16;
    return times->last + (times->repaired ? times->step : times->step / 2);
}

double mien_video_times_next(mien_video_times *times, bool known, double raw, bool *repaired) {
    double time = times->last + times->step;
    *repaired = true;
    if (!times->started) {
        time = 0;
        *repaired = !known;
    } else if (known && (!times->has_origin || raw < times->raw - JOINT)) {
        times->has_origin =
            false; /* of a new timeline, which begins one step after the last frame */
    } else if (known) {
        time = raw - times->origin;
        *repaired = time <= times->last;
        if (*repaired) time = after_last(times, raw);
    }
    if (known && !times->has_origin) {
        times->origin = raw - time;
        times->has_origin = true;
    }
    if (times->started && !*repaired && !times->repaired)
        times->step = time - times->last < 1 ? time - times->last : 1;
    times->started = true;
    times->repaired = *repaired;
    times->last = time;
    if (known) times->raw = raw;
    return time;
}
