/* Video: frames of a file or a camera, and annotated copies of a video.
 *
 *     mien_video_open("talk.mp4", NULL, &source);
 *     while (mien_frames_next(&source, &frame, &more) == MIEN_OK && more) ...
 *     mien_frames_close(&source);
 *     mien_frame_release(&frame);
 *
 * FFmpeg's libraries do the work in mien-video.so, which is loaded on first use; only that module
 * knows them. What a container says of its frame rate, frame count and duration is never trusted:
 * it is only shown. Times are those of the stream. */
#ifndef HOST_VIDEO_VIDEO_H
#define HOST_VIDEO_VIDEO_H

#include "host/image/image.h"

enum { MIEN_VIDEO_SIDE_MAX = 8192 };

typedef struct mien_video_info {
    int width, height; /* of the first frame, upright: the container's rotation is applied */
    double duration;   /* in seconds, as the container says; 0: it does not know */
    double rate;       /* frames per second, as the container says; 0: it does not know */
    long long size;    /* of the file in bytes; 0: a camera or a URL */
    bool live;         /* frames come at their own pace and are lost if they are not fetched */
    bool sound;        /* there is an audio stream */
    char form[32];     /* "mp4", "webm", "v4l2", ... */
    char codec[32];    /* "h264", "vp8", "rawvideo", ... */
} mien_video_info;

/* One frame, upright. The buffers belong to the frame and are used again by the next call that
 * fills it. */
typedef struct mien_frame {
    /* What detector and gray models read: the luma in full range, that is Y of full-range video,
     * (Y - 16) * 255 / 219, rounded and clamped, of limited-range video, Y of more bits in
     * proportion; from RGB and palettes the formula of image.h. */
    mien_image gray;
    /* With options.colour; otherwise pixels is NULL. By the stream's matrix, or by ITU-R 709 above
     * 576 rows or 1023 columns and 601 below if it names none. */
    mien_image colour;
    long long index; /* from 0, in the order of display; a live source's lost frames count */
    double time;     /* seconds from the first frame; never less than that of the frame before */
    bool repaired;   /* the stream had no usable time: it was estimated from its neighbours */
    size_t gray_capacity, colour_capacity; /* bytes of the buffers */
} mien_frame;

/* Where frames come from: a video, a camera, or what a test makes. */
typedef struct mien_frames {
    mien_video_info info;
    void *state;
    /* The next frame, or *more false at the end. FORMAT: the rest is damaged (the frames before
     * were given); NO_DEVICE: a camera that gives no frame; INTERRUPTED: `stop` was set. */
    mien_status (*next)(void *state, mien_frame *frame, bool *more);
    /* Share of the source that was read, 0..1, by time or by bytes; negative: unknown. */
    double (*progress)(void *state);
    void (*close)(void *state);
} mien_frames;

typedef struct mien_video_options {
    bool colour;              /* fill frame.colour, too */
    bool allow_url;           /* a source may be a URL; otherwise it is refused */
    int width, height;        /* asked of a camera; 0: 640x480 */
    double rate;              /* asked of a camera; 0: 30 */
    double patience;          /* seconds without a frame after which a camera hangs; 0: 5 */
    int threads;              /* of the decoder; 0: 1 */
    const volatile int *stop; /* set by a signal; may be NULL */
} mien_video_options;

/* Whether a source is a URL, by its beginning (a scheme and "://"). */
bool mien_video_is_url(const char *source);
/* Opens a file, "camera:N" (the N-th camera, from 0), "camera:/dev/videoN", "camera:FILE" (a file
 * played in real time as a camera: a frame that is not fetched in time is lost) or, if allowed, a
 * URL. Of a file nothing but the file itself is read, whatever it refers to.
 * `options` NULL: all members 0. NOT_FOUND: no such file; FORMAT: not a video, or without
 * a video stream; UNSUPPORTED: no mien-video.so, an unknown codec, or a URL that is not allowed;
 * NO_DEVICE: there is no such camera, or it is in use. */
mien_status mien_video_open(const char *source, const mien_video_options *options,
                            mien_frames *out);
mien_status mien_frames_next(mien_frames *source, mien_frame *frame, bool *more);
void mien_frames_close(mien_frames *source);
void mien_frame_release(mien_frame *frame);
/* Gives a frame's buffers this size; their contents are undefined. */
mien_status mien_frame_resize(mien_frame *frame, int width, int height, bool colour);

/* ---- annotated copies ---- */

typedef struct mien_video_writer mien_video_writer;
/* Writes `path` by its suffix (.mp4, .mkv, .webm, .mov, .avi) with the times of the frames and, if
 * `sound_of` is not NULL, the audio stream of that file, copied where the container takes it and
 * else left out with a warning. The best encoder that is built in is used (H.264, else MPEG-4; VP8
 * for .webm) and named by mien_video_writer_codec. The file is written under a temporary name and
 * renamed by finish. */
mien_status mien_video_writer_open(const char *path, const char *sound_of, int width, int height,
                                   double rate, mien_video_writer **out);
/* `colour`: RGB of the writer's size (others are scaled). `time`: seconds, increasing. */
mien_status mien_video_writer_add(mien_video_writer *writer, const mien_image *colour, double time);
/* Completes the file. Call close even after a failure; without finish it keeps what was written as
 * far as the container allows (Ctrl-C calls finish). */
mien_status mien_video_writer_finish(mien_video_writer *writer);
void mien_video_writer_close(mien_video_writer *writer);
const char *mien_video_writer_codec(const mien_video_writer *writer);

#endif
