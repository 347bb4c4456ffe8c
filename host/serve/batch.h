/* The pictures that are being worked on: a bounded queue, threads that decode pictures and find
 * their faces, and one loop that classifies the faces of all requests together.
 *
 *     batch_add  →  threads: worker.c decodes, the detector finds, faces are cropped
 *                →  batch_run, the caller's loop: up to BATCH_FACES faces at once → finished() */
#ifndef HOST_SERVE_BATCH_H
#define HOST_SERVE_BATCH_H

#include "host/infer/photo.h"
#include "host/serve/limits.h"
#include "host/serve/metrics.h"

enum { BATCH_FACES = 32, BATCH_NAME = 128 };

typedef struct batch_job {
    void *exchange;         /* of the HTTP library */
    uint8_t *body;          /* owned */
    const uint8_t *picture; /* in the body */
    size_t size;
    char name[BATCH_NAME]; /* of its file, or "image" */
    double start;
    /* The result: */
    serve_problem problem; /* status 0: none */
    int width, height;     /* upright, of the picture in the file */
    mien_photo_face *faces;
    float *scores; /* [count][classes] */
    int count;
    /* Of batch.c: */
    uint8_t *crops;
    struct batch_job *next;
} batch_job;

typedef struct batch_options {
    mien_ensemble *models; /* [model_count]: the same models, each for a thread of its own */
    int model_count;       /* above 1 only if each uses one thread */
    const mien_detector_choice *detector; /* NULL: each picture is one face */
    mien_photo_options photos;
    int capacity; /* the most jobs at a time */
    int threads;  /* that decode and detect; 0: one for each CPU */
    serve_metrics *metrics;
    /* Called once for each job, by any thread, with its result; the job is freed afterwards. */
    void (*finished)(void *context, batch_job *job);
    void *context;
} batch_options;

typedef struct batch batch;

mien_status batch_open(const batch_options *options, batch **out);
/* Takes over the job and its body. False, and the job is not taken, if the queue is full, or, for a
 * frame of a webcam (`live`), if others are waiting. */
bool batch_add(batch *b, batch_job *job, bool live);
/* Classifies what is ready by the first models; waits for `milliseconds` at most if there is
 * nothing. Call it from one thread, the one that opened them. */
void batch_run(batch *b, int milliseconds);
/* Jobs that wait or are worked on. */
int batch_length(batch *b);
/* Finishes all waiting jobs with a problem and lets no new one in. */
void batch_cancel(batch *b);
/* Jobs must be finished or cancelled. NULL is allowed. */
void batch_close(batch *b);
void batch_job_free(batch_job *job);

#endif
