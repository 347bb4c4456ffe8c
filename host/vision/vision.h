/* Faces in photos: where they are, and how results are drawn on them.
 *
 * The detector is OpenCV's Haar cascade (haar.cc), or nothing in a build without OpenCV
 * (haar_absent.c): callers ask for a detector and get one or a sentence. */
#ifndef HOST_VISION_VISION_H
#define HOST_VISION_VISION_H

#include "host/base/status.h"
#include "host/image/draw.h"

typedef struct mien_face {
    mien_rect box; /* in the photo's pixels, inside it */
    double score;  /* of the cascade's last stage, summed: higher is surer */
} mien_face;

typedef struct mien_faces {
    mien_face *items; /* from left to right; owned: mien_faces_release */
    int count;
} mien_faces;

typedef struct mien_detector mien_detector;

/* Opens a Haar cascade in OpenCV's XML of today (not the one before version 2): `file`, or NULL for
 * the frontal face of beside the program (PREFIX/share/mien/haarcascades) or Debian's opencv-data.
 * It detects with `threads` threads, 0: all. NOT_FOUND, IO, FORMAT (no cascade, or one that points
 * outside itself), UNSUPPORTED (a build without OpenCV). A detector belongs to one thread. */
mien_status mien_detector_open(const char *file, int threads, mien_detector **out);
void mien_detector_close(mien_detector *detector);
/* Faces of at least `min_face` pixels; 0: mien_face_least of the photo. Gray or RGB. Release the
 * faces also after a failure. */
mien_status mien_detector_run(mien_detector *detector, const mien_image *photo, int min_face,
                              mien_faces *out);
void mien_faces_release(mien_faces *faces);
/* The order of faces, for qsort: from left to right, and 0 only where two are the same. */
int mien_face_order(const void *a, const void *b);
/* max(24 px, 3.5 % of the short side): what is smaller in a photo is mostly no face. */
int mien_face_least(int width, int height);

/* overlay.c: what stands at one box. */
typedef struct mien_overlay {
    mien_rect box;
    char label[96]; /* "happy 97 %" */
    bool uncertain; /* drawn in gray */
} mien_overlay;

/* Draws boxes and labels into a photo. Text grows with the photo and with the face, lies on a
 * filled background, inside the picture and beside other labels as far as there is room. */
mien_status mien_overlay_draw(mien_image *photo, const mien_overlay *overlays, int count);

#endif
