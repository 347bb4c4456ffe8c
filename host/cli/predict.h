/* mien predict. cmd_predict.c parses the command line, predict_photos.c processes photos,
 * predict_boxes.c reads the boxes of --boxes, predict_data.c processes a data set, predict_output.c
 * writes the results. */
#ifndef HOST_CLI_PREDICT_H
#define HOST_CLI_PREDICT_H

#include <pthread.h>

#include "host/cli/detector_flags.h"
#include "host/cli/model_flags.h"
#include "host/infer/photo.h"

typedef struct predict_file {
    char *path;  /* owned */
    char *error; /* if it is already known to be unreadable: why; owned */
} predict_file;

/* The table of --boxes. */
typedef struct predict_box {
    const char *file;
    long long line;
    double x, y, width, height;
    size_t photo; /* the photo whose box this is; SIZE_MAX: none */
} predict_box;

typedef struct predict_boxes {
    char *text;         /* the file; names point into it */
    predict_box *items; /* sorted by photo, then by line */
    size_t count, capacity;
    size_t clipped; /* boxes that reached outside their photo */
} predict_boxes;

typedef struct predict_args {
    cli_common common;
    cli_list images, models;
    const char *boxes, *annotate, *csv, *data, *on_bad;
    const char *drop_classes;
    mien_model_options options;
    mien_on_bad bad_rows;
    detector_flags faces;
    predict_file *files; /* the photos, including those in folders */
    size_t file_count, file_capacity;
    size_t failed; /* photos not read and copies not written; the others were processed */
} predict_args;

typedef struct predict_photo {
    const char *file;
    int width, height;
    int index;   /* among the photos of the batch */
    int count;   /* number of faces */
    char *error; /* why it could not be read; owned */
} predict_photo;

/* The outputs and what they need. */
typedef struct predict_output {
    const predict_args *args;
    const mien_meta *meta;
    /* the network's own outputs for the next photo or row, where the scores are not those; or NULL
     */
    const float *values;
    mien_text csv;
    char **names; /* of annotated copies, which must be unique */
    size_t name_count, name_capacity;
    bool started;     /* predict_output_start was called */
    size_t errors;    /* photos that could not be read */
    size_t unwritten; /* annotated copies that could not be written */
    size_t faceless;  /* photos without a face */
} predict_output;

/* A detector that is being opened: a thread reads the cascade while the model is loaded. */
typedef struct predict_detector {
    mien_detector_choice choice;
    bool begun;
    pthread_t thread;
    mien_detector *detector;
    mien_status status;
    char message[MIEN_MESSAGE];
} predict_detector;

/* predict_photos.c */
/* Lists the photos. A folder without photos becomes an entry with an error, so that the others are
 * still processed. */
mien_status predict_collect(predict_args *args);
void predict_forget(predict_args *args);
/* Starts opening the requested detector, in a separate thread if one can be created. */
void predict_detector_begin(predict_detector *opening, const predict_args *args);
/* Waits for the thread if necessary. */
void predict_detector_close(predict_detector *opening);
mien_status predict_photos(const predict_args *args, mien_ensemble *models,
                           predict_detector *opening, predict_boxes *boxes, predict_output *out);
/* predict_boxes.c */
/* Reads the table and finds the photo of each box. A box for no photo is counted in a warning. */
mien_status predict_boxes_read(const predict_args *args, predict_boxes *out);
void predict_boxes_release(predict_boxes *boxes);
/* The boxes of a photo of width x height pixels, clipped to it, in *rects, which the caller frees.
 * FORMAT if one is outside. */
mien_status predict_boxes_of(predict_boxes *boxes, const char *table, size_t photo, int width,
                             int height, mien_rect **rects, int *count);
/* predict_data.c */
mien_status predict_data(const predict_args *args, mien_ensemble *models, predict_output *out);

/* predict_output.c; `scores` are [count][classes]. */
/* Call before the first result. `row_files`: the rows of --data are files. */
void predict_output_start(predict_output *out, bool row_files);
mien_status predict_output_photo(predict_output *out, const predict_photo *photo,
                                 const mien_photo_face *faces, const float *scores);
/* `file`: the file of the row, or NULL. */
mien_status predict_output_row(predict_output *out, size_t row, const char *file,
                               const float *scores);
/* Writes --csv with the results so far, even if the work failed with `status`. Returns the first
 * failure. */
mien_status predict_output_finish(predict_output *out, mien_status status);
void predict_output_release(predict_output *out);

#endif
