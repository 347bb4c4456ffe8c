#include "host/infer/live_stats.h"

static const double PAUSE = 1; /* seconds without an answer: the rate is measured anew */

/* The upper edge of the bin that holds the n-th of the sorted latencies. */
static double nth(const live_stats *s, long long n) {
    long long before = 0;
    for (int i = 0; i < LIVE_BINS; i++) {
        before += s->bins[i];
        if (before >= n) return (i + 1) * LIVE_STEP;
    }
    return LIVE_BINS * LIVE_STEP;
}

static void add_recent(live_stats *s, double now) {
    const int last = (s->recent_count + LIVE_RECENT - 1) % LIVE_RECENT;
    if (s->recent_count && now - s->recent[last] > PAUSE) s->recent_count = 0;
    s->recent[s->recent_count % LIVE_RECENT] = now;
    s->recent_count++;
    if (s->recent_count == 2 * LIVE_RECENT) s->recent_count = LIVE_RECENT; /* the same position */
    const int held = s->recent_count < LIVE_RECENT ? s->recent_count : LIVE_RECENT;
    const double first =
        s->recent[s->recent_count < LIVE_RECENT ? 0 : s->recent_count % LIVE_RECENT];
    s->public.rate = held > 1 && now > first ? (held - 1) / (now - first) : 0;
}

void live_stats_add(live_stats *s, double arrived, double now) {
    mien_live_stats *p = &s->public;
    p->latency = now - arrived;
    const double bin = p->latency / LIVE_STEP;
    s->bins[bin < 0 ? 0 : bin < LIVE_BINS ? (int)bin : LIVE_BINS - 1]++;
    p->answers++;
    p->p50 = nth(s, (p->answers + 1) / 2);
    p->p99 = nth(s, (99 * p->answers + 99) / 100);
    add_recent(s, now);
}
