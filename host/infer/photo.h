/* Detects the faces in photos and classifies them. Faces are cropped by the models' crop rule and
 * go through the networks in batches that may span several photos.
 *
 *     mien_photos_add(photos, &(mien_photo){&image, "a.jpg"}, &index);   once per photo
 *     mien_photos_run(photos);
 *     view = mien_photos_faces(photos, index);
 *     mien_photos_clear(photos);                                         for the next ones */
#ifndef HOST_INFER_PHOTO_H
#define HOST_INFER_PHOTO_H

#include "host/infer/ensemble.h"
#include "host/vision/vision.h"

typedef struct mien_photo_face {
    mien_rect box; /* in the pixels of the photo's file, inside it */
    bool whole;    /* the box is the whole photo: there is no detector and no given box */
    bool detected; /* there is a score */
    double score;  /* the detector's confidence; 0 if it was not detected */
} mien_photo_face;

typedef struct mien_photo {
    const mien_image *image;
    const char *name; /* for messages */
    /* Of the picture in the file, from which the image may have been scaled down; 0: the image's */
    int width, height;
    const mien_rect *boxes; /* [box_count] with options.given: the faces, in the file's pixels */
    int box_count;
} mien_photo;

/* The faces of one photo, from left to right, or in the order in which they were given. Valid until
 * the next call that adds, clears or frees.
 */
typedef struct mien_photo_view {
    const mien_photo_face *faces; /* [count] */
    const float *probabilities;   /* [count][classes]; NULL before mien_photos_run */
    const float *values;          /* the outputs before an added softmax, or NULL */
    int count;                    /* 0: no face found */
} mien_photo_view;

typedef struct mien_photo_options {
    int min_face; /* side of the smallest face in pixels; 0: mien_face_least of the photo */
    const double *min_score; /* the lowest score of a face; NULL: the detector's own threshold */
    bool given;              /* the faces are given with each photo */
} mien_photo_options;

typedef struct mien_photos mien_photos;

/* UNSUPPORTED unless the models read images of 1 or 3 channels. mien_photos_create checks this as
 * well; call it to fail before creating a detector. */
mien_status mien_photos_supported(const mien_ensemble *ensemble);
/* `ensemble` and `detector` are borrowed and must outlive the photos. `detector` NULL: the whole
 * photo is one face. `options` NULL: all options 0. UNSUPPORTED as for mien_photos_supported. Use
 * it, like the detector, from one thread at a time. */
mien_status mien_photos_create(mien_ensemble *ensemble, mien_detector *detector,
                               const mien_photo_options *options, mien_photos **out);
void mien_photos_free(mien_photos *photos);

/* Detects the faces of a photo and stores their crops; the image may be released afterwards. *index
 * counts from 0 after create or clear. A photo that fails is not added;
 * the others are unaffected. FORMAT: without a detector, the photo is too small for a face;
 * INVALID: it has fewer channels than the models read, or a given box is not inside it; otherwise
 * the detector's error. */
mien_status mien_photos_add(mien_photos *photos, const mien_photo *photo, int *index);
/* Classifies the faces added since the last run. */
mien_status mien_photos_run(mien_photos *photos);
mien_photo_view mien_photos_faces(const mien_photos *photos, int index);
/* The crops of a photo's faces, [count] of the models' input, for callers that classify faces of
 * several mien_photos together. Valid like the view. */
const uint8_t *mien_photos_crops(const mien_photos *photos, int index);
/* Number of faces in all photos added since create or clear. */
int mien_photos_face_count(const mien_photos *photos);
/* Removes all photos but keeps the memory for new ones. */
void mien_photos_clear(mien_photos *photos);

#endif
