/* The access log: one line for each request, without pictures. A thread writes it, because standard
 * error may be a full disk or a pipe that nobody reads, for which no request should wait: lines
 * that do not fit are lost and counted. */
#ifndef HOST_SERVE_ACCESS_LOG_H
#define HOST_SERVE_ACCESS_LOG_H

#include "host/serve/http.h"
#include "host/serve/metrics.h"

typedef struct access_log access_log;
/* Writes lines somewhere; false if it failed. */
typedef bool (*access_log_sink)(const char *lines, size_t size);

/* `sink` NULL: no log; *out is NULL. */
mien_status access_log_open(access_log_sink sink, serve_metrics *metrics, access_log **out);
void access_log_add(access_log *log, const serve_request *request, int status, size_t bytes,
                    double seconds);
/* Writes what is left, for a second at most. */
void access_log_close(access_log *log);

#endif
