/* What is known of the photos that mien_prepare_run has done, and its file, .progress.
 *
 * A line of .progress is a photo with its crops; a line "." commits those before it. The photos of
 * a batch are written before their crops and committed after them: crops that a killed run left
 * behind are therefore always named in the file. */
#ifndef HOST_INFER_PREPARE_RECORDS_H
#define HOST_INFER_PREPARE_RECORDS_H

#include "host/base/text.h"
#include "host/infer/prepare.h"

typedef struct prepare_crop {
    char *file;    /* relative to the output folder */
    mien_rect box; /* of the face, in the pixels of the photo's file */
    bool detected; /* there is a score */
    double score;
    double time;   /* of the frame of a video, in seconds */
    mien_text png; /* until it is written */
} prepare_crop;

typedef struct prepare_photo {
    char *source;            /* relative to the source folder */
    long long size, time_ns; /* of the file */
    char sha256[65];         /* "" if the file could not be read */
    bool video;
    int width, height; /* 0 if it could not be decoded */
    mien_reject reject;
    char *message; /* why; NULL: nothing more to say */
    prepare_crop *crops;
    int count;
    size_t capacity;
} prepare_photo;

void prepare_photo_release(prepare_photo *photo);

typedef struct prepare_records {
    prepare_photo *items; /* [count] in the order of the file */
    size_t count, capacity;
    size_t committed; /* the first of them */
    size_t bytes;     /* of the file up to the last commit */
} prepare_records;

/* Reads the file; one that is missing is empty, and everything after a damaged line is ignored.
 * Release it even after a failure. */
mien_status prepare_records_read(const char *path, prepare_records *out);
void prepare_records_release(prepare_records *records);
/* Appends the line of a photo. */
void prepare_records_line(mien_text *text, const prepare_photo *photo);
#define PREPARE_COMMIT ".\n"

/* The tables manifest.csv and rejected.csv of photos [count], of which `done` says which are done;
 * they are samples of `set`. */
mien_status prepare_write_tables(const char *folder, const mien_dataset *set,
                                 const prepare_photo *photos, const bool *done);
mien_status prepare_count(const mien_dataset *set, const prepare_photo *photos, const bool *done,
                          mien_prepare_result *result);

#endif
