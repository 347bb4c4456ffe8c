#include "host/cli/video_screen.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/base/clock.h"
#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/cli/cli.h"
#include "host/image/draw.h"
#include "host/image/encode.h"

enum { ESCAPE = 27, TEXT_LEAST = 14, TEXT_LINES = 30 };
static const double NOTE_SECONDS = 3;
static const struct timespec KEYS_WAIT = {0, 20000000};
static const mien_color dark = {24, 24, 24}, light = {240, 240, 240};

static const char *const help[] = {"q: quit", "s: save picture", "space: pause", "h: hide help"};
enum { HELP = sizeof help / sizeof help[0] };

mien_status video_screen_open(video_screen *s, const char *title, int width, int height) {
    *s = (video_screen){.folder = "."};
    return mien_window_open(title, width, height, &s->window);
}

/* ---- the picture ---- */

static void draw_line(mien_image *image, int y, int size, const char *text) {
    const int pad = size / 3;
    char fits[160];
    mien_text_fit(text, size, image->width - 2 * pad, fits, sizeof fits);
    mien_draw_fill(image, (mien_rect){0, y, mien_text_width(fits, size) + 2 * pad, size + pad},
                   dark);
    mien_draw_text(image, pad, y + size / 6, size, light, fits);
}

static void draw_lines(video_screen *s) {
    char line[160];
    mien_image *image = &s->shown;
    const int size =
        image->height / TEXT_LINES < TEXT_LEAST ? TEXT_LEAST : image->height / TEXT_LINES;
    const int step = size + size / 3;
    snprintf(line, sizeof line, "%s%s%s", s->status, s->paused ? "  paused" : "",
             s->help ? "" : "  h: help");
    draw_line(image, 0, size, line);
    for (int i = 0; s->help && i < HELP; i++)
        draw_line(image, step * (i + 1), size, help[i]);
    if (mien_seconds() < s->note_until) draw_line(image, image->height - step, size, s->note);
}

static mien_status refresh(video_screen *s) {
    const mien_image *from = s->picture;
    const size_t bytes = (size_t)from->width * (size_t)from->height * (size_t)from->channels;
    MIEN_TRY(mien_grow(&s->shown.pixels, &s->shown_capacity, bytes, 1));
    memcpy(s->shown.pixels, from->pixels, bytes);
    s->shown = (mien_image){from->width, from->height, from->channels, s->shown.pixels};
    draw_lines(s);
    return mien_window_show(s->window, &s->shown);
}

/* ---- keys ---- */

/* A name that no file has, by the current time. */
static mien_status free_path(const video_screen *s, char *name, size_t size, char *path) {
    char stamp[32];
    struct tm now;
    const time_t seconds = time(NULL);
    localtime_r(&seconds, &now);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &now);
    for (int n = 1;; n++) {
        snprintf(name, size, n == 1 ? "mien-%s.png" : "mien-%s-%d.png", stamp, n);
        MIEN_TRY(mien_path_join(path, s->folder, name));
        if (!mien_file_exists(path)) return MIEN_OK;
    }
}

/* Saves the picture without the line of status. A failure does not end the run. */
static void save(video_screen *s) {
    char name[64] = "", path[MIEN_PATH];
    mien_status status = free_path(s, name, sizeof name, path);
    if (status == MIEN_OK) status = mien_make_folders(s->folder);
    if (status == MIEN_OK) status = mien_image_write_png(s->picture, path);
    if (status == MIEN_OK)
        MIEN_INFO("saved %s", path);
    else
        MIEN_WARN("%s", mien_error_message());
    snprintf(s->note, sizeof s->note, "%s%s", status == MIEN_OK ? "saved " : "not saved: ", name);
    s->note_until = mien_seconds() + NOTE_SECONDS;
}

static mien_status handle_keys(video_screen *s) {
    bool changed = false;
    for (int key; (key = mien_window_key(s->window)) != 0; changed = true) {
        if (key == 'q' || key == ESCAPE) s->quit = true;
        if (key == 's' && s->picture) save(s);
        if (key == ' ') s->paused = !s->paused;
        if (key == 'h') s->help = !s->help;
    }
    return changed && s->picture ? refresh(s) : MIEN_OK;
}

mien_status video_screen_idle(video_screen *s) {
    MIEN_TRY(handle_keys(s));
    while (s->paused && !s->quit && !cli_stop) {
        nanosleep(&KEYS_WAIT, NULL);
        MIEN_TRY(handle_keys(s));
    }
    return s->quit ? MIEN_FAIL(INTERRUPTED, "the window was closed") : MIEN_OK;
}

mien_status video_screen_show(video_screen *s, const mien_image *picture, const char *status) {
    s->picture = picture;
    snprintf(s->status, sizeof s->status, "%s", status);
    MIEN_TRY(refresh(s));
    return video_screen_idle(s);
}

void video_screen_close(video_screen *s) {
    mien_window_close(s->window);
    mien_free(s->shown.pixels);
    *s = (video_screen){0};
}
