/* The window of mien realtime: faces, speed, keys. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/base/clock.h"
#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/cli/cli.h"
#include "host/cli/realtime.h"
#include "host/image/encode.h"
#include "host/vision/vision.h"

enum { ESCAPE = 27, KEYS_WAIT = 20 /* ms */, OVERLAYS = 256 };
static const double NOTE_SECONDS = 3;
static const mien_color dark = {24, 24, 24}, light = {240, 240, 240};
static const char *const help[] = {"q, Escape  quit", "s          save this picture",
                                   "space      pause, go on", "h          hide this help"};
enum { HELP = sizeof help / sizeof help[0] };

static mien_status copy_image(const mien_image *from, mien_image *to, size_t *capacity) {
    const size_t bytes = (size_t)from->width * (size_t)from->height * (size_t)from->channels;
    MIEN_TRY(mien_grow(&to->pixels, capacity, bytes, 1));
    memcpy(to->pixels, from->pixels, bytes);
    to->width = from->width;
    to->height = from->height;
    to->channels = from->channels;
    return MIEN_OK;
}

/* ---- the picture ---- */

static void describe(const mien_meta *meta, const mien_video_face *face, mien_overlay *out) {
    const float confidence = face->smoothed[face->smoothed_label];
    char id[24] = "";
    *out = (mien_overlay){.box = face->box, .uncertain = confidence < meta->uncertain_below};
    if (face->id) snprintf(id, sizeof id, "#%lld ", face->id);
    snprintf(out->label, sizeof out->label, "%s%.40s %.0f %%%s", id,
             meta->class_names[face->smoothed_label], 100.0 * confidence,
             out->uncertain ? "?" : "");
}

static mien_status draw_faces(realtime_screen *s, const mien_video_result *result) {
    mien_overlay overlays[OVERLAYS];
    const int count = result->count < OVERLAYS ? result->count : OVERLAYS;
    MIEN_TRY(copy_image(&result->frame->colour, &s->picture, &s->picture_capacity));
    for (int i = 0; i < count; i++)
        describe(s->meta, &result->faces[i], &overlays[i]);
    return mien_overlay_draw(&s->picture, overlays, count);
}

static void draw_line(mien_image *image, int x, int y, int size, const char *text) {
    const int pad = size / 3;
    mien_draw_fill(image, (mien_rect){x, y, mien_text_width(text, size) + 2 * pad, size + pad},
                   dark);
    mien_draw_text(image, x + pad, y + size / 6, size, light, text);
}

static void draw_status(realtime_screen *s) {
    char line[160];
    mien_image *image = &s->shown;
    const int size = image->height / 30 < 12 ? 12 : image->height / 30, step = size + size / 3;
    snprintf(line, sizeof line, "%.0f fps  %.0f ms%s%s", s->stats.rate, 1e3 * s->stats.latency,
             s->paused ? "  paused" : "", s->help ? "" : "  h: help");
    draw_line(image, 0, 0, size, line);
    for (int i = 0; s->help && i < HELP; i++)
        draw_line(image, 0, step * (i + 2), size, help[i]);
    if (mien_seconds() < s->note_until) draw_line(image, 0, image->height - step, size, s->note);
}

static mien_status refresh(realtime_screen *s) {
    MIEN_TRY(copy_image(&s->picture, &s->shown, &s->shown_capacity));
    draw_status(s);
    return mien_window_show(s->window, &s->shown);
}

/* ---- keys ---- */

static void say(realtime_screen *s, const char *text) {
    snprintf(s->note, sizeof s->note, "%s", text);
    s->note_until = mien_seconds() + NOTE_SECONDS;
}

/* Saves what is seen, without the line of status, under a name that is not taken. */
static void save(realtime_screen *s) {
    char name[64], path[MIEN_PATH], text[sizeof s->note];
    struct tm now;
    const time_t seconds = time(NULL);
    localtime_r(&seconds, &now);
    mien_status status = MIEN_OK;
    do {
        snprintf(name, sizeof name, "mien-%04d%02d%02d-%02d%02d%02d-%d.png", now.tm_year + 1900,
                 now.tm_mon + 1, now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec, ++s->saved);
        status = mien_path_join(path, s->folder, name);
    } while (status == MIEN_OK && mien_file_exists(path));
    if (status == MIEN_OK) status = mien_image_write_png(&s->picture, path);
    if (status == MIEN_OK)
        MIEN_INFO("saved %s", path);
    else
        MIEN_WARN("%s", mien_error_message());
    snprintf(text, sizeof text, "%s%s", status == MIEN_OK ? "saved " : "not saved: ", name);
    say(s, text);
}

/* Returns whether there was a key. */
static bool handle_key(realtime_screen *s) {
    const int key = mien_window_key(s->window);
    if (key == 'q' || key == ESCAPE) s->quit = true;
    if (key == 's') save(s);
    if (key == ' ') s->paused = !s->paused;
    if (key == 'h') s->help = !s->help;
    return key != 0;
}

static mien_status handle_keys(realtime_screen *s) {
    bool changed = false;
    while (handle_key(s))
        changed = true;
    return changed ? refresh(s) : MIEN_OK;
}

/* Frames that come meanwhile are skipped. */
static mien_status wait_while_paused(realtime_screen *s) {
    const struct timespec step = {0, KEYS_WAIT * 1000000L};
    while (s->paused && !s->quit && !cli_stop) {
        nanosleep(&step, NULL);
        MIEN_TRY(handle_keys(s));
    }
    return MIEN_OK;
}

static mien_status quit_status(const realtime_screen *s) {
    return s->quit ? MIEN_FAIL(INTERRUPTED, "the window was closed") : MIEN_OK;
}

mien_status realtime_screen_show(realtime_screen *s, const mien_video_result *result,
                                 const mien_live_stats *stats) {
    const mien_image *colour = &result->frame->colour;
    if (!s->window) MIEN_TRY(mien_window_open("Mien", colour->width, colour->height, &s->window));
    s->stats = *stats;
    MIEN_TRY(draw_faces(s, result));
    MIEN_TRY(refresh(s));
    MIEN_TRY(handle_keys(s));
    MIEN_TRY(wait_while_paused(s));
    return quit_status(s);
}

mien_status realtime_screen_idle(realtime_screen *s) {
    if (!s->window) return MIEN_OK;
    MIEN_TRY(handle_keys(s));
    MIEN_TRY(wait_while_paused(s));
    return quit_status(s);
}

void realtime_screen_release(realtime_screen *s) {
    mien_window_close(s->window);
    mien_free(s->picture.pixels);
    mien_free(s->shown.pixels);
}
