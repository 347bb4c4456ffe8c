/* The server of `mien serve`: a page and an API for faces in pictures.
 *
 * serve.c runs it · listen.c the socket · routes.c what is answered to which request · limits.c
 * what a request must keep to · multipart.c, picture_head.c what is in a body · batch.c the queue
 * and the threads · worker.c decoding in processes that may die · metrics.c, access_log.c · page.c
 * the files of the page · http/ the module with the HTTP library. */
#ifndef HOST_SERVE_SERVE_H
#define HOST_SERVE_SERVE_H

#include "host/serve/access_log.h"
#include "host/serve/batch.h"

typedef struct serve_options {
    const char *host, *port; /* an address or name, a number */
    serve_limits limits;
    int queue; /* the most requests for predictions at a time */
    int threads;
    const char *certificate, *key; /* PEM; NULL: no TLS */
    const char *token;             /* NULL: everybody may ask */
    mien_ensemble *models;         /* [model_count], as in batch_options */
    int model_count;
    const char *const *model_names; /* [models->count] */
    const mien_detector_choice *detector;
    mien_photo_options photos;
    const char *version, *commit;
    access_log_sink log; /* NULL: no access log */
    volatile int *stop;  /* becomes 1 to end the server */
    /* Appends the JSON of a picture; several threads call it. */
    void (*photo_json)(const mien_meta *meta, const batch_job *job, mien_text *out);
    /* Requests are taken now, at this address. */
    void (*started)(const char *url);
} serve_options;

/* UNSUPPORTED (no mien-serve.so or mien-decode), IO (the port), INVALID (the certificate). Returns
 * OK after `stop`, when the requests that had begun are answered. */
mien_status serve_run(const serve_options *options);

/* listen.c: a listening socket, and the port that it has got. */
mien_status serve_listen(const char *host, const char *port, int *fd, int *port_number);
/* Whether `host` only listens on the loopback interface. */
bool serve_is_local(const char *host);

#endif
