#include "host/serve/metrics.h"

static const double seconds_up_to[METRICS_BUCKETS - 1] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                          0.1,   0.25,   0.5,   1,    2.5};
static const double faces_up_to[METRICS_BATCH_BUCKETS - 1] = {1, 2, 4, 8, 16, 32};

void metrics_response(serve_metrics *m, int status) {
    if (status >= 0 && status < METRICS_STATUSES) atomic_fetch_add(&m->responses[status], 1);
}

void metrics_prediction(serve_metrics *m, double seconds) {
    int i = 0;
    while (i < METRICS_BUCKETS - 1 && seconds > seconds_up_to[i])
        i++;
    atomic_fetch_add(&m->predictions[i], 1);
    atomic_fetch_add(&m->prediction_microseconds, (unsigned long long)(1e6 * seconds));
}

void metrics_batch(serve_metrics *m, int faces) {
    int i = 0;
    while (i < METRICS_BATCH_BUCKETS - 1 && faces > faces_up_to[i])
        i++;
    atomic_fetch_add(&m->batches[i], 1);
    atomic_fetch_add(&m->batch_faces, (unsigned long long)faces);
}

static void head(mien_text *out, const char *name, const char *kind, const char *help) {
    mien_text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void one(mien_text *out, const char *name, const char *kind, const char *help,
                unsigned long long value) {
    head(out, name, kind, help);
    mien_text_printf(out, "%s %llu\n", name, value);
}

static void responses(serve_metrics *m, mien_text *out) {
    head(out, "mien_http_responses_total", "counter", "Responses by HTTP status.");
    for (int i = 1; i < METRICS_STATUSES; i++) {
        const unsigned long long n = atomic_load(&m->responses[i]);
        if (n) mien_text_printf(out, "mien_http_responses_total{code=\"%d\"} %llu\n", i, n);
    }
    one(out, "mien_http_aborted_total", "counter", "Requests whose client went away.",
        atomic_load(&m->responses[0]));
}

typedef struct histogram {
    const char *name, *help;
    const double *up_to;                /* [buckets - 1]; the last bucket has no limit */
    _Atomic unsigned long long *counts; /* [buckets] */
    int buckets;
    double sum;
} histogram;

static void put_histogram(const histogram *h, mien_text *out) {
    unsigned long long count = 0;
    head(out, h->name, "histogram", h->help);
    for (int i = 0; i < h->buckets - 1; i++) {
        count += atomic_load(&h->counts[i]);
        mien_text_printf(out, "%s_bucket{le=\"%g\"} %llu\n", h->name, h->up_to[i], count);
    }
    count += atomic_load(&h->counts[h->buckets - 1]);
    mien_text_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.15g\n%s_count %llu\n", h->name,
                     count, h->name, h->sum, h->name, count);
}

static void times(serve_metrics *m, mien_text *out) {
    put_histogram(&(histogram){"mien_predict_seconds", "Time from a whole request to its answer.",
                               seconds_up_to, m->predictions, METRICS_BUCKETS,
                               1e-6 * (double)atomic_load(&m->prediction_microseconds)},
                  out);
}

static void batches(serve_metrics *m, mien_text *out) {
    put_histogram(&(histogram){"mien_batch_faces", "Faces that went through the network at once.",
                               faces_up_to, m->batches, METRICS_BATCH_BUCKETS,
                               (double)atomic_load(&m->batch_faces)},
                  out);
}

void metrics_text(serve_metrics *m, const serve_gauges *g, mien_text *out) {
    head(out, "mien_build_info", "gauge", "The version that is running.");
    mien_text_printf(out, "mien_build_info{version=\"%s\",commit=\"%s\"} 1\n", g->version,
                     g->commit);
    one(out, "mien_ready", "gauge", "1 while requests are taken.", g->ready);
    responses(m, out);
    times(m, out);
    batches(m, out);
    one(out, "mien_faces_total", "counter", "Faces that were classified.", atomic_load(&m->faces));
    one(out, "mien_frames_dropped_total", "counter", "Webcam frames refused while others waited.",
        atomic_load(&m->frames_dropped));
    one(out, "mien_queue_length", "gauge", "Requests that wait or are worked on.",
        (unsigned long long)g->queue);
    one(out, "mien_queue_capacity", "gauge", "The most of them.",
        (unsigned long long)g->queue_capacity);
    one(out, "mien_http_connections", "gauge", "Open connections.",
        (unsigned long long)g->connections);
    one(out, "mien_decoder_restarts_total", "counter", "Decoder processes that had to be replaced.",
        atomic_load(&m->worker_restarts));
    one(out, "mien_log_lines_lost_total", "counter", "Lines of the access log not written.",
        atomic_load(&m->log_lines_lost));
}
