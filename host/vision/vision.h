/* Faces in photos: where they are, and how results are drawn on them.
 *
 * The detectors need OpenCV and are in a module of their own (host/vision/opencv); in a build
 * without it opening one fails. */
#ifndef HOST_VISION_VISION_H
#define HOST_VISION_VISION_H

#include "host/base/status.h"
#include "host/image/draw.h"

typedef struct mien_point {
    double x, y; /* in pixels */
} mien_point;

typedef struct mien_face {
    mien_rect box; /* in the photo's pixels, inside it */
    double score;  /* in the detector's own scale: higher means more certain */
    bool has_points;
    mien_point
        points[5]; /* the eye on the left of the photo, on the right, nose, mouth's corners */
} mien_face;

typedef struct mien_faces {
    mien_face *items; /* from left to right; owned: mien_faces_release */
    int count;
} mien_faces;

/* A kind of detector: one file and one row of the table in detect.c. A kind without functions is in
 * the module mien-vision.so, which is loaded when one is opened. A test may bring its own. */
typedef struct mien_detector_kind {
    const char *name;  /* "haar" */
    const char *forms; /* what --detector may say, for messages: "haar, haar:FILE.xml" */
    bool needs_file;   /* there is no installed one */
    bool gray;         /* it is given gray photos */
    /* `file` NULL: the one installed with the program, if the kind has one. */
    mien_status (*open)(const char *file, int threads, void **state);
    mien_status (*run)(void *state, const mien_image *photo, int min_face, double min_score,
                       mien_faces *out);
    void (*close)(void *state);
    double min_score; /* the default threshold */
} mien_detector_kind;

/* What --detector says. */
typedef struct mien_detector_choice {
    const mien_detector_kind *kind;
    const char *file; /* NULL: the installed one */
    int threads;      /* 0: all */
} mien_detector_choice;

/* All kinds; the one after the last has no name. */
extern const mien_detector_kind mien_detector_kinds[];
/* Reads "haar", "haar:FILE" or "yunet:FILE"; the file is a part of `text`, which must outlive the
 * choice. INVALID, naming the known kinds. */
mien_status mien_detector_choose(const char *text, mien_detector_choice *out);

typedef struct mien_detector mien_detector;

/* haar: a Haar cascade in OpenCV's current XML format (not the one before version 2); without a
 * file, the frontal faces installed with the program (PREFIX/share/mien/haarcascades) or from
 * Debian's opencv-data. NOT_FOUND, IO, FORMAT (not a cascade, or one with an index out of range),
 * UNSUPPORTED (a build without OpenCV). yunet: the network of opencv_zoo. A detector is for one
 * thread. */
mien_status mien_detector_open(const mien_detector_choice *choice, mien_detector **out);
void mien_detector_close(mien_detector *detector);
/* Which faces count. */
typedef struct mien_detect {
    int min_face;            /* side of the smallest in pixels; 0: mien_face_least of the photo */
    const double *min_score; /* the lowest score; NULL: the kind's */
} mien_detect;
/* Finds the faces of a photo, which is gray or RGB. `rule` NULL: all members 0. Release the faces
 * even after a failure. */
mien_status mien_detector_run(mien_detector *detector, const mien_image *photo,
                              const mien_detect *rule, mien_faces *out);
void mien_faces_release(mien_faces *faces);
/* Orders faces for qsort: from left to right, and 0 only for equal faces. */
int mien_face_order(const void *a, const void *b);
/* How far the line between the eyes is turned from level, in radians, clockwise; 0 without points,
 * below 2 and above 60 degrees. */
double mien_face_turn(const mien_face *face);
/* max(24 px, 3.5 % of the short side): most smaller detections are not faces. */
int mien_face_least(int width, int height);

/* A box, its label and bars of its scores, drawn by overlay.c. */
typedef struct mien_overlay {
    mien_rect box;
    char label[96];           /* "happy 97 %" */
    bool uncertain;           /* drawn in gray */
    const float *scores;      /* [classes], 0 to 1; NULL: no bars */
    const char *const *names; /* [classes] */
    int classes;
} mien_overlay;

/* Draws boxes, labels and bars into a photo or a video's frame. Text grows with the photo and with
 * the face and has a filled background; labels are kept inside the picture and clear of each other
 * as far as possible. Bars, of all classes or of the three greatest scores, are beside or below the
 * box; a face that is too small for them, or has no space around it, has only its label. Everything
 * keeps to its first choice of side unless something is there, so that it is steady from frame to
 * frame. */
mien_status mien_overlay_draw(mien_image *photo, const mien_overlay *overlays, int count);

#endif
