/* mien realtime: the faces of a camera, in a window or as JSON lines. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/log.h"
#include "host/base/threads.h"
#include "host/cli/cli.h"
#include "host/cli/realtime.h"

enum { BATCH = 8 };

typedef struct realtime_args {
    cli_common common;
    cli_list models, rest;
    const char *camera, *detector, *min_face, *min_score, *every, *jsonl, *drop_classes, *folder;
    bool no_smooth, no_window, allow_url;
    bool whole; /* --detector none */
    mien_detector_choice choice;
    mien_video_faces_options faces;
    double score; /* used if min_score is set */
    char threads[16];
} realtime_args;

typedef struct realtime {
    const realtime_args *args;
    const mien_meta *meta;
    realtime_screen screen;
    bool windowed;
    FILE *lines; /* NULL: no JSON lines */
} realtime;

/* ---- the command line ---- */

static bool read_detector(realtime_args *args) {
    const char *word = args->detector ? args->detector : "haar";
    args->whole = strcmp(word, "none") == 0;
    if (args->whole && (args->min_face || args->min_score || args->every)) {
        fprintf(stderr, "mien: --min-face, --min-score and --every need a detector, not "
                        "--detector none\n");
        return false;
    }
    if (args->whole) return true;
    if (mien_detector_choose(word, &args->choice) != MIEN_OK) {
        fprintf(stderr, "mien: %s\n", mien_error_message());
        return false;
    }
    args->choice.threads = 1; /* the others answer frames */
    return true;
}

static bool read_numbers(realtime_args *args) {
    long long pixels = 0, every = 0;
    char *end;
    if (args->min_face && !cli_number("--min-face", args->min_face, 1, 65536, &pixels))
        return false;
    if (args->every && !cli_number("--every", args->every, 1, 1000, &every)) return false;
    args->faces.min_face = (int)pixels;
    args->faces.every = (int)every;
    if (!args->min_score) return true;
    args->score = strtod(args->min_score, &end);
    args->faces.min_score = &args->score;
    if (end != args->min_score && *end == 0 && isfinite(args->score)) return true;
    fprintf(stderr, "mien: --min-score must be a number, such as 5, not '%s'\n", args->min_score);
    return false;
}

static bool is_number(const char *text) {
    for (const char *c = text; *c; c++)
        if (!isdigit((unsigned char)*c)) return false;
    return *text;
}

/* "0" and "/dev/video0" are cameras; anything else is what mien_video_open takes. */
static void source_name(const realtime_args *args, char out[MIEN_PATH]) {
    const char *camera = args->camera ? args->camera : "0";
    const bool prefix = is_number(camera) || strncmp(camera, "/dev/", 5) == 0;
    snprintf(out, MIEN_PATH, "%s%s", prefix ? "camera:" : "", camera);
}

/* Detection has a thread of its own: the network's threads must not wait for one that shares its
 * CPU. */
static void leave_a_cpu(realtime_args *args) {
    const int cpus = mien_threads_available();
    args->common.unpinned = true;
    if (args->common.threads || args->whole || cpus < 2) return;
    snprintf(args->threads, sizeof args->threads, "%d", cpus - 1);
    args->common.threads = args->threads;
}

/* ---- JSON lines ---- */

static void face_json(const mien_meta *meta, const mien_video_face *face, mien_json *json) {
    const float confidence = face->smoothed[face->smoothed_label];
    mien_json_open(json, NULL, '{');
    mien_json_integer(json, "id", face->id);
    mien_json_open(json, "box", '{');
    mien_json_integer(json, "x", face->box.x);
    mien_json_integer(json, "y", face->box.y);
    mien_json_integer(json, "w", face->box.width);
    mien_json_integer(json, "h", face->box.height);
    mien_json_close(json, '}');
    mien_json_number(json, "detection_score", face->score);
    mien_json_string(json, "label", meta->class_names[face->smoothed_label]);
    mien_json_number(json, "confidence", confidence);
    mien_json_bool(json, "uncertain", confidence < meta->uncertain_below);
    mien_json_open(json, "scores", '{');
    for (int k = 0; k < meta->classes; k++)
        mien_json_number(json, meta->class_names[k], face->scores[k]);
    mien_json_close(json, '}');
    mien_json_close(json, '}');
}

static mien_status write_line(const realtime *r, const mien_video_result *result,
                              const mien_live_stats *stats) {
    mien_text text = {0};
    mien_json json = {.text = &text};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_integer(&json, "frame", result->frame->index);
    mien_json_number(&json, "time", result->frame->time);
    mien_json_number(&json, "latency", stats->latency);
    mien_json_open(&json, "faces", '[');
    for (int i = 0; i < result->count; i++)
        face_json(r->meta, &result->faces[i], &json);
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    mien_status status = text.status;
    if (status == MIEN_OK &&
        (fwrite(text.data, 1, text.size, r->lines) != text.size || fflush(r->lines) != 0))
        status =
            MIEN_FAIL(IO, "cannot write JSON lines to %s: %s",
                      r->args->jsonl ? r->args->jsonl : "the standard output", strerror(errno));
    mien_text_release(&text);
    return status;
}

static mien_status open_lines(realtime *r) {
    const realtime_args *args = r->args;
    if (args->jsonl) {
        r->lines = fopen(args->jsonl, "we");
        if (!r->lines) return MIEN_FAIL(IO, "cannot write '%s': %s", args->jsonl, strerror(errno));
    } else if (args->common.json || !r->windowed) {
        r->lines = stdout;
    }
    return MIEN_OK;
}

static mien_status close_lines(realtime *r, mien_status status) {
    FILE *file = r->lines;
    r->lines = NULL;
    if (file && file != stdout && fclose(file) != 0 && status == MIEN_OK)
        return MIEN_FAIL(IO, "cannot write '%s': %s", r->args->jsonl, strerror(errno));
    return status;
}

/* ---- the run ---- */

/* Without a window results are JSON lines, and one line says why. */
static void no_window(realtime *r) {
    r->windowed = false;
    if (r->args->jsonl)
        MIEN_WARN("%s; results go to '%s' only", mien_error_message(), r->args->jsonl);
    else
        MIEN_WARN("%s; results go to the standard output as JSON lines", mien_error_message());
    if (!r->lines && !r->args->jsonl) r->lines = stdout;
}

static mien_status take(void *context, const mien_video_result *result,
                        const mien_live_stats *stats) {
    realtime *r = context;
    if (r->lines) MIEN_TRY(write_line(r, result, stats));
    if (!r->windowed) return MIEN_OK;
    const bool first = !r->screen.window;
    const mien_status status = realtime_screen_show(&r->screen, result, stats);
    if (status != MIEN_UNSUPPORTED || !first) return status;
    no_window(r);
    return MIEN_OK;
}

static mien_status idle(void *context) {
    realtime *r = context;
    return r->windowed ? realtime_screen_idle(&r->screen) : MIEN_OK;
}

static void report(const mien_live_stats *stats) {
    if (stats->answers)
        MIEN_INFO("%lld frames answered, %lld skipped; from frame to answer %.0f ms (half of "
                  "them), %.0f ms (99 %%)",
                  stats->answers, stats->frames - stats->answers, 1e3 * stats->p50,
                  1e3 * stats->p99);
}

static mien_status run_camera(realtime *r, mien_frames *source, mien_ensemble *models) {
    const realtime_args *args = r->args;
    const mien_live_sink sink = {r, take, idle};
    mien_live_options options = {.faces = args->faces};
    mien_live_stats stats = {0};
    options.faces.raw = args->no_smooth;
    options.faces.stop = &cli_stop;
    mien_status status = mien_live_faces_run(source, models, args->whole ? NULL : &args->choice,
                                             &options, &sink, &stats);
    if (status == MIEN_INTERRUPTED && r->screen.quit) status = MIEN_OK;
    report(&stats);
    return status;
}

static mien_status realtime_run(realtime_args *args) {
    char found[MIEN_PATH], name[MIEN_PATH]; /* `found` must outlive the list of models */
    realtime r = {.args = args};
    mien_backend *backend = NULL;
    mien_ensemble models = {0};
    mien_frames source = {0};
    mien_status status;
    MIEN_TRY(cli_default_model(&args->models, found));
    MIEN_TRY(cli_writable("--jsonl", args->jsonl));
    MIEN_TRY(cli_writable_folder("--out", args->folder));
    MIEN_TRY(
        cli_spares("--jsonl", args->jsonl,
                   &(cli_inputs){&args->models, NULL, (const char *[]){args->choice.file}, 1}));
    if (args->folder) MIEN_TRY(mien_make_folders(args->folder));
    cli_catch_signals();
    leave_a_cpu(args);
    source_name(args, name);
    MIEN_GO(cli_backend(&args->common, &backend));
    MIEN_GO(mien_ensemble_open(args->models.items, args->models.count, backend, BATCH, &models));
    if (args->drop_classes) MIEN_GO(mien_ensemble_drop(&models, args->drop_classes));
    r.meta = &models.models[0].meta;
    r.windowed = !args->no_window && mien_window_check() == MIEN_OK;
    r.screen.meta = r.meta;
    r.screen.folder = args->folder ? args->folder : ".";
    MIEN_GO(
        mien_video_open(name,
                        &(mien_video_options){.colour = r.windowed || r.meta->input.channels == 3,
                                              .allow_url = args->allow_url,
                                              .stop = &cli_stop},
                        &source));
    if (!args->no_window && mien_window_check() != MIEN_OK) no_window(&r);
    MIEN_GO(open_lines(&r));
    status = run_camera(&r, &source, &models);
out:
    status = close_lines(&r, status);
    realtime_screen_release(&r.screen);
    mien_frames_close(&source);
    mien_ensemble_release(&models);
    mien_backend_close(backend);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    realtime_args args = {0};
    const cli_flag flags[] = {
        {"--camera", "N|FILE", "number of the camera, or a video to play (default: 0)",
         &args.camera, NULL, NULL},
        {"--model", "M",
         "model file or run directory; repeat to average (default: the included one)", NULL,
         &args.models, NULL},
        {"--detector", "haar[:XML]|none",
         "face detector; none: each frame is one face (default: haar)", &args.detector, NULL, NULL},
        {"--min-face", "PX", "smallest face in pixels (default: 10 % of the shorter side)",
         &args.min_face, NULL, NULL},
        {"--min-score", "X", "lowest detection score of a face (default: 3.5)", &args.min_score,
         NULL, NULL},
        {"--every", "K", "detect faces on every K-th frame, if there is time (default: 5)",
         &args.every, NULL, NULL},
        {"--no-smooth", NULL, "show each frame's own label", NULL, NULL, &args.no_smooth},
        {"--no-window", NULL, "no window, but JSON lines on stdout", NULL, NULL, &args.no_window},
        {"--jsonl", "FILE", "write JSON lines to a file", &args.jsonl, NULL, NULL},
        {"--out", "DIR", "save pictures to DIR (default: the working directory)", &args.folder,
         NULL, NULL},
        {"--drop-classes", "A,B", "never answer these classes", &args.drop_classes, NULL, NULL},
        {"--allow-url", NULL, "--camera may be a URL", NULL, NULL, &args.allow_url}};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!read_detector(&args) || !read_numbers(&args)) return EXIT_USAGE;
    const mien_status status = realtime_run(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_realtime = {
    "realtime", "[--camera N] [--model M]",
    "shows the faces of a camera and their emotions as they change",
    "  mien realtime\n"
    "  mien realtime --camera 1 --jsonl faces.jsonl\n"
    "  mien realtime --camera talk.mp4 --no-window\n\n"
    "keys in the window: q or Escape quits, s saves the picture, space pauses, h shows help\n",
    run};
