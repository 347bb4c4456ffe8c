/* What is answered to which request. */
#ifndef HOST_SERVE_ROUTES_H
#define HOST_SERVE_ROUTES_H

#include "host/serve/serve.h"

typedef struct serve_routes {
    const serve_options *options;
    const serve_http_module *module;
    void *http; /* NULL before it has started */
    batch *batch;
    serve_metrics *metrics;
    access_log *log;
    _Atomic bool draining;
} serve_routes;

/* The functions for the HTTP library; the context is a serve_routes. */
serve_handler routes_handler(serve_routes *routes);
/* For batch_options.finished; the context is a serve_routes. */
void routes_finished(void *context, batch_job *job);
/* Header fields that each response has. */
extern const serve_field routes_fields[];

#endif
