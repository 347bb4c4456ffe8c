/* The files of mien-video.so, and all that knows FFmpeg's libraries.
 *
 *   module.c   the module's table; FFmpeg's log
 *   input.c    opens a file, so that nothing but that file is ever read, or a URL
 *   camera.c   finds and opens a camera
 *   reader.c   packets to frames: display order, damage, the end
 *   picture.c  a decoded frame to gray and RGB, upright
 *   writer.c   annotated copies: encoder, container, a full disk
 *   sound.c    the audio stream that is copied into them
 */
#ifndef HOST_VIDEO_AV_AV_H
#define HOST_VIDEO_AV_AV_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include "host/base/file.h"
#include "host/video/times.h"
#include "host/video/video.h"

/* ---- module.c ---- */

/* Whether a demuxer reported an error in this thread since the last call. */
bool video_demuxer_complained(void);
/* FFmpeg's words for an error code. */
const char *video_reason(int code, char out[AV_ERROR_MAX_STRING_SIZE]);

/* ---- input.c ---- */

typedef struct video_input {
    AVFormatContext *format;
    AVIOContext *io; /* of a file; NULL: a camera or a URL */
    int fd;          /* of a file; -1 */
    long long size;  /* of a file in bytes */
    char name[MIEN_PATH];
    const volatile int *stop;
    double patience; /* seconds that a camera or URL may take to answer */
    double deadline; /* of mien_seconds; 0: none */
} video_input;

/* Opens a container and finds its streams. `stop` may be NULL. Call close even after a failure. */
mien_status video_input_file(video_input *input, const char *path, const volatile int *stop);
mien_status video_input_url(video_input *input, const char *url, const mien_video_options *options);
void video_input_close(video_input *input);
/* Reads what the streams are; no frame above the limits is decoded. */
mien_status video_input_streams(video_input *input);
bool video_input_stopped(const video_input *input);
/* Gives blocking calls a new deadline. */
void video_input_wait_anew(video_input *input);
int video_input_interrupt(void *input); /* FFmpeg's callback */

/* ---- camera.c ---- */

/* `which`: "0", "1", ... or "/dev/videoN". */
mien_status video_input_camera(video_input *input, const char *which,
                               const mien_video_options *options);
/* Whether `which` names a camera; otherwise a file that is to be played as one. */
bool video_is_camera(const char *which);

/* ---- picture.c ---- */

/* How a decoded frame lies in the upright one: x' = x or y, y' = y or x, perhaps backwards. */
typedef struct video_turn {
    bool sideways, back_x, back_y;
} video_turn;

/* Zero-initialise. */
typedef struct video_picture {
    struct SwsContext *scaler;
    int width, height, format, space, full, to; /* what the scaler was made for */
    uint8_t *rgb;                               /* rows of RGB or RGBA with a gap */
    size_t rgb_capacity;
    uint8_t *levels; /* of luma, by its value in the file */
    int levels_depth, levels_full;
} video_picture;

video_turn video_turn_of(const int32_t matrix[9]);
/* Fills gray, and colour if it is wanted. */
mien_status video_picture_take(video_picture *picture, const AVFrame *from, video_turn turn,
                               bool colour, mien_frame *to);
void video_picture_release(video_picture *picture);
/* The matrix of YUV for sws_getCoefficients; a guess by the size where none is named. */
int video_matrix(int named, int width, int height);

/* ---- reader.c ---- */

mien_status video_reader_open(const char *source, const mien_video_options *options,
                              mien_frames *out);

/* ---- sound.c ---- */

typedef struct video_sound {
    video_input input;
    int from, to;  /* the stream in the source, and in the copy; `to` -1: there is none */
    int64_t shift; /* the source's time of its first frame, in AV_TIME_BASE */
    AVPacket *packet;
    bool waiting; /* the packet was read, and is for later */
    bool ended;
} video_sound;

/* Adds the audio stream of `path` to `format`; with a warning nothing where that cannot be. */
mien_status video_sound_open(video_sound *sound, const char *path, AVFormatContext *format);
/* Copies what belongs before `time`; FFmpeg's code. */
int video_sound_copy(video_sound *sound, AVFormatContext *format, double time);
void video_sound_close(video_sound *sound);

/* ---- writer.c ---- */

mien_status video_writer_open(const char *path, const char *sound_of, int width, int height,
                              double rate, mien_video_writer **out);
mien_status video_writer_add(mien_video_writer *writer, const mien_image *colour, double time);
mien_status video_writer_finish(mien_video_writer *writer);
void video_writer_close(mien_video_writer *writer);
const char *video_writer_codec(const mien_video_writer *writer);

#endif
