/* Packets to frames: in the order of display, upright, with times that advance; what is damaged is
 * left out, and the end of a file that was cut off is told. */
#include <errno.h>
#include <libavutil/avstring.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "host/base/clock.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/video/av/av.h"

/* Failures in a row after which the rest of a stream is given up. */
enum { FAILURES = 64 };

typedef enum source_kind { SOURCE_FILE, SOURCE_PLAYED, SOURCE_CAMERA, SOURCE_URL } source_kind;

typedef struct decoded {
    AVFrame *frame;
    long long index;
    double time;
    bool repaired;
} decoded;

typedef struct video_reader {
    source_kind kind;
    video_input input;
    mien_video_options options;
    AVStream *stream;
    AVCodecContext *codec;
    AVPacket *packet, *following;
    video_picture picture;
    mien_video_times times;
    decoded held, next; /* held: decoded ahead, if has_held */
    bool has_held;
    bool has_following; /* a packet that was read ahead */
    bool ended;         /* there are no more packets */
    bool cut;           /* and the file ends too early */
    bool told;          /* this was reported */
    bool warned;
    long long frames, damaged, read_to; /* read_to: bytes */
    double duration, share;             /* share: the greatest that was told */
    double began;                       /* when a played file began; 0: not yet */
} video_reader;

static mien_status interrupted(void) {
    return MIEN_FAIL(INTERRUPTED, "interrupted");
}

static void rest(double seconds) {
    const struct timespec time = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
    nanosleep(&time, NULL);
}

/* ---- packets ---- */

/* The next packet of the stream; FFmpeg's code. */
static int read_packet(video_reader *reader, AVPacket *packet) {
    for (int failures = 0; failures < FAILURES;) {
        if (video_input_stopped(&reader->input)) return AVERROR_EXIT;
        video_demuxer_complained();
        const int code = av_read_frame(reader->input.format, packet);
        if (code == AVERROR(EAGAIN)) return code;
        reader->cut = video_demuxer_complained() || (code < 0 && code != AVERROR_EOF);
        if (code == AVERROR_EOF ||
            (code < 0 && reader->kind != SOURCE_FILE && reader->kind != SOURCE_PLAYED))
            return code;
        if (code < 0) {
            failures++;
            continue;
        }
        if (packet->pos > 0 && packet->pos + packet->size > reader->read_to)
            reader->read_to = packet->pos + packet->size;
        if (packet->stream_index == reader->stream->index) return 0;
        av_packet_unref(packet);
    }
    return AVERROR_EOF;
}

/* Whether the index of an mp4 names frames after the end of the file. */
static bool index_goes_on(const video_reader *reader) {
    if (!strstr(reader->input.format->iformat->name, "mp4")) return false;
    const int count = avformat_index_get_entries_count(reader->stream);
    for (int i = 0; i < count; i++) {
        const AVIndexEntry *entry = avformat_index_get_entry(reader->stream, i);
        if (entry && entry->pos + entry->size > reader->input.size) return true;
    }
    return false;
}

/* The same for a file. A packet that its container calls damaged is used if another follows: at the
 * end it was cut off, and a decoder might make half a picture of it. */
static int next_packet(video_reader *reader) {
    if (reader->ended) return AVERROR_EOF;
    int code = 0;
    if (reader->has_following)
        av_packet_move_ref(reader->packet, reader->following);
    else
        code = read_packet(reader, reader->packet);
    reader->has_following = false;
    if (code == 0 && (reader->packet->flags & AV_PKT_FLAG_CORRUPT)) {
        code = read_packet(reader, reader->following);
        reader->has_following = code == 0;
        if (code < 0 && code != AVERROR_EXIT) {
            av_packet_unref(reader->packet);
            reader->cut = true;
        }
    }
    if (code < 0 && code != AVERROR_EXIT) {
        reader->ended = true;
        reader->cut = reader->cut || index_goes_on(reader);
        return AVERROR_EOF;
    }
    return code;
}

/* The newest packet of a camera, waiting for one if there is none. */
static int newest_packet(video_reader *reader) {
    bool has = false;
    video_input_wait_anew(&reader->input);
    for (;;) {
        AVPacket *to = has ? reader->following : reader->packet;
        const int code = read_packet(reader, to);
        if (code == AVERROR(EAGAIN)) {
            if (has) return 0;
            if (mien_seconds() > reader->input.deadline) return AVERROR(ETIMEDOUT);
            rest(0.001);
            continue;
        }
        if (code < 0) return has && code != AVERROR_EXIT ? 0 : code;
        reader->frames++;
        if (to->flags & AV_PKT_FLAG_CORRUPT || to->size == 0) {
            av_packet_unref(to);
        } else if (has) {
            av_packet_unref(reader->packet);
            av_packet_move_ref(reader->packet, reader->following);
        }
        has = has || to->size > 0;
    }
}

static mien_status source_failed(const video_reader *reader, int code) {
    char why[AV_ERROR_MAX_STRING_SIZE];
    const char *name = reader->input.name;
    if (code == AVERROR_EXIT && video_input_stopped(&reader->input)) return interrupted();
    if (reader->kind == SOURCE_URL)
        return code == AVERROR_EXIT
                   ? MIEN_FAIL(IO, "'%s' has sent nothing for %.0f seconds", name,
                               reader->input.patience)
                   : MIEN_FAIL(IO, "'%s' broke off: %s", name, video_reason(code, why));
    if (code == AVERROR(ETIMEDOUT))
        return MIEN_FAIL(NO_DEVICE, "the camera %s has given no picture for %.0f seconds", name,
                         reader->input.patience);
    if (code == AVERROR(ENODEV)) return MIEN_FAIL(NO_DEVICE, "the camera %s was unplugged", name);
    return MIEN_FAIL(NO_DEVICE, "the camera %s failed: %s", name, video_reason(code, why));
}

/* ---- frames ---- */

/* Gives the decoder the next packet, or tells it that there are no more. */
static mien_status feed(video_reader *reader) {
    const bool camera = reader->kind == SOURCE_CAMERA;
    if (reader->kind == SOURCE_URL) video_input_wait_anew(&reader->input);
    const int code = camera ? newest_packet(reader) : next_packet(reader);
    if (code == AVERROR_EOF && !camera) {
        avcodec_send_packet(reader->codec, NULL);
        return MIEN_OK;
    }
    if (code < 0) return source_failed(reader, code);
    if (avcodec_send_packet(reader->codec, reader->packet) < 0) reader->damaged++;
    av_packet_unref(reader->packet);
    return MIEN_OK;
}

static void take_time(video_reader *reader, decoded *out) {
    const int64_t stamp = out->frame->best_effort_timestamp;
    const bool known = stamp != AV_NOPTS_VALUE;
    const AVRational base = reader->stream->time_base;
    out->time = mien_video_times_next(
        &reader->times, known, known ? (double)stamp * base.num / base.den : 0, &out->repaired);
    out->index = reader->kind == SOURCE_CAMERA ? reader->frames - 1 : reader->frames++;
}

static mien_status decode(video_reader *reader, decoded *out, bool *more) {
    *more = false;
    for (int failures = 0; failures < FAILURES;) {
        if (video_input_stopped(&reader->input)) return interrupted();
        const int code = avcodec_receive_frame(reader->codec, out->frame);
        if (code == AVERROR(EAGAIN)) {
            MIEN_TRY(feed(reader));
            failures = 0;
        } else if (code == AVERROR_EOF) {
            return MIEN_OK;
        } else if (code < 0) {
            if (code == AVERROR(ENOMEM)) return MIEN_FAIL(NO_MEMORY, "out of memory");
            reader->damaged++;
            failures++;
        } else if (out->frame->flags & AV_FRAME_FLAG_CORRUPT || out->frame->decode_error_flags) {
            reader->damaged++;
        } else {
            take_time(reader, out);
            *more = true;
            return MIEN_OK;
        }
    }
    reader->cut = true;
    return MIEN_OK;
}

static void warn_of_damage(video_reader *reader) {
    if (reader->damaged && !reader->warned)
        MIEN_WARN("'%s': %lld damaged frames were skipped", reader->input.name, reader->damaged);
    reader->warned = true;
}

/* What a file that ended is worth. */
static mien_status end(video_reader *reader) {
    warn_of_damage(reader);
    if (!reader->cut || reader->told) return MIEN_OK;
    reader->told = true;
    return MIEN_FAIL(FORMAT,
                     "'%s' is damaged or was cut off after %.2f seconds; %lld frames were read",
                     reader->input.name, reader->times.last, reader->frames);
}

/* ---- upright ---- */

static const int32_t *stream_matrix(const AVStream *stream) {
#if LIBAVFORMAT_VERSION_MAJOR > 60
    const AVCodecParameters *with = stream->codecpar;
    const AVPacketSideData *data = av_packet_side_data_get(
        with->coded_side_data, with->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return data && data->size >= 36 ? (const int32_t *)data->data : NULL;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    return data && size >= 36 ? (const int32_t *)(const void *)data : NULL;
#endif
}

static video_turn turn_of(const video_reader *reader, const AVFrame *frame) {
    const int32_t *matrix = stream_matrix(reader->stream);
    if (!matrix) {
        const AVFrameSideData *data = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
        if (data && data->size >= 36) matrix = (const int32_t *)(const void *)data->data;
    }
    return matrix ? video_turn_of(matrix) : (video_turn){0};
}

static mien_status deliver(video_reader *reader, decoded *from, mien_frame *to) {
    to->index = from->index;
    to->time = from->time;
    to->repaired = from->repaired;
    const mien_status status = video_picture_take(
        &reader->picture, from->frame, turn_of(reader, from->frame), reader->options.colour, to);
    av_frame_unref(from->frame);
    return status == MIEN_OK
               ? status
               : mien_fail_context(status, "'%s', frame %lld", reader->input.name, from->index);
}

/* ---- the source ---- */

static void swap(video_reader *reader) {
    const decoded next = reader->next;
    reader->next = reader->held;
    reader->held = next;
}

/* A file played as a camera: waits for the held frame's time; if the caller is late, the frames
 * that were over by then are lost. */
static mien_status next_played(video_reader *reader, mien_frame *frame, bool *more) {
    bool has = true;
    if (!reader->has_held) {
        MIEN_TRY(decode(reader, &reader->held, &has));
        if (!has) return end(reader);
    }
    if (reader->began == 0) reader->began = mien_seconds() - reader->held.time;
    for (double wait; (wait = reader->began + reader->held.time - mien_seconds()) > 0;) {
        if (video_input_stopped(&reader->input)) return interrupted();
        rest(wait < 0.02 ? wait : 0.02);
    }
    for (;;) {
        MIEN_TRY(decode(reader, &reader->next, &has));
        if (!has || reader->next.time > mien_seconds() - reader->began) break;
        av_frame_unref(reader->held.frame);
        swap(reader);
    }
    *more = true;
    const mien_status status = deliver(reader, &reader->held, frame);
    swap(reader);
    reader->has_held = has;
    return status;
}

static mien_status next(void *state, mien_frame *frame, bool *more) {
    video_reader *reader = state;
    *more = false;
    video_demuxer_complained();
    if (video_input_stopped(&reader->input)) return interrupted();
    if (reader->kind == SOURCE_PLAYED) return next_played(reader, frame, more);
    *more = reader->has_held;
    if (!reader->has_held) MIEN_TRY(decode(reader, &reader->held, more));
    reader->has_held = false;
    return *more ? deliver(reader, &reader->held, frame) : end(reader);
}

static double progress(void *state) {
    video_reader *reader = state;
    double share = -1;
    if (reader->duration > 0 && reader->times.last <= reader->duration)
        share = reader->times.last / reader->duration;
    else if (reader->input.size > 0)
        share = (double)reader->read_to / (double)reader->input.size;
    if (share > reader->share) reader->share = share < 1 ? share : 1;
    return share < 0 ? -1 : reader->share;
}

static void close_reader(void *state) {
    video_reader *reader = state;
    if (!reader) return;
    warn_of_damage(reader);
    av_frame_free(&reader->held.frame);
    av_frame_free(&reader->next.frame);
    av_packet_free(&reader->packet);
    av_packet_free(&reader->following);
    avcodec_free_context(&reader->codec);
    video_picture_release(&reader->picture);
    video_input_close(&reader->input);
    mien_free(reader);
}

/* ---- opening ---- */

static mien_status no_video(const video_reader *reader) {
    const AVFormatContext *format = reader->input.format;
    const char *sound = NULL;
    bool cover = false;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        if (format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO)
            sound = avcodec_get_name(format->streams[i]->codecpar->codec_id);
        cover = cover || format->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC;
    }
    return MIEN_FAIL(FORMAT, "'%s' has no video%s%s%s%s", reader->input.name,
                     sound ? ": it is sound (" : "", sound ? sound : "", sound ? ")" : "",
                     cover ? " with a cover picture" : "");
}

static mien_status choose_stream(video_reader *reader) {
    AVFormatContext *format = reader->input.format;
    const int found = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (found < 0 || format->streams[found]->disposition & AV_DISPOSITION_ATTACHED_PIC)
        return no_video(reader);
    for (unsigned i = 0; i < format->nb_streams; i++)
        if ((int)i != found) format->streams[i]->discard = AVDISCARD_ALL;
    reader->stream = format->streams[found];
    const AVCodecParameters *with = reader->stream->codecpar;
    if (with->width > MIEN_VIDEO_SIDE_MAX || with->height > MIEN_VIDEO_SIDE_MAX ||
        (long long)with->width * with->height > MIEN_IMAGE_PIXELS_MAX)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' has %dx%d pixels; the limits are %d on each side and %d million",
                         reader->input.name, with->width, with->height, MIEN_VIDEO_SIDE_MAX,
                         MIEN_IMAGE_PIXELS_MAX / 1000000);
    return MIEN_OK;
}

static mien_status open_decoder(video_reader *reader) {
    const AVCodecParameters *with = reader->stream->codecpar;
    const AVCodec *decoder = avcodec_find_decoder(with->codec_id);
    char why[AV_ERROR_MAX_STRING_SIZE];
    if (!decoder)
        return MIEN_FAIL(UNSUPPORTED, "'%s' is coded as %s, which this FFmpeg cannot decode",
                         reader->input.name, avcodec_get_name(with->codec_id));
    reader->codec = avcodec_alloc_context3(decoder);
    reader->packet = av_packet_alloc();
    reader->following = av_packet_alloc();
    reader->held.frame = av_frame_alloc();
    reader->next.frame = av_frame_alloc();
    if (!reader->codec || !reader->packet || !reader->following || !reader->held.frame ||
        !reader->next.frame)
        return MIEN_FAIL(NO_MEMORY, "out of memory");
    int code = avcodec_parameters_to_context(reader->codec, with);
    reader->codec->pkt_timebase = reader->stream->time_base;
    reader->codec->max_pixels = MIEN_IMAGE_PIXELS_MAX;
    reader->codec->thread_count = reader->options.threads > 0 ? reader->options.threads : 1;
    if (code >= 0) code = avcodec_open2(reader->codec, decoder, NULL);
    return code >= 0 ? MIEN_OK
                     : MIEN_FAIL(FORMAT, "'%s': its %s video cannot be decoded: %s",
                                 reader->input.name, decoder->name, video_reason(code, why));
}

static double usable(AVRational rate) {
    return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
}

/* The container's name: of several the one that is the file's suffix. */
static void name_form(const video_reader *reader, char out[32]) {
    const char *names = reader->input.format->iformat->name;
    const char *dot = strrchr(reader->input.name, '.');
    if (dot && av_match_list(dot + 1, names, ','))
        snprintf(out, 32, "%s", dot + 1);
    else
        snprintf(out, 32, "%.*s", (int)strcspn(names, ","), names);
}

static void describe(video_reader *reader, mien_video_info *info) {
    const AVFormatContext *format = reader->input.format;
    const AVFrame *first = reader->held.frame;
    const bool sideways = turn_of(reader, first).sideways;
    info->width = sideways ? first->height : first->width;
    info->height = sideways ? first->width : first->height;
    info->rate = usable(reader->stream->avg_frame_rate);
    if (info->rate == 0) info->rate = usable(reader->stream->r_frame_rate);
    if (format->duration > 0 && format->duration_estimation_method == AVFMT_DURATION_FROM_STREAM)
        info->duration = (double)format->duration / AV_TIME_BASE;
    reader->duration = info->duration;
    info->size = reader->kind == SOURCE_FILE ? reader->input.size : 0;
    info->live = reader->kind == SOURCE_CAMERA || reader->kind == SOURCE_PLAYED;
    for (unsigned i = 0; i < format->nb_streams; i++)
        if (format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) info->sound = true;
    name_form(reader, info->form);
    snprintf(info->codec, sizeof info->codec, "%s",
             avcodec_get_name(reader->stream->codecpar->codec_id));
}

static mien_status open_input(video_reader *reader, const char *source) {
    static const char camera[] = "camera:";
    const mien_video_options *options = &reader->options;
    const char *which = source + sizeof camera - 1;
    if (strncmp(source, camera, sizeof camera - 1) == 0) {
        reader->kind = video_is_camera(which) ? SOURCE_CAMERA : SOURCE_PLAYED;
        if (reader->kind == SOURCE_CAMERA)
            return video_input_camera(&reader->input, which, options);
        MIEN_TRY(video_input_file(&reader->input, which, options->stop));
    } else if (mien_video_is_url(source)) {
        reader->kind = SOURCE_URL;
        MIEN_TRY(video_input_url(&reader->input, source, options));
    } else {
        MIEN_TRY(video_input_file(&reader->input, source, options->stop));
    }
    return video_input_streams(&reader->input);
}

static mien_status open_source(video_reader *reader, const char *source, mien_video_info *info) {
    MIEN_TRY(open_input(reader, source));
    MIEN_TRY(choose_stream(reader));
    MIEN_TRY(open_decoder(reader));
    const double rate = usable(reader->stream->avg_frame_rate);
    reader->times.step = rate > 1 && rate < 1000 ? 1 / rate : 0.04;
    MIEN_TRY(decode(reader, &reader->held, &reader->has_held));
    if (!reader->has_held)
        return MIEN_FAIL(FORMAT,
                         "'%s' has no frame that can be decoded: it is damaged, or has more than "
                         "%d million pixels",
                         reader->input.name, MIEN_IMAGE_PIXELS_MAX / 1000000);
    describe(reader, info);
    return MIEN_OK;
}

mien_status video_reader_open(const char *source, const mien_video_options *options,
                              mien_frames *out) {
    video_reader *reader;
    MIEN_TRY(mien_new(&reader, 1, sizeof *reader));
    reader->options = *options;
    reader->input.fd = -1;
    if (reader->options.patience <= 0) reader->options.patience = 5;
    const mien_status status = open_source(reader, source, &out->info);
    if (status != MIEN_OK) {
        reader->warned = true; /* the message says it all */
        close_reader(reader);
        *out = (mien_frames){0};
        return status;
    }
    out->state = reader;
    out->next = next;
    out->progress = progress;
    out->close = close_reader;
    return MIEN_OK;
}
