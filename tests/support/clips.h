/* Made clips of people who move, for tests of tracking: everything is a function of the seed.
 *
 * The faces are those of the sample data set: one layout, and people who differ in tones and
 * features as strongly as its people do. In a clip they change their expression, walk past each
 * other, are hidden for two seconds, and meet again in other scenes in another pose, at another
 * size and in other light. */
#ifndef TESTS_SUPPORT_CLIPS_H
#define TESTS_SUPPORT_CLIPS_H

#include "host/image/draw.h"

enum { CLIP_WIDTH = 640, CLIP_HEIGHT = 360, CLIP_PEOPLE = 8, CLIP_SCENES = 3, CLIP_RATE = 25 };
enum { CLIP_FRAMES = 16 * CLIP_RATE, CLIP_CROSSINGS = 10 };

typedef struct clip_options {
    double difference; /* of people: 1 that of the sample data set, 0 none */
    bool alike;        /* people may wear nearly the same; otherwise tones and stripes differ */
    double missed;     /* share of the visible faces that are not detected */
    double jitter;     /* most that a detected box is off, in centre and in size, in sizes */
} clip_options;

typedef struct clip clip;
typedef struct clip_face {
    int who;       /* 0 .. CLIP_PEOPLE - 1 */
    mien_rect box; /* the true one; it may reach outside */
    bool seen;     /* not hidden, not behind another face, not outside */
} clip_face;

clip *clip_new(uint32_t seed, const clip_options *options);
void clip_free(clip *made);
/* Draws frame 0 .. CLIP_FRAMES - 1 into `gray` and returns its number of people (whether seen or
 * not); people nearer to the camera come later. */
int clip_frame(clip *made, int frame, mien_image *gray, clip_face faces[CLIP_PEOPLE]);
/* Whether a frame is the first one of a scene other than the first. */
bool clip_cut(int frame);
/* What a detector finds of these faces: boxes inside the frame, and whose they are. */
int clip_detect(const clip *made, int frame, const clip_face *faces, int count, mien_rect *boxes,
                int *who);
/* How often two visible people passed each other: at least CLIP_CROSSINGS times. */
int clip_crossings(const clip *made);

#endif
