/* How fast a live run is: latency and rate, in constant memory. */
#ifndef HOST_INFER_LIVE_STATS_H
#define HOST_INFER_LIVE_STATS_H

#include "host/infer/live_faces.h"

enum { LIVE_BINS = 8192, LIVE_RECENT = 32 };
typedef struct live_stats {
    mien_live_stats public;
    long long bins[LIVE_BINS]; /* latencies in steps of LIVE_STEP; the last holds all longer ones */
    double recent[LIVE_RECENT]; /* when the last answers were given; a ring */
    int recent_count;
} live_stats;
#define LIVE_STEP 0.00025

/* An answer at `now` to a frame that came at `arrived`. */
void live_stats_add(live_stats *stats, double arrived, double now);

#endif
