/* mien realtime: the faces of a camera, in a window or as JSON lines. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/cli/detector_flags.h"
#include "host/cli/video_output.h"
#include "host/cli/video_screen.h"
#include "host/infer/live_faces.h"

enum { BATCH = 8 }; /* faces that go through the network at once */

typedef struct realtime_args {
    cli_common common;
    cli_list models, rest;
    detector_flags faces;
    const char *camera, *every_text, *drop_classes, *folder;
    int every;
    bool no_window, allow_url;
    video_output_options outputs;
} realtime_args;

typedef struct realtime {
    const realtime_args *args;
    video_output out;
    video_screen screen;
} realtime;

/* ---- the command line ---- */

static bool check_values(realtime_args *args) {
    long long every = 0;
    if (!detector_flags_read(&args->faces)) return false;
    if (args->every_text && !cli_number("--every", args->every_text, 1, 1000, &every)) return false;
    args->every = (int)every;
    args->faces.choice.threads = 1; /* the others answer frames */
    if (!args->faces.none || !args->every_text) return true;
    fprintf(stderr, "mien: --every needs a detector, not --detector none\n");
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

static mien_status check_outputs(const realtime_args *args, const char *source) {
    const video_output_options *o = &args->outputs;
    const char *const flags[] = {"--jsonl", "--csv", "--annotate"};
    const char *const paths[] = {o->jsonl, o->csv, o->annotate};
    const char *const inputs[] = {source, args->faces.choice.file};
    for (int i = 0; i < 3; i++) {
        if (!paths[i] || strcmp(paths[i], "-") == 0) continue;
        MIEN_TRY(cli_writable(flags[i], paths[i]));
        MIEN_TRY(cli_spares(flags[i], paths[i], &(cli_inputs){&args->models, NULL, inputs, 2}));
        for (int j = 0; j < i; j++)
            if (paths[j] && strcmp(paths[j], paths[i]) == 0)
                return MIEN_FAIL(INVALID, "%s and %s name the same file '%s'", flags[j], flags[i],
                                 paths[i]);
    }
    return cli_writable_folder("--out", args->folder);
}

/* ---- the run ---- */

static mien_status take(void *context, const mien_video_result *result,
                        const mien_live_stats *stats) {
    realtime *r = context;
    char status[64];
    MIEN_TRY(video_output_take(&r->out, result));
    if (!r->screen.window) return MIEN_OK;
    snprintf(status, sizeof status, "%.0f fps  %.0f ms", stats->rate, 1e3 * stats->latency);
    return video_screen_show(&r->screen, &r->out.picture, status);
}

static mien_status idle(void *context) {
    realtime *r = context;
    return r->screen.window ? video_screen_idle(&r->screen) : MIEN_OK;
}

/* Without a window results are JSON lines, and one line says why. */
static mien_status open_window(realtime *r, const mien_video_info *info) {
    if (r->args->no_window) return MIEN_OK;
    const mien_status status = video_screen_open(&r->screen, "Mien", info->width, info->height);
    if (r->args->folder) r->screen.folder = r->args->folder;
    if (status != MIEN_UNSUPPORTED) return status;
    MIEN_WARN("%s; results go to %s as JSON lines", mien_error_message(),
              r->args->outputs.jsonl ? r->args->outputs.jsonl : "the standard output");
    return MIEN_OK;
}

static void report(const mien_live_stats *stats) {
    if (stats->answers)
        MIEN_INFO("%lld frames answered, %lld skipped; from frame to answer %.0f ms (median), "
                  "%.0f ms (99 %%)",
                  stats->answers, stats->frames - stats->answers, 1e3 * stats->p50,
                  1e3 * stats->p99);
}

static mien_status run_camera(const realtime_args *args, const char *name, mien_frames *source,
                              mien_ensemble *models) {
    realtime r = {.args = args};
    const mien_video_info info = source->info;
    video_output_options outputs = args->outputs;
    mien_live_stats stats = {0};
    const mien_live_options options = {.faces = {.every = args->every,
                                                 .min_face = args->faces.min_face,
                                                 .min_score = args->faces.min_score,
                                                 .raw = args->outputs.raw,
                                                 .stop = &cli_stop}};
    MIEN_TRY(open_window(&r, &info));
    outputs.draw = r.screen.window != NULL;
    if (!outputs.jsonl && (args->common.json || !r.screen.window)) outputs.jsonl = "-";
    mien_status status = video_output_start(&r.out, &outputs, &models->models[0].meta, name, &info);
    if (status == MIEN_OK)
        status = mien_live_faces_run(source, models, args->faces.none ? NULL : &args->faces.choice,
                                     &options, &(mien_live_sink){&r, take, idle}, &stats);
    if (status == MIEN_INTERRUPTED && r.screen.quit) status = MIEN_OK;
    status = video_output_finish(&r.out, status);
    report(&stats);
    video_screen_close(&r.screen);
    video_output_release(&r.out);
    return status;
}

static mien_status realtime_run(realtime_args *args) {
    char found[MIEN_PATH], name[MIEN_PATH]; /* `found` must outlive the list of models */
    mien_backend *backend = NULL;
    mien_ensemble models = {0};
    mien_frames source = {0};
    mien_status status;
    source_name(args, name);
    MIEN_TRY(cli_default_model(&args->models, found));
    MIEN_TRY(check_outputs(args, name));
    cli_catch_signals();
    cli_leave_a_cpu(&args->common, !args->faces.none);
    MIEN_GO(cli_backend(&args->common, &backend));
    MIEN_GO(mien_ensemble_open(args->models.items, args->models.count, backend, BATCH, &models));
    if (args->drop_classes) MIEN_GO(mien_ensemble_drop(&models, args->drop_classes));
    const bool window = !args->no_window && mien_window_check() == MIEN_OK;
    const mien_video_options options = {.colour = window || args->outputs.annotate ||
                                                  models.models[0].meta.input.channels == 3,
                                        .allow_url = args->allow_url,
                                        .stop = &cli_stop};
    MIEN_GO(mien_video_open(name, &options, &source));
    status = run_camera(args, name, &source, &models);
out:
    mien_frames_close(&source);
    mien_ensemble_release(&models);
    mien_backend_close(backend);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    realtime_args args = {0};
    const cli_flag flags[] = {
        {"--camera", "N|FILE", "number of the camera, or a video that is played (default: 0)",
         &args.camera, NULL, NULL},
        {"--model", "M",
         "model file or run directory; repeat to average (default: the included one)", NULL,
         &args.models, NULL},
        DETECTOR_FLAGS(&args.faces, "24, at least 10 % of the shorter side"),
        {"--every", "K", "detect on every K-th frame, if there is time (default: 5)",
         &args.every_text, NULL, NULL},
        VIDEO_OUTPUT_FLAGS(&args.outputs),
        {"--out", "DIR", "folder for saved pictures (default: the current one)", &args.folder, NULL,
         NULL},
        {"--no-window", NULL, "no window, but JSON lines on standard output", NULL, NULL,
         &args.no_window},
        {"--allow-url", NULL, "--camera may be a URL", NULL, NULL, &args.allow_url},
        {"--drop-classes", "A,B", "never answer these classes", &args.drop_classes, NULL, NULL},
        CLI_DTYPE_FLAG(args.common)};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!check_values(&args)) return EXIT_USAGE;
    const mien_status status = realtime_run(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_realtime = {
    "realtime", "[--camera N] [--model M]",
    "shows the faces of a camera and their emotions as they change",
    "  mien realtime\n"
    "  mien realtime --camera 1 --csv faces.csv --annotate meeting.mp4\n"
    "  mien realtime --camera talk.mp4 --no-window\n\n"
    "keys in the window: q or Escape quits, s saves the picture, space pauses, h shows help\n",
    run};
