/* Who showed what when: one lane per person, one colour per class, as SVG or as a picture. */
#ifndef HOST_REPORT_TIMELINE_H
#define HOST_REPORT_TIMELINE_H

#include "host/base/text.h"
#include "host/image/image.h"

typedef struct mien_lane {
    char name[32];     /* "person 3" */
    const float *bins; /* [bin_count][classes] seconds of each class */
} mien_lane;

typedef struct mien_timeline {
    const char *title;
    const char (*class_names)[64]; /* [classes] */
    int classes;
    double bin_seconds; /* the time that a bin covers */
    int bin_count;
    double seconds; /* of the whole video */
    const mien_lane *lanes;
    int lane_count;
} mien_timeline;

/* Appends a complete SVG file. */
mien_status mien_timeline_svg(const mien_timeline *timeline, mien_text *out);
/* The same as pixels; release the picture with mien_image_release. */
mien_status mien_timeline_picture(const mien_timeline *timeline, mien_image *out);

#endif
