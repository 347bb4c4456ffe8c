/* The audio stream of a video's annotated copy: packets are copied as they are, on the copy's
 * time. */
#include "host/base/log.h"
#include "host/video/av/av.h"

static int best_audio(const AVFormatContext *format) {
    return av_find_best_stream((AVFormatContext *)format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
}

/* When the source's first frame is shown, on its own clock. */
static int64_t first_frame(const AVFormatContext *format) {
    const int video =
        av_find_best_stream((AVFormatContext *)format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    const AVStream *stream = video >= 0 ? format->streams[video] : NULL;
    if (stream && stream->start_time != AV_NOPTS_VALUE)
        return av_rescale_q(stream->start_time, stream->time_base, AV_TIME_BASE_Q);
    return format->start_time != AV_NOPTS_VALUE ? format->start_time : 0;
}

static mien_status without(video_sound *sound, const char *why) {
    MIEN_WARN("the copy is without sound: %s", why);
    video_sound_close(sound);
    return MIEN_OK;
}

mien_status video_sound_open(video_sound *sound, const char *path, AVFormatContext *format) {
    *sound = (video_sound){.to = -1, .input.fd = -1};
    if (video_input_file(&sound->input, path, NULL) != MIEN_OK ||
        video_input_streams(&sound->input) != MIEN_OK)
        return without(sound, mien_error_message());
    AVFormatContext *source = sound->input.format;
    sound->from = best_audio(source);
    if (sound->from < 0) { /* silent videos are common */
        video_sound_close(sound);
        return MIEN_OK;
    }
    const AVCodecParameters *with = source->streams[sound->from]->codecpar;
    if (avformat_query_codec(format->oformat, with->codec_id, FF_COMPLIANCE_NORMAL) != 1) {
        char why[128];
        snprintf(why, sizeof why, "%s files cannot hold %s", format->oformat->name,
                 avcodec_get_name(with->codec_id));
        return without(sound, why);
    }
    for (unsigned i = 0; i < source->nb_streams; i++)
        if ((int)i != sound->from) source->streams[i]->discard = AVDISCARD_ALL;
    AVStream *to = avformat_new_stream(format, NULL);
    sound->packet = av_packet_alloc();
    if (!to || !sound->packet || avcodec_parameters_copy(to->codecpar, with) < 0)
        return MIEN_FAIL(NO_MEMORY, "out of memory");
    to->codecpar->codec_tag = 0; /* the container chooses its own */
    to->time_base = source->streams[sound->from]->time_base;
    sound->to = to->index;
    sound->shift = first_frame(source);
    return MIEN_OK;
}

/* Reads the next packet on the copy's time; packets before its beginning are left out. */
static int read_sound(video_sound *sound) {
    AVPacket *packet = sound->packet;
    const AVStream *stream = sound->input.format->streams[sound->from];
    const int64_t shift = av_rescale_q(sound->shift, AV_TIME_BASE_Q, stream->time_base);
    for (;;) {
        const int code = av_read_frame(sound->input.format, packet);
        if (code < 0) return code;
        if (packet->stream_index == sound->from && packet->dts != AV_NOPTS_VALUE &&
            packet->dts >= shift) {
            packet->dts -= shift;
            if (packet->pts != AV_NOPTS_VALUE) packet->pts -= shift;
            packet->stream_index = sound->to;
            packet->pos = -1;
            return 0;
        }
        av_packet_unref(packet);
    }
}

int video_sound_copy(video_sound *sound, AVFormatContext *format, double time) {
    if (sound->to < 0) return 0;
    const AVRational from = sound->input.format->streams[sound->from]->time_base;
    while (!sound->ended) {
        if (!sound->waiting && read_sound(sound) < 0) {
            sound->ended = true;
            break;
        }
        sound->waiting = (double)sound->packet->dts * av_q2d(from) >= time;
        if (sound->waiting) break;
        av_packet_rescale_ts(sound->packet, from, format->streams[sound->to]->time_base);
        const int code = av_interleaved_write_frame(format, sound->packet);
        if (code < 0) return code;
    }
    return 0;
}

void video_sound_close(video_sound *sound) {
    av_packet_free(&sound->packet);
    video_input_close(&sound->input);
    sound->to = -1;
}
