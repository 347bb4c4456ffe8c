/* Faces over time: stable ids, boxes between detections, and steady labels.
 *
 * The tracker connects the faces that a detector found on some frames (key frames) by motion,
 * overlap and appearance, and gives each person an id that is never used again. Followers find a
 * face's box on the frames between. A smoother keeps a person's label from flickering. Nothing
 * here knows videos, files or networks; nothing depends on the speed of the machine. */
#ifndef HOST_TRACK_TRACK_H
#define HOST_TRACK_TRACK_H

#include "host/image/draw.h"

/* ---- appearance: what a face looks like, as a short vector ---- */

enum { MIEN_LOOK = 128, MIEN_LOOK_PARTS = 3, MIEN_LOOK_CELLS = 16 };
typedef struct mien_look {
    float v[MIEN_LOOK];                                  /* each part of mean 0 and length 1 */
    float sum[MIEN_LOOK_CELLS], square[MIEN_LOOK_CELLS]; /* of the numbers of each cell */
    unsigned seen; /* the cells that nothing covers, one bit each */
} mien_look;
/* Of the face in `box` of a gray picture (the box may reach outside). What lies in one of `fronts`
 * belongs to somebody nearer to the camera and does not count. */
void mien_look_of(const mien_image *gray, mien_rect box, const mien_rect *fronts, int count,
                  mien_look *out);
/* How alike the parts (face, clothes, tones) are where both looks show them, from -1 to 1, and how
 * much of each both show, from 0 to 1. */
void mien_look_compare(const mien_look *a, const mien_look *b, float *alike, float *share);
/* How much each part says about who it is; they sum to 1. */
extern const float mien_look_shares[MIEN_LOOK_PARTS];
/* The weighted mean over the parts, from -1 to 1: 1 for the same look and about 0.6 for two people,
 * whose faces and tones have much in common; 0 if there is nothing to compare. */
double mien_look_similarity(const mien_look *a, const mien_look *b);

/* ---- identities ---- */

typedef struct mien_track {
    long long id;  /* from 1, never used again */
    mien_rect box; /* on this key frame, as detected */
    double score;  /* of the detector */
    int face;      /* the index in the faces of this key frame */
    bool first;    /* a new id */
} mien_track;

typedef struct mien_tracker mien_tracker;
typedef struct mien_tracker_options {
    double memory; /* seconds that a person who is gone is remembered; 0: 10 */
} mien_tracker_options;

mien_status mien_tracker_create(const mien_tracker_options *options, mien_tracker **out);
void mien_tracker_free(mien_tracker *tracker);
/* The faces of a key frame at `time` seconds. Each face gets a track (out[count], in the order of
 * `faces`); a person without a face is coasted. `cut`: the scene changed since the last key frame
 * (positions say nothing). Faces are boxes inside `gray`. */
mien_status mien_tracker_step(mien_tracker *tracker, const mien_image *gray, double time, bool cut,
                              const mien_rect *faces, const double *scores, int count,
                              mien_track *out);

/* ---- scene cuts ---- */

typedef struct mien_scene {
    uint8_t thumb[32 * 24]; /* the frame, scaled down */
    bool set;
} mien_scene;
/* Whether a frame belongs to another scene than the frame of the last call. */
bool mien_scene_cut(mien_scene *scene, const mien_image *gray);

/* ---- between key frames ---- */

typedef struct mien_follower mien_follower;
/* A face as it was seen in `box` of `gray`, to be found again on frames nearby. */
mien_status mien_follower_create(mien_follower **out);
void mien_follower_free(mien_follower *follower);
void mien_follower_set(mien_follower *follower, const mien_image *gray, mien_rect box);
/* Searches `gray` near `guess` (such as a linear interpolation between two key frames) and writes
 * where the face is. Returns the similarity, -1..1; below MIEN_FOLLOW_LEAST it is not there. */
double mien_follower_find(mien_follower *follower, const mien_image *gray, mien_rect guess,
                          mien_rect *box);
#define MIEN_FOLLOW_LEAST 0.6

/* ---- steady labels ---- */

typedef struct mien_smoother_options {
    double seconds; /* time constant of the exponential mean; 0: 0.5 */
    double lead;    /* the label changes when another one leads by this much; 0: 0.1 */
} mien_smoother_options;
typedef struct mien_smoother mien_smoother;
mien_status mien_smoother_create(int classes, const mien_smoother_options *options,
                                 mien_smoother **out);
void mien_smoother_free(mien_smoother *smoother);
/* Takes a person's raw scores [classes] at `time` and writes the smoothed ones [classes], which sum
 * to 1, and the label. Independent of the frame rate. Persons not seen for `seconds` * 20 are
 * forgotten, so that memory stays constant. */
mien_status mien_smoother_add(mien_smoother *smoother, long long id, double time,
                              const float *scores, float *smoothed, int *label);

#endif
