/* The outputs of mien video and mien realtime: a line per frame, a table, an annotated copy, and a
 * summary. Each frame is written as soon as its faces are known, so that whatever
 * ends the run, nothing that was written is lost. */
#ifndef HOST_CLI_VIDEO_OUTPUT_H
#define HOST_CLI_VIDEO_OUTPUT_H

#include "host/cli/video_summary.h"
#include "host/video/video.h"

typedef struct video_output_options {
    const char *jsonl, *csv; /* "-": standard output */
    const char *annotate;    /* the annotated video */
    const char *timeline;    /* .svg or .png */
    bool draw;               /* draw the annotated frame, for a window */
    bool raw;                /* no smoothing */
} video_output_options;

/* Rows of a table of flags for these. */
#define VIDEO_OUTPUT_FLAGS(options)                                                                \
    {"--jsonl",         "FILE", "write one JSON line per frame (-: standard output)",              \
     &(options)->jsonl, NULL,   NULL},                                                             \
        {"--csv",         "FILE", "write one row per face and frame (-: standard output)",         \
         &(options)->csv, NULL,   NULL},                                                           \
        {"--annotate",                                                                             \
         "FILE",                                                                                   \
         "write a copy with boxes and labels: .mp4, .mkv, .webm, .mov, .avi",                      \
         &(options)->annotate,                                                                     \
         NULL,                                                                                     \
         NULL},                                                                                    \
    {                                                                                              \
        "--no-smooth", NULL, "do not smooth the scores over time", NULL, NULL, &(options)->raw     \
    }

typedef struct video_output {
    video_output_options options;
    const mien_meta *meta;
    const char *source;
    mien_video_info info;
    video_summary summary;
    int jsonl, csv; /* descriptors; -1: none */
    mien_text lines, rows;
    mien_video_writer *writer;
    mien_image picture;   /* the annotated frame, with `draw` or `annotate` */
    size_t picture_bytes; /* capacity */
    mien_overlay *overlays;
    const char **names; /* [classes], of the bars */
    size_t overlay_capacity;
} video_output;

/* Opens the outputs. Finish and release also after a failure. */
mien_status video_output_start(video_output *out, const video_output_options *options,
                               const mien_meta *meta, const char *source,
                               const mien_video_info *info);
/* For mien_video_sink; `context` is the video_output. */
mien_status video_output_take(void *context, const mien_video_result *result);
/* Completes the files. `status` is that of the run, which is returned if it failed; a second
 * failure is printed. */
mien_status video_output_finish(video_output *out, mien_status status);
void video_output_release(video_output *out);

#endif
