/* Opening a container. A file is read through a descriptor of our own, and a demuxer that wants to
 * open anything else (a playlist, an external track) is refused. */
#include <errno.h>
#include <fcntl.h>
#include <libavutil/avstring.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/video/av/av.h"

enum { BUFFER = 1 << 16, PROBE = 1 << 20, STREAMS_MAX = 64 };

/* The demuxers that are allowed. Those of audio are in the list so that a sound file is told to
 * have no video. */
static const char allowed[] = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,"
                              "apng,mjpeg,h264,hevc,m4v,obu,av1,ivf,nut,mxf,dv,yuv4mpegpipe,rm,"
                              "mp3,wav,flac,aac,amr,aiff,w64,caf";
static const char allowed_url[] = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,live_flv,asf,ogg,"
                                  "mjpeg,mpjpeg,h264,hevc,ivf,rtsp,rtp,sdp,hls";
static const char protocols[] = "http,https,tls,tcp,udp,rtp,rtsp,rtmp,rtmps,rtmpt,srt,httpproxy";

bool video_input_stopped(const video_input *input) {
    return input->stop && *input->stop;
}

int video_input_interrupt(void *opaque) {
    const video_input *input = opaque;
    return video_input_stopped(input) || (input->deadline > 0 && mien_seconds() > input->deadline);
}

void video_input_wait_anew(video_input *input) {
    input->deadline = mien_seconds() + input->patience;
}

static int read_file(void *opaque, uint8_t *buffer, int size) {
    const video_input *input = opaque;
    ssize_t got;
    if (video_input_stopped(input)) return AVERROR_EXIT;
    do
        got = read(input->fd, buffer, (size_t)size);
    while (got < 0 && errno == EINTR);
    return got < 0 ? AVERROR(errno) : got == 0 ? AVERROR_EOF : (int)got;
}

/* A place after the file's end is refused, so that a demuxer notices a file that was cut off. */
static int64_t seek_file(void *opaque, int64_t offset, int whence) {
    const video_input *input = opaque;
    int64_t base = 0;
    if (whence & AVSEEK_SIZE) return input->size;
    whence &= ~AVSEEK_FORCE;
    if (whence == SEEK_CUR) base = lseek(input->fd, 0, SEEK_CUR);
    if (whence == SEEK_END) base = input->size;
    if (base < 0 || offset < -base || offset > input->size - base) return AVERROR(EINVAL);
    const off_t at = lseek(input->fd, base + offset, SEEK_SET);
    return at < 0 ? AVERROR(errno) : at;
}

static int refuse_to_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                          AVDictionary **options) {
    (void)format, (void)url, (void)flags, (void)options;
    *io = NULL;
    return AVERROR(EACCES);
}

static mien_status open_descriptor(video_input *input, const char *path) {
    struct stat info;
    input->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would wait for a writer */
    if (input->fd < 0)
        return mien_fail(errno == ENOENT ? MIEN_NOT_FOUND : MIEN_IO, __FILE__, __LINE__,
                         "cannot open '%s': %s", path, strerror(errno));
    if (fstat(input->fd, &info) != 0)
        return MIEN_FAIL(IO, "cannot read '%s': %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) return MIEN_FAIL(INVALID, "'%s' is a folder, not a video", path);
    if (!S_ISREG(info.st_mode))
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a pipe or device: a video must be a file (a camera is camera:0)",
                         path);
    if (info.st_size == 0) return MIEN_FAIL(FORMAT, "'%s' is empty", path);
    input->size = info.st_size;
    return MIEN_OK;
}

static bool is_picture(const char *demuxer) {
    const size_t length = strlen(demuxer);
    return strcmp(demuxer, "image2") == 0 || strcmp(demuxer, "ico") == 0 ||
           (length > 5 && strcmp(demuxer + length - 5, "_pipe") == 0 &&
            strcmp(demuxer, "image2pipe") != 0);
}

/* By the content alone: demuxers never see the name, which says nothing reliable. */
static mien_status find_demuxer(video_input *input, const char *path, const AVInputFormat **out) {
    *out = NULL;
    if (av_probe_input_buffer2(input->io, out, "", NULL, 0, PROBE) < 0 || !*out)
        return video_input_stopped(input) ? MIEN_FAIL(INTERRUPTED, "interrupted")
                                          : MIEN_FAIL(FORMAT, "'%s' is not a video", path);
    if (is_picture((*out)->name))
        return MIEN_FAIL(FORMAT, "'%s' is a picture, not a video: use `mien predict`", path);
    for (const char *rest = (*out)->name; *rest; rest++) {
        char one[32];
        const size_t length = strcspn(rest, ",");
        if (length < sizeof one) {
            memcpy(one, rest, length);
            one[length] = 0;
            if (av_match_list(one, allowed, ',')) return MIEN_OK;
        }
        rest += length;
        if (!*rest) break;
    }
    return MIEN_FAIL(UNSUPPORTED, "'%s' is not a kind of video that Mien reads: %s", path,
                     (*out)->long_name ? (*out)->long_name : (*out)->name);
}

static mien_status open_failed(const video_input *input, const char *form, int code) {
    char why[AV_ERROR_MAX_STRING_SIZE];
    if (video_input_stopped(input)) return MIEN_FAIL(INTERRUPTED, "interrupted");
    if (code == AVERROR(ENOMEM)) return MIEN_FAIL(NO_MEMORY, "out of memory");
    if (strstr(form, "mp4"))
        return MIEN_FAIL(FORMAT,
                         "'%s' is damaged or was cut off: the index of the frames is missing",
                         input->name);
    return MIEN_FAIL(FORMAT, "'%s' is damaged: %s", input->name, video_reason(code, why));
}

static void prepare(video_input *input) {
    AVFormatContext *format = input->format;
    format->interrupt_callback = (AVIOInterruptCB){video_input_interrupt, input};
    format->max_streams = STREAMS_MAX;
}

mien_status video_input_file(video_input *input, const char *path, const volatile int *stop) {
    const AVInputFormat *demuxer;
    *input = (video_input){.fd = -1, .stop = stop};
    video_demuxer_complained();
    if (strlen(path) >= sizeof input->name) return MIEN_FAIL(INVALID, "the path is too long");
    memcpy(input->name, path, strlen(path) + 1);
    MIEN_TRY(open_descriptor(input, path));
    uint8_t *buffer = av_malloc(BUFFER);
    if (buffer)
        input->io = avio_alloc_context(buffer, BUFFER, 0, input, read_file, NULL, seek_file);
    if (!input->io) {
        av_free(buffer);
        return MIEN_FAIL(NO_MEMORY, "out of memory");
    }
    MIEN_TRY(find_demuxer(input, path, &demuxer));
    input->format = avformat_alloc_context();
    if (!input->format) return MIEN_FAIL(NO_MEMORY, "out of memory");
    prepare(input);
    input->format->pb = input->io;
    input->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    input->format->io_open = refuse_to_open;
    AVDictionary *options = NULL;
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    av_dict_set(&options, "format_whitelist", allowed, 0);
    const int code = avformat_open_input(&input->format, "", demuxer, &options);
    av_dict_free(&options);
    return code < 0 ? open_failed(input, demuxer->name, code) : MIEN_OK;
}

mien_status video_input_url(video_input *input, const char *url,
                            const mien_video_options *options) {
    char why[AV_ERROR_MAX_STRING_SIZE], scheme[16];
    const size_t length = strcspn(url, ":");
    *input = (video_input){.fd = -1, .stop = options->stop, .patience = options->patience};
    video_demuxer_complained();
    if (strlen(url) >= sizeof input->name) return MIEN_FAIL(INVALID, "the URL is too long");
    memcpy(input->name, url, strlen(url) + 1);
    memcpy(scheme, length < sizeof scheme ? url : "?", length < sizeof scheme ? length : 1);
    scheme[length < sizeof scheme ? length : 1] = 0;
    if (!av_match_list(scheme, protocols, ','))
        return MIEN_FAIL(UNSUPPORTED, "'%s': a URL begins with http, https, rtsp, rtmp, srt or udp",
                         url);
    input->format = avformat_alloc_context();
    if (!input->format) return MIEN_FAIL(NO_MEMORY, "out of memory");
    prepare(input);
    AVDictionary *with = NULL;
    av_dict_set(&with, "protocol_whitelist", protocols, 0);
    av_dict_set(&with, "format_whitelist", allowed_url, 0);
    video_input_wait_anew(input);
    const int code = avformat_open_input(&input->format, url, NULL, &with);
    av_dict_free(&with);
    if (code >= 0) return MIEN_OK;
    if (video_input_stopped(input)) return MIEN_FAIL(INTERRUPTED, "interrupted");
    if (code == AVERROR_EXIT)
        return MIEN_FAIL(IO, "'%s' gave no answer for %.0f seconds", url, input->patience);
    return MIEN_FAIL(IO, "cannot open '%s': %s", url, video_reason(code, why));
}

mien_status video_input_streams(video_input *input) {
    AVDictionary *limits[STREAMS_MAX] = {NULL};
    const unsigned count = input->format->nb_streams;
    for (unsigned i = 0; i < count && i < STREAMS_MAX; i++) {
        av_dict_set_int(&limits[i], "max_pixels", MIEN_IMAGE_PIXELS_MAX, 0);
        av_dict_set_int(&limits[i], "threads", 1, 0);
    }
    if (input->patience > 0) video_input_wait_anew(input);
    const int code = count > STREAMS_MAX ? AVERROR_INVALIDDATA
                                         : avformat_find_stream_info(input->format, limits);
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        av_dict_free(&limits[i]);
    return code < 0 ? open_failed(input, "", code) : MIEN_OK;
}

void video_input_close(video_input *input) {
    avformat_close_input(&input->format); /* leaves a custom pb alone */
    if (input->io) av_freep(&input->io->buffer);
    avio_context_free(&input->io);
    if (input->fd >= 0) close(input->fd);
    input->fd = -1;
}
