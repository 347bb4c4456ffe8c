/* Counters of the server, as Prometheus text (format 0.0.4). Any thread may count. */
#ifndef HOST_SERVE_METRICS_H
#define HOST_SERVE_METRICS_H

#include <stdatomic.h>

#include "host/base/text.h"

enum { METRICS_BUCKETS = 12, METRICS_BATCH_BUCKETS = 7, METRICS_STATUSES = 600 };

typedef struct serve_metrics {
    _Atomic unsigned long long responses[METRICS_STATUSES]; /* by status; 0: client went away */
    _Atomic unsigned long long faces, frames_dropped, worker_restarts, log_lines_lost;
    _Atomic unsigned long long predictions[METRICS_BUCKETS]; /* by time */
    _Atomic unsigned long long prediction_microseconds;
    _Atomic unsigned long long batches[METRICS_BATCH_BUCKETS]; /* by faces */
    _Atomic unsigned long long batch_faces;
} serve_metrics;

/* What is not counted but measured when somebody asks. */
typedef struct serve_gauges {
    int queue, queue_capacity, connections;
    bool ready;
    const char *version, *commit;
} serve_gauges;

void metrics_response(serve_metrics *m, int status);
void metrics_prediction(serve_metrics *m, double seconds);
void metrics_batch(serve_metrics *m, int faces);
void metrics_text(serve_metrics *m, const serve_gauges *gauges, mien_text *out);

#endif
