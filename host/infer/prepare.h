/* Prepares training data from photos and videos: finds the faces of those in class folders and
 * writes them as crops, in the same folders of another one; those of a video into a folder of its
 * own, which makes its frames one group.
 *
 * The output folder has the crops (PNG), manifest.csv, rejected.csv, prepare.json with the options,
 * and .progress, from which a run that was stopped continues. A finished folder is the same, byte
 * for byte, whether or not it was stopped on the way and however many threads worked. */
#ifndef HOST_INFER_PREPARE_H
#define HOST_INFER_PREPARE_H

#include "host/data/dataset.h"
#include "host/image/crop.h"
#include "host/vision/vision.h"

typedef enum mien_prepare_faces {
    MIEN_FACES_LARGEST, /* of several faces, the largest */
    MIEN_FACES_ONE,     /* a photo with several is rejected */
    MIEN_FACES_ALL,
    MIEN_FACES_CHOICES
} mien_prepare_faces;
extern const char *const mien_prepare_faces_names[MIEN_FACES_CHOICES];

/* What became of a photo. */
typedef enum mien_reject {
    MIEN_REJECT_NONE,
    MIEN_REJECT_NO_FACE,
    MIEN_REJECT_SEVERAL,
    MIEN_REJECT_SMALL,
    MIEN_REJECT_UNREADABLE,
    MIEN_REJECTS
} mien_reject;
/* "no face", "several faces", … */
extern const char *const mien_reject_names[MIEN_REJECTS];

/* The longest side of a crop that keeps the photo's resolution. */
enum { MIEN_PREPARE_SIDE_MAX = 2048 };

typedef struct mien_prepare {
    const char *source, *out;
    mien_crop crop;
    int channels;      /* 1 or 3 */
    int height, width; /* of every crop; 0: the photo's resolution, up to side_max */
    int side_max;
    const mien_detector_choice *detector; /* NULL: every photo is one crop */
    const char *detector_text;            /* how the user named it */
    int min_face;                         /* 0: mien_face_least */
    const double *min_score;              /* NULL: the detector's */
    mien_prepare_faces faces;
    double every; /* seconds from one frame of a video that is searched to the next */
    mien_on_bad bad_folders, bad_photos; /* folders and photos that cannot be read */
    bool force;                          /* begin anew in a folder of other options */
    const volatile int *stop;            /* set by a signal; may be NULL */
    void (*progress)(void *context, size_t done, size_t of); /* may be NULL */
    void *context;
} mien_prepare;

typedef struct mien_prepare_count {
    char name[MIEN_CLASS_NAME];
    size_t photos, videos, faces;
    size_t rejected[MIEN_REJECTS]; /* of the photos and videos */
} mien_prepare_count;

typedef struct mien_prepare_result {
    mien_prepare_count *classes; /* [class_count] */
    int class_count;
    mien_prepare_count total;
    size_t earlier; /* photos that an earlier run had done */
} mien_prepare_result;

/* Does the photos that are not done yet. INTERRUPTED: `stop` was set; INVALID: the output folder
 * has other options, another process works in it, it is not one of these, or is in the source;
 * NOT_FOUND, FORMAT, UNSUPPORTED: from mien_dataset_list; IO: nothing can be written. After a
 * failure the tables list what was done, and the next call continues. Release the result even after
 * a failure. */
mien_status mien_prepare_run(const mien_prepare *options, mien_prepare_result *result);
void mien_prepare_release(mien_prepare_result *result);

#endif
