/* Photos: where the faces are and what they say. Faces are cut out of one photo after the other by
 * the models' crop rule and go through the networks in batches that may hold the faces of many.
 *
 *     mien_photos_add(photos, &image, "a.jpg", &index);   as often as there are photos
 *     mien_photos_run(photos);
 *     view = mien_photos_faces(photos, index);
 *     mien_photos_clear(photos);                          for the next ones */
#ifndef HOST_INFER_PHOTO_H
#define HOST_INFER_PHOTO_H

#include "host/infer/ensemble.h"
#include "host/vision/vision.h"

typedef struct mien_photo_face {
    mien_rect box; /* in the photo's pixels, inside it */
    bool detected; /* false: there is no detector, the box is the whole photo */
    double score;  /* the detector's, higher is surer; 0 without one */
} mien_photo_face;

/* The faces of one photo, from left to right. Borrowed: until the next call that adds, clears or
 * frees. */
typedef struct mien_photo_view {
    const mien_photo_face *faces; /* [count] */
    const float *probabilities;   /* [count][classes]; NULL before mien_photos_run */
    int count;                    /* 0: no face was found */
} mien_photo_view;

typedef struct mien_photo_options {
    int min_face; /* side of the smallest face in pixels; 0: mien_face_least of the photo */
} mien_photo_options;

typedef struct mien_photos mien_photos;

/* Can the models read photos at all? UNSUPPORTED: they read pictures with other than 1 or 3
 * channels. mien_photos_create asks as well; this is for who has no detector yet. */
mien_status mien_photos_supported(const mien_ensemble *ensemble);
/* `ensemble` and `detector` are borrowed and must outlive the photos; `detector` NULL: a photo is a
 * face. `options` NULL: all as their comments say of 0. UNSUPPORTED: as
 * mien_photos_supported. Belongs to one thread, as the detector does. */
mien_status mien_photos_create(mien_ensemble *ensemble, mien_detector *detector,
                               const mien_photo_options *options, mien_photos **out);
void mien_photos_free(mien_photos *photos);

/* Finds the faces of a photo and keeps what the networks will read of them: the photo itself may go
 * afterwards. `name` stands in messages. *index counts from 0 after a create or clear. After a
 * failure the photo does not belong to the others, which stay as they are. FORMAT: too small for a
 * face, without a detector; INVALID: fewer channels than the models read; else what the detector
 * fails with. */
mien_status mien_photos_add(mien_photos *photos, const mien_image *photo, const char *name,
                            int *index);
/* Scores the faces that were added since the last run. */
mien_status mien_photos_run(mien_photos *photos);
mien_photo_view mien_photos_faces(const mien_photos *photos, int index);
/* Faces of all photos that were added since the create or clear: how large a batch has become. */
int mien_photos_face_count(const mien_photos *photos);
/* Forgets the photos and keeps the memory for others. */
void mien_photos_clear(mien_photos *photos);

#endif
