/* What a video showed of each person: how long, and which share of it each class. Memory is
 * constant: the persons seen longest are kept, the others are counted. */
#ifndef HOST_CLI_VIDEO_SUMMARY_H
#define HOST_CLI_VIDEO_SUMMARY_H

#include "host/base/json.h"
#include "host/infer/video_faces.h"

enum { VIDEO_PERSONS = 64, VIDEO_BINS = 600 };

typedef struct video_person {
    long long id;
    double first, last; /* seconds, of the frames that show it */
    long long frames;
    double *seconds; /* [classes] */
    float *bins;     /* [VIDEO_BINS][classes] seconds */
    int pending;     /* its label on the frame before, whose duration is not known yet; -1: none */
} video_person;

typedef struct video_summary {
    const mien_meta *meta;
    bool raw; /* no smoothing */
    video_person *persons[VIDEO_PERSONS];
    int person_count;
    long long frames, faceless, repaired, others;
    double others_seconds;
    double time;     /* of the last frame */
    double duration; /* of the last frame: until the next one */
    double bin_seconds;
} video_summary;

void video_summary_start(video_summary *s, const mien_meta *meta, bool raw);
mien_status video_summary_add(video_summary *s, const mien_video_result *result);
/* Call once after the last frame, which lasts as long as the one before. */
void video_summary_end(video_summary *s);
void video_summary_text(const video_summary *s, const char *source, mien_text *out);
/* Members of an open object. */
void video_summary_json(const video_summary *s, mien_json *json);
/* Writes the timeline: PNG if `path` ends with .png, else SVG. */
mien_status video_summary_timeline(const video_summary *s, const char *source, const char *path);
void video_summary_release(video_summary *s);

#endif
