/* mien predict: photos in, faces and emotions out. cmd_predict.c reads the command line,
 * predict_photos.c walks the photos, predict_data.c scores a data set, predict_output.c says it. */
#ifndef HOST_CLI_PREDICT_H
#define HOST_CLI_PREDICT_H

#include <pthread.h>

#include "host/cli/cli.h"
#include "host/infer/photo.h"

typedef struct predict_file {
    char *path;
    char *error; /* why there is nothing to read, if that is known already; both owned */
} predict_file;

typedef struct predict_args {
    cli_common common;
    cli_list images, models;
    const char *detector, *min_face_text, *annotate, *csv, *data, *on_bad;
    mien_on_bad bad_rows;
    bool whole;          /* --detector none: a picture is a face */
    const char *xml;     /* the cascade, NULL: the frontal one */
    int min_face;        /* 0: by the photo's size */
    predict_file *files; /* those named and those of folders named */
    size_t file_count, file_capacity;
    size_t failed; /* photos not read and copies not written: said, but the others went on */
} predict_args;

typedef struct predict_photo {
    const char *file;
    int width, height;
    int index;        /* among the photos of the batch */
    int count;        /* its faces */
    char *error;      /* why it could not be read; owned */
    mien_image image; /* kept for --annotate alone */
} predict_photo;

/* What results are written to. */
typedef struct predict_output {
    const predict_args *args;
    const mien_meta *meta;
    mien_text csv;
    char **names; /* of annotated copies, so that no two photos share one */
    size_t name_count, name_capacity;
    bool started;     /* there is something to write */
    size_t errors;    /* photos that could not be read */
    size_t unwritten; /* annotated copies */
} predict_output;

/* A detector on its way: its thread reads the cascade while the model is loaded. */
typedef struct predict_detector {
    const char *xml;
    int threads;
    bool begun;
    pthread_t thread;
    mien_detector *detector;
    mien_status status;
    char message[MIEN_MESSAGE];
} predict_detector;

/* predict_photos.c: which photos there are. A folder without any counts as one that cannot be read,
 * so that the others go on. */
mien_status predict_collect(predict_args *args);
void predict_forget(predict_args *args);
/* Begins to open the detector that the arguments ask for, in a thread where there is one more. */
void predict_detector_begin(predict_detector *opening, const predict_args *args);
/* Also of one that nobody waited for. */
void predict_detector_close(predict_detector *opening);
mien_status predict_photos(const predict_args *args, mien_ensemble *models,
                           predict_detector *opening, predict_output *out);
/* predict_data.c */
mien_status predict_data(const predict_args *args, mien_ensemble *models, predict_output *out);

/* predict_output.c: one photo's or row's results; `scores` are [count][classes]. */
/* `row_files`: the rows of --data are files. */
void predict_output_start(predict_output *out, bool row_files);
mien_status predict_output_photo(predict_output *out, predict_photo *photo,
                                 const mien_photo_face *faces, const float *scores);
/* `file` is the row's, or NULL. */
void predict_output_row(predict_output *out, size_t row, const char *file, const float *scores);
/* Writes --csv, also after the work ended early with `status`: all that was said until then.
 * Returns the first failure. */
mien_status predict_output_finish(predict_output *out, mien_status status);
void predict_output_release(predict_output *out);

#endif
