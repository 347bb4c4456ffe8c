#include "host/cli/video_summary.h"

#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/image/encode.h"
#include "host/report/timeline.h"

/* The bins' first length; it doubles whenever the video turns out to be longer. */
static const double FIRST_BIN = 0.1;
/* A person may be dropped for a new one only when not seen for this long, if there is one. */
static const double RECENT = 10;

void video_summary_start(video_summary *s, const mien_meta *meta, bool raw) {
    *s = (video_summary){.meta = meta, .raw = raw, .bin_seconds = FIRST_BIN};
}

static size_t classes_of(const video_summary *s) {
    return (size_t)s->meta->classes;
}

static double total(const video_summary *s, const video_person *p) {
    double sum = 0;
    for (int k = 0; k < s->meta->classes; k++)
        sum += p->seconds[k];
    return sum;
}

static void free_person(video_person *p) {
    if (!p) return;
    mien_free(p->seconds);
    mien_free(p->bins);
    mien_free(p);
}

/* ---- persons ---- */

/* Drops the person seen for the shortest time, first among those who have gone. */
static void drop_one(video_summary *s) {
    int least = -1;
    for (int gone = 1; gone >= 0 && least < 0; gone--)
        for (int i = 0; i < s->person_count; i++) {
            if (gone && s->time - s->persons[i]->last < RECENT) continue;
            if (least < 0 || total(s, s->persons[i]) < total(s, s->persons[least])) least = i;
        }
    s->others++;
    s->others_seconds += total(s, s->persons[least]);
    free_person(s->persons[least]);
    s->persons[least] = s->persons[--s->person_count];
}

static mien_status add_person(video_summary *s, long long id, double time, video_person **out) {
    video_person *p = NULL;
    mien_status status;
    if (s->person_count == VIDEO_PERSONS) drop_one(s);
    MIEN_GO(mien_new(&p, 1, sizeof *p));
    MIEN_GO(mien_new(&p->seconds, classes_of(s), sizeof *p->seconds));
    MIEN_GO(mien_new(&p->bins, VIDEO_BINS * classes_of(s), sizeof *p->bins));
    p->id = id;
    p->first = time;
    p->pending = -1;
    s->persons[s->person_count++] = p;
    *out = p;
    return MIEN_OK;
out:
    free_person(p);
    return status;
}

static video_person *person_of(const video_summary *s, long long id) {
    for (int i = 0; i < s->person_count; i++)
        if (s->persons[i]->id == id) return s->persons[i];
    return NULL;
}

/* ---- time ---- */

/* Makes room for a later time: two bins become one of twice the length. */
static void widen(video_summary *s) {
    const size_t classes = classes_of(s);
    for (int i = 0; i < s->person_count; i++) {
        float *bins = s->persons[i]->bins;
        for (size_t b = 0; b < VIDEO_BINS / 2; b++)
            for (size_t k = 0; k < classes; k++)
                bins[b * classes + k] = bins[2 * b * classes + k] + bins[(2 * b + 1) * classes + k];
        memset(bins + VIDEO_BINS / 2 * classes, 0, VIDEO_BINS / 2 * classes * sizeof *bins);
    }
    s->bin_seconds *= 2;
}

/* The frame before lasted until now. */
static void settle(video_summary *s, double duration) {
    while (s->time >= VIDEO_BINS * s->bin_seconds)
        widen(s);
    const size_t bin = s->time > 0 ? (size_t)(s->time / s->bin_seconds) : 0;
    for (int i = 0; i < s->person_count; i++) {
        video_person *p = s->persons[i];
        if (p->pending < 0) continue;
        p->seconds[p->pending] += duration;
        p->bins[bin * classes_of(s) + (size_t)p->pending] += (float)duration;
        p->pending = -1;
    }
}

mien_status video_summary_add(video_summary *s, const mien_video_result *result) {
    const double time = result->frame->time;
    if (s->frames) {
        s->duration = time - s->time;
        settle(s, s->duration);
    }
    s->time = time;
    s->frames++;
    s->faceless += result->count == 0;
    s->repaired += result->frame->repaired;
    for (int i = 0; i < result->count; i++) {
        const mien_video_face *face = &result->faces[i];
        video_person *p = person_of(s, face->id);
        if (!p) MIEN_TRY(add_person(s, face->id, time, &p));
        p->last = time;
        p->frames++;
        p->pending = s->raw ? face->label : face->smoothed_label;
    }
    return MIEN_OK;
}

void video_summary_end(video_summary *s) {
    if (s->frames) settle(s, s->duration);
}

static double length_of(const video_summary *s) {
    return s->frames ? s->time + s->duration : 0;
}

/* ---- outputs ---- */

/* Persons by id. */
static int ordered(const video_summary *s, const video_person **out) {
    for (int i = 0; i < s->person_count; i++) {
        int at = i;
        for (; at > 0 && out[at - 1]->id > s->persons[i]->id; at--)
            out[at] = out[at - 1];
        out[at] = s->persons[i];
    }
    return s->person_count;
}

/* The classes of a person by falling share. */
static void shares_text(const video_summary *s, const video_person *p, mien_text *out) {
    const double sum = total(s, p);
    const char *separator = "";
    double above = 2;
    for (int n = 0; n < s->meta->classes; n++) {
        double next = -1;
        for (int k = 0; k < s->meta->classes; k++) {
            const double share = sum > 0 ? p->seconds[k] / sum : 0;
            if (share < above && share > next) next = share;
        }
        for (int k = 0; k < s->meta->classes; k++) {
            const double share = sum > 0 ? p->seconds[k] / sum : 0;
            if (share != next || share < 0.005) continue;
            mien_text_printf(out, "%s%s %.0f %%", separator, s->meta->class_names[k], 100 * share);
            separator = ", ";
        }
        above = next;
        if (next < 0.005) break;
    }
}

void video_summary_text(const video_summary *s, const char *source, mien_text *out) {
    const video_person *persons[VIDEO_PERSONS];
    const int count = ordered(s, persons);
    mien_text_printf(out, "%s: %lld frames, %.1f s, ", source, s->frames, length_of(s));
    if (count == 0)
        mien_text_puts(out, "no face found\n");
    else
        mien_text_printf(out, "%lld person%s\n", count + s->others,
                         count + s->others == 1 ? "" : "s");
    for (int i = 0; i < count; i++) {
        const video_person *p = persons[i];
        mien_text_printf(out, "person %lld  %.1f to %.1f s, seen %.1f s: ", p->id, p->first,
                         p->last, total(s, p));
        shares_text(s, p, out);
        mien_text_puts(out, "\n");
    }
    if (s->others)
        mien_text_printf(out, "%lld others, seen %.1f s together\n", s->others, s->others_seconds);
}

void video_summary_json(const video_summary *s, mien_json *json) {
    const video_person *persons[VIDEO_PERSONS];
    const int count = ordered(s, persons);
    mien_json_integer(json, "frames", s->frames);
    mien_json_integer(json, "frames_without_faces", s->faceless);
    mien_json_integer(json, "repaired_times", s->repaired);
    mien_json_number(json, "seconds", length_of(s));
    mien_json_open(json, "persons", '[');
    for (int i = 0; i < count; i++) {
        const video_person *p = persons[i];
        const double sum = total(s, p);
        mien_json_open(json, NULL, '{');
        mien_json_integer(json, "id", p->id);
        mien_json_number(json, "first_s", p->first);
        mien_json_number(json, "last_s", p->last);
        mien_json_integer(json, "frames", p->frames);
        mien_json_number(json, "seconds", sum);
        mien_json_open(json, "shares", '{');
        for (int k = 0; k < s->meta->classes; k++)
            mien_json_number(json, s->meta->class_names[k], sum > 0 ? p->seconds[k] / sum : 0);
        mien_json_close(json, '}');
        mien_json_close(json, '}');
    }
    mien_json_close(json, ']');
    mien_json_integer(json, "other_persons", s->others);
    mien_json_number(json, "other_persons_seconds", s->others_seconds);
}

mien_status video_summary_timeline(const video_summary *s, const char *source, const char *path) {
    const video_person *persons[VIDEO_PERSONS];
    mien_lane lanes[VIDEO_PERSONS];
    mien_text svg = {0};
    mien_image picture = {0};
    mien_status status;
    const int count = ordered(s, persons);
    for (int i = 0; i < count; i++) {
        snprintf(lanes[i].name, sizeof lanes[i].name, "person %lld", persons[i]->id);
        lanes[i].bins = persons[i]->bins;
    }
    const mien_timeline timeline = {.title = source,
                                    .class_names = s->meta->class_names,
                                    .classes = s->meta->classes,
                                    .bin_seconds = s->bin_seconds,
                                    .bin_count = VIDEO_BINS,
                                    .seconds = length_of(s),
                                    .lanes = lanes,
                                    .lane_count = count};
    if (mien_path_ends(path, ".png")) {
        MIEN_GO(mien_timeline_picture(&timeline, &picture));
        status = mien_image_write_png(&picture, path);
    } else {
        MIEN_GO(mien_timeline_svg(&timeline, &svg));
        status = mien_file_write(path, svg.data, svg.size);
    }
out:
    mien_text_release(&svg);
    mien_image_release(&picture);
    return status;
}

void video_summary_release(video_summary *s) {
    for (int i = 0; i < s->person_count; i++)
        free_person(s->persons[i]);
    *s = (video_summary){0};
}
