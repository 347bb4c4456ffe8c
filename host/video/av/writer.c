/* Annotated copies: RGB frames with the source's times are coded into a temporary file, which is
 * renamed at the end. Disk space is reserved ahead of the data, so that a disk that becomes full
 * leaves enough for the container's index: what was written can be played. */
#include <errno.h>
#include <fcntl.h>
#include <libavutil/opt.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/video/av/av.h"

/* Reserved for the container's index: at least, and for each packet (twice: +faststart moves it);
 * and ahead of the data. */
enum { RESERVE_LEAST = 1 << 20, RESERVE_PACKET = 64, RESERVE_AHEAD = 8 << 20 };

struct mien_video_writer {
    char path[MIEN_PATH], temporary[MIEN_PATH];
    int fd; /* of the temporary file, for reserving and syncing */
    AVFormatContext *format;
    AVCodecContext *codec;
    struct SwsContext *scaler;
    AVFrame *frame;
    AVPacket *packet;
    video_sound sound;
    int width, height;           /* of the frames; the video's are even */
    int from_width, from_height; /* what the scaler was made for */
    uint8_t *even;               /* the frame, with rows of an even length */
    size_t even_capacity;
    double rate;
    double last_time,
        written; /* of the last frame that was added, and that was written; -1: none */
    int64_t last, packets, reserved;
    int full;           /* FFmpeg's code of a full disk; 0 */
    mien_status failed; /* of finish */
    bool begun, done, uneven;
};

static const struct {
    const char *suffix, *form;
    const char *encoders[3];
    int ticks; /* per second; 0: the container only knows a constant rate */
} forms[] = {
    {".mp4", "mp4", {"libx264", "mpeg4"}, 90000},     {".mov", "mov", {"libx264", "mpeg4"}, 90000},
    {".mkv", "matroska", {"libx264", "mpeg4"}, 1000}, {".webm", "webm", {"libvpx"}, 1000},
    {".avi", "avi", {"libx264", "mpeg4"}, 0},
};
enum { FORMS = sizeof forms / sizeof forms[0], MPEG4_TICKS = 50000 };

static mien_status no_memory(void) {
    return MIEN_FAIL(NO_MEMORY, "out of memory");
}

static bool is_full(int code) {
    return code == AVERROR(ENOSPC) || code == AVERROR(EDQUOT) || code == AVERROR(EFBIG);
}

static mien_status write_failed(const mien_video_writer *writer, int code) {
    char why[AV_ERROR_MAX_STRING_SIZE];
    return MIEN_FAIL(IO, "cannot write '%s': %s", writer->path, video_reason(code, why));
}

/* ---- opening ---- */

static void choose_ticks(mien_video_writer *writer, int ticks) {
    AVCodecContext *codec = writer->codec;
    const AVRational rate = av_d2q(writer->rate, 60000);
    codec->framerate = rate;
    if (ticks == 0)
        codec->time_base = av_inv_q(rate);
    else if (codec->codec_id == AV_CODEC_ID_MPEG4 && ticks > MPEG4_TICKS)
        codec->time_base = (AVRational){1, MPEG4_TICKS}; /* it has 16 bits for this */
    else
        codec->time_base = (AVRational){1, ticks};
}

/* Constant quality: the size of the file follows the pictures. */
static void choose_quality(AVCodecContext *codec, AVDictionary **options) {
    if (codec->codec_id == AV_CODEC_ID_H264) {
        av_dict_set(options, "preset", "veryfast", 0);
        av_dict_set(options, "crf", "20", 0);
    } else if (codec->codec_id == AV_CODEC_ID_VP8) {
        codec->bit_rate = 8000000; /* the most that crf may use */
        av_dict_set(options, "crf", "10", 0);
        av_dict_set(options, "deadline", "realtime", 0);
        av_dict_set(options, "cpu-used", "5", 0);
    } else {
        codec->flags |= AV_CODEC_FLAG_QSCALE;
        codec->global_quality = 4 * FF_QP2LAMBDA;
    }
}

static mien_status open_encoder(mien_video_writer *writer, int form) {
    const AVCodec *encoder = NULL;
    char why[AV_ERROR_MAX_STRING_SIZE];
    AVDictionary *options = NULL;
    for (int i = 0; !encoder && forms[form].encoders[i]; i++)
        encoder = avcodec_find_encoder_by_name(forms[form].encoders[i]);
    if (!encoder)
        return MIEN_FAIL(UNSUPPORTED,
                         "this FFmpeg has no encoder for %s files: choose another suffix",
                         forms[form].suffix);
    AVCodecContext *codec = writer->codec = avcodec_alloc_context3(encoder);
    if (!codec) return no_memory();
    codec->width = writer->width + (writer->width & 1);
    codec->height = writer->height + (writer->height & 1);
    codec->pix_fmt = AV_PIX_FMT_YUV420P;
    const bool hd =
        video_matrix(AVCOL_SPC_UNSPECIFIED, codec->width, codec->height) == SWS_CS_ITU709;
    codec->color_range = AVCOL_RANGE_MPEG;
    codec->colorspace = hd ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    codec->color_primaries = hd ? AVCOL_PRI_BT709 : AVCOL_PRI_SMPTE170M;
    codec->color_trc = hd ? AVCOL_TRC_BT709 : AVCOL_TRC_SMPTE170M;
    codec->gop_size = 120;
    choose_ticks(writer, forms[form].ticks);
    if (forms[form].ticks == 0) codec->max_b_frames = 0; /* AVI has no times for them */
    if (writer->format->oformat->flags & AVFMT_GLOBALHEADER)
        codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    choose_quality(codec, &options);
    const int code = avcodec_open2(codec, encoder, &options);
    av_dict_free(&options);
    return code >= 0
               ? MIEN_OK
               : MIEN_FAIL(UNSUPPORTED, "the encoder %s cannot write %dx%d pixels: %s",
                           encoder->name, codec->width, codec->height, video_reason(code, why));
}

static mien_status open_stream(mien_video_writer *writer) {
    AVStream *stream = avformat_new_stream(writer->format, NULL);
    if (!stream || avcodec_parameters_from_context(stream->codecpar, writer->codec) < 0)
        return no_memory();
    stream->time_base = writer->codec->time_base;
    stream->avg_frame_rate = writer->codec->framerate;
    writer->frame = av_frame_alloc();
    writer->packet = av_packet_alloc();
    if (!writer->frame || !writer->packet) return no_memory();
    AVFrame *frame = writer->frame;
    frame->format = writer->codec->pix_fmt;
    frame->width = writer->codec->width;
    frame->height = writer->codec->height;
    frame->colorspace = writer->codec->colorspace;
    frame->color_range = writer->codec->color_range;
    return av_frame_get_buffer(frame, 0) < 0 ? no_memory() : MIEN_OK;
}

static mien_status open_file(mien_video_writer *writer) {
    char url[MIEN_PATH + 8];
    struct stat info;
    if (stat(writer->path, &info) == 0 && !S_ISREG(info.st_mode))
        return MIEN_FAIL(INVALID, "'%s' is not a regular file: a video cannot be written there",
                         writer->path);
    MIEN_TRY(mien_file_begin(writer->path, writer->temporary, &writer->fd));
    snprintf(url, sizeof url, "file:%s", writer->temporary);
    writer->format->url = av_strdup(url); /* +faststart opens it again */
    if (!writer->format->url) return no_memory();
    const int code = avio_open(&writer->format->pb, url, AVIO_FLAG_WRITE);
    return code < 0 ? write_failed(writer, code) : MIEN_OK;
}

static mien_status open_writer(mien_video_writer *writer, const char *sound_of, int form) {
    AVDictionary *options = NULL;
    if (avformat_alloc_output_context2(&writer->format, NULL, forms[form].form, NULL) < 0)
        return MIEN_FAIL(UNSUPPORTED, "this FFmpeg cannot write %s files", forms[form].suffix);
    MIEN_TRY(open_encoder(writer, form));
    MIEN_TRY(open_stream(writer));
    if (sound_of) MIEN_TRY(video_sound_open(&writer->sound, sound_of, writer->format));
    MIEN_TRY(open_file(writer));
    if (strcmp(forms[form].suffix, ".mp4") == 0 || strcmp(forms[form].suffix, ".mov") == 0)
        av_dict_set(&options, "movflags", "+faststart", 0);
    const int code = avformat_write_header(writer->format, &options);
    av_dict_free(&options);
    if (code < 0) return write_failed(writer, code);
    writer->begun = true;
    return MIEN_OK;
}

mien_status video_writer_open(const char *path, const char *sound_of, int width, int height,
                              double rate, mien_video_writer **out) {
    int form = 0;
    mien_video_writer *writer;
    *out = NULL;
    video_demuxer_complained();
    while (form < FORMS && !mien_path_ends(path, forms[form].suffix))
        form++;
    if (form == FORMS)
        return MIEN_FAIL(INVALID, "'%s': a video's name ends with .mp4, .mkv, .webm, .mov or .avi",
                         path);
    if (width < 1 || height < 1 || width > MIEN_VIDEO_SIDE_MAX || height > MIEN_VIDEO_SIDE_MAX)
        return MIEN_FAIL(INVALID, "a video of %dx%d pixels cannot be written", width, height);
    if (strlen(path) >= MIEN_PATH) return MIEN_FAIL(INVALID, "the path is too long");
    MIEN_TRY(mien_new(&writer, 1, sizeof *writer));
    memcpy(writer->path, path, strlen(path) + 1);
    writer->fd = -1;
    writer->sound.to = -1;
    writer->sound.input.fd = -1;
    writer->width = width;
    writer->height = height;
    writer->rate = rate > 0.01 && rate <= 1000 ? rate : 25;
    writer->last = -1;
    writer->written = -1;
    const mien_status status = open_writer(writer, sound_of, form);
    if (status != MIEN_OK) {
        video_writer_close(writer);
        return status;
    }
    *out = writer;
    return MIEN_OK;
}

/* ---- frames ---- */

/* Reserves space for `size` bytes more and the index after them, and ahead of need where there is
 * enough; false: the disk is full. File systems that cannot reserve are believed. */
static bool reserve(mien_video_writer *writer, int size) {
    const int64_t need =
        avio_tell(writer->format->pb) + size + RESERVE_LEAST + RESERVE_PACKET * writer->packets;
    if (need <= writer->reserved) return true;
    for (int64_t ahead = RESERVE_AHEAD; ahead >= 0; ahead -= RESERVE_AHEAD)
        if (fallocate(writer->fd, FALLOC_FL_KEEP_SIZE, 0, need + ahead) == 0) {
            writer->reserved = need + ahead;
            return true;
        }
    if (is_full(AVERROR(errno))) writer->full = AVERROR(errno);
    return !writer->full;
}

static mien_status full_disk(const mien_video_writer *writer) {
    char why[AV_ERROR_MAX_STRING_SIZE];
    return MIEN_FAIL(IO, "cannot write more of '%s', which ends after %.2f seconds: %s",
                     writer->path, writer->written < 0 ? 0 : writer->written,
                     video_reason(writer->full, why));
}

/* Writes a packet of the encoder; FFmpeg's code. */
static int write_packet(mien_video_writer *writer) {
    AVPacket *packet = writer->packet;
    AVStream *stream = writer->format->streams[0];
    const AVRational base = writer->codec->time_base;
    const double time = (double)packet->pts * av_q2d(base);
    if (writer->full || !reserve(writer, packet->size)) {
        av_packet_unref(packet);
        return writer->full;
    }
    writer->packets++;
    if (packet->duration <= 0) /* of the last frame, for which nothing else tells */
        packet->duration = llrint(1 / (writer->rate * av_q2d(base)));
    av_packet_rescale_ts(packet, base, stream->time_base);
    packet->stream_index = stream->index;
    const int code = av_interleaved_write_frame(writer->format, packet);
    if (code >= 0 && time > writer->written) writer->written = time;
    return code < 0 ? code : writer->format->pb->error;
}

/* Writes what the encoder has; FFmpeg's code. */
static int drain(mien_video_writer *writer) {
    for (;;) {
        int code = avcodec_receive_packet(writer->codec, writer->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return 0;
        if (code >= 0) code = write_packet(writer);
        if (code < 0) return code;
    }
}

/* Copies a frame and repeats its last column and row where its size is odd: the video is even, and
 * FFmpeg's scaler reads pixels of RGB in pairs. */
static mien_status make_even(mien_video_writer *writer, const mien_image *colour, int *stride) {
    const size_t row = (size_t)colour->width * 3;
    const size_t padded = (row + 3 + 63) & ~(size_t)63;
    const size_t need = padded * ((size_t)colour->height + 1);
    if (need > writer->even_capacity) {
        mien_free(writer->even);
        writer->even_capacity = 0;
        MIEN_TRY(mien_new_aligned(&writer->even, need));
        writer->even_capacity = need;
    }
    uint8_t *to = writer->even;
    for (int y = 0; y < colour->height; y++, to += padded) {
        memcpy(to, colour->pixels + (size_t)y * row, row);
        memcpy(to + row, to + row - 3, 3);
    }
    memcpy(to, to - padded, padded);
    *stride = (int)padded;
    return MIEN_OK;
}

static mien_status convert(mien_video_writer *writer, const mien_image *colour) {
    AVFrame *frame = writer->frame;
    const int width = colour->width + (colour->width & 1);
    const int height = colour->height + (colour->height & 1);
    int stride;
    if (av_frame_make_writable(frame) < 0) return no_memory();
    MIEN_TRY(make_even(writer, colour, &stride));
    if (!writer->scaler || writer->from_width != width || writer->from_height != height) {
        sws_freeContext(writer->scaler);
        writer->scaler =
            sws_getContext(width, height, AV_PIX_FMT_RGB24, frame->width, frame->height,
                           AV_PIX_FMT_YUV420P, SWS_BILINEAR | SWS_ACCURATE_RND, NULL, NULL, NULL);
        if (!writer->scaler) return MIEN_FAIL(UNSUPPORTED, "a frame cannot be converted");
        const int *matrix =
            sws_getCoefficients(video_matrix(frame->colorspace, frame->width, frame->height));
        sws_setColorspaceDetails(writer->scaler, matrix, 1, matrix, 0, 0, 1 << 16, 1 << 16);
        writer->from_width = width;
        writer->from_height = height;
    }
    const uint8_t *const rows[4] = {writer->even};
    const int strides[4] = {stride};
    sws_scale(writer->scaler, rows, strides, 0, height, frame->data, frame->linesize);
    return MIEN_OK;
}

/* The tick of a time. Containers of a constant rate move times to their own. */
static int64_t tick_of(mien_video_writer *writer, double time) {
    const double ticks = time / av_q2d(writer->codec->time_base);
    int64_t tick = llrint(ticks);
    const bool constant = writer->codec->time_base.den <= writer->codec->time_base.num * 1000LL &&
                          mien_path_ends(writer->path, ".avi");
    if (constant && !writer->uneven &&
        (fabs(ticks - (double)tick) > 0.25 || tick <= writer->last)) {
        MIEN_WARN("'%s': AVI only knows a constant rate, so times of frames are moved: choose .mp4 "
                  "or .mkv",
                  writer->path);
        writer->uneven = true;
    }
    return tick > writer->last ? tick : writer->last + 1;
}

mien_status video_writer_add(mien_video_writer *writer, const mien_image *colour, double time) {
    if (colour->channels != 3 || colour->width < 1 || colour->height < 1 || !(time >= 0))
        return MIEN_FAIL(INVALID, "a frame of a video must be RGB, with a time from 0 on");
    if (writer->full) return full_disk(writer);
    video_demuxer_complained();
    MIEN_TRY(convert(writer, colour));
    const int64_t tick = tick_of(writer, time);
    writer->frame->pts = tick;
    writer->frame->pict_type = AV_PICTURE_TYPE_NONE;
    int code = avcodec_send_frame(writer->codec, writer->frame);
    if (code >= 0) code = drain(writer);
    if (code >= 0) code = video_sound_copy(&writer->sound, writer->format, time);
    if (is_full(code)) writer->full = code;
    if (code < 0) return writer->full ? full_disk(writer) : write_failed(writer, code);
    writer->last = tick;
    writer->last_time = time;
    return MIEN_OK;
}

/* ---- the end ---- */

/* Completes and renames the file. */
static mien_status complete(mien_video_writer *writer) {
    int code = avcodec_send_frame(writer->codec, NULL);
    if (code >= 0) code = drain(writer);
    if (code >= 0 && !writer->full)
        code =
            video_sound_copy(&writer->sound, writer->format, writer->last_time + 1 / writer->rate);
    const int trailer = av_write_trailer(writer->format);
    const int error = writer->format->pb->error;
    const int closed = avio_closep(&writer->format->pb);
    struct stat info;
    if (code >= 0) code = trailer < 0 ? trailer : error < 0 ? error : closed;
    /* gives reserved space back */
    if (fstat(writer->fd, &info) == 0 && ftruncate(writer->fd, info.st_size) != 0 && code >= 0)
        code = AVERROR(errno);
    /* an mp4 without its index is worth less than an older file of this name */
    if (trailer < 0 && strstr("mp4 mov", writer->format->oformat->name))
        return write_failed(writer, code);
    const int fd = writer->fd;
    writer->fd = -1;
    const mien_status renamed = mien_file_end(writer->path, writer->temporary, fd);
    if (is_full(code)) writer->full = code;
    if (writer->full) return full_disk(writer);
    return code < 0 ? write_failed(writer, code) : renamed;
}

mien_status video_writer_finish(mien_video_writer *writer) {
    if (writer->done)
        return writer->failed == MIEN_OK ? MIEN_OK
                                         : MIEN_FAIL(IO, "'%s' was not completed", writer->path);
    if (writer->last < 0)
        return MIEN_FAIL(INVALID, "'%s' would have no frames: it is not written", writer->path);
    writer->done = true;
    return writer->failed = complete(writer);
}

void video_writer_close(mien_video_writer *writer) {
    if (!writer) return;
    if (!writer->done && writer->begun && writer->last >= 0) {
        char message[MIEN_MESSAGE]; /* that of the failure for which the caller gave up */
        snprintf(message, sizeof message, "%s", mien_error_message());
        writer->done = true;
        if (complete(writer) != MIEN_OK) mien_fail(MIEN_IO, __FILE__, __LINE__, "%s", message);
    }
    if (writer->fd >= 0) {
        close(writer->fd);
        unlink(writer->temporary);
    }
    video_sound_close(&writer->sound);
    av_packet_free(&writer->packet);
    av_frame_free(&writer->frame);
    sws_freeContext(writer->scaler);
    mien_free(writer->even);
    avcodec_free_context(&writer->codec);
    if (writer->format) avio_closep(&writer->format->pb);
    avformat_free_context(writer->format);
    mien_free(writer);
}

const char *video_writer_codec(const mien_video_writer *writer) {
    return writer->codec->codec->name;
}
