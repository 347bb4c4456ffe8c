/* mien video: the faces of a video, frame by frame. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/log.h"
#include "host/cli/detector_flags.h"
#include "host/cli/video_output.h"
#include "host/cli/video_screen.h"

/* The most faces that go through the network at once; the frames between two detections are held in
 * memory. */
enum { BATCH = 64, EVERY_MAX = 60 };

typedef struct video_args {
    cli_common common;
    cli_list source, models;
    detector_flags faces;
    const char *every_text, *drop_classes;
    int every;
    bool allow_url;
    video_output_options outputs;
} video_args;

/* What the sink needs besides the outputs. */
typedef struct run_state {
    video_output out;
    video_screen screen; /* without a window unless --show */
    const mien_frames *frames;
    bool terminal;
    double started, drawn;
} run_state;

static bool check_values(video_args *args) {
    long long every = 0;
    if (!detector_flags_read(&args->faces)) return false;
    if (args->every_text && !cli_number("--every", args->every_text, 1, EVERY_MAX, &every))
        return false;
    args->every = (int)every;
    if (args->faces.none && args->every_text) {
        fprintf(stderr, "mien: --every needs a detector, not --detector none\n");
        return false;
    }
    const char *path = args->outputs.timeline;
    if (path && !mien_path_ends(path, ".svg") && !mien_path_ends(path, ".png")) {
        fprintf(stderr, "mien: --timeline writes .svg or .png, not '%s'\n", path);
        return false;
    }
    args->faces.choice.threads = 1; /* frames are detected side by side */
    if (args->source.count == 1) return true;
    fprintf(stderr, "mien: video needs one video file, or camera:N\n");
    return false;
}

static mien_status check_outputs(const video_args *args) {
    const struct {
        const char *flag, *path;
    } outputs[] = {{"--jsonl", args->outputs.jsonl},
                   {"--csv", args->outputs.csv},
                   {"--annotate", args->outputs.annotate},
                   {"--timeline", args->outputs.timeline}};
    enum { OUTPUTS = sizeof outputs / sizeof outputs[0] };
    const char *const inputs[] = {args->source.items[0], args->faces.choice.file};
    for (int i = 0; i < OUTPUTS; i++) {
        const char *path = outputs[i].path;
        if (!path || strcmp(path, "-") == 0) continue;
        MIEN_TRY(cli_writable(outputs[i].flag, path));
        MIEN_TRY(cli_spares(outputs[i].flag, path, &(cli_inputs){&args->models, NULL, inputs, 2}));
        for (int j = 0; j < i; j++)
            if (outputs[j].path && strcmp(outputs[j].path, path) == 0)
                return MIEN_FAIL(INVALID, "%s and %s name the same file '%s'", outputs[j].flag,
                                 outputs[i].flag, path);
    }
    return MIEN_OK;
}

/* ---- progress ---- */

static void show_progress(run_state *run, bool last) {
    const double now = mien_seconds(), spent = now - run->started;
    if (!run->terminal || (!last && now - run->drawn < 0.2)) return;
    run->drawn = now;
    const video_summary *s = &run->out.summary;
    const double share = run->frames->progress ? run->frames->progress(run->frames->state) : -1;
    fprintf(stderr, "\r%lld frames, %.1f s, %.0f frames/s", s->frames, s->time,
            spent > 0 ? (double)s->frames / spent : 0);
    if (share > 0 && share <= 1)
        fprintf(stderr, ", %.0f %%, ETA %.0f s", 100 * share, spent * (1 - share) / share);
    fputs("\033[K", stderr);
    if (last) fputs("\r\033[K", stderr);
}

static mien_status take(void *context, const mien_video_result *result) {
    run_state *run = context;
    char status[64];
    MIEN_TRY(video_output_take(&run->out, result));
    show_progress(run, false);
    if (!run->screen.window) return MIEN_OK;
    snprintf(status, sizeof status, "%.1f s", result->frame->time);
    return video_screen_show(&run->screen, &run->out.picture, status);
}

/* ---- the run ---- */

static mien_status print_summary(const video_args *args, const run_state *run, double seconds) {
    mien_text text = {0};
    const video_summary *s = &run->out.summary;
    if (args->common.json) {
        mien_json json = {.text = &text};
        mien_json_open(&json, NULL, '{');
        mien_json_integer(&json, "schema", 1);
        mien_json_string(&json, "source", args->source.items[0]);
        mien_json_integer(&json, "width", run->frames->info.width);
        mien_json_integer(&json, "height", run->frames->info.height);
        mien_json_string(&json, "codec", run->frames->info.codec);
        video_summary_json(s, &json);
        mien_json_number(&json, "frames_per_second", seconds > 0 ? (double)s->frames / seconds : 0);
        mien_json_close(&json, '}');
        mien_text_puts(&text, "\n");
    } else {
        video_summary_text(s, args->source.items[0], &text);
    }
    return cli_print(&text);
}

static bool uses_stdout(const video_args *args) {
    const char *jsonl = args->outputs.jsonl, *csv = args->outputs.csv;
    return (jsonl && strcmp(jsonl, "-") == 0) || (csv && strcmp(csv, "-") == 0);
}

static mien_status process(const video_args *args, mien_frames *frames, mien_ensemble *models) {
    run_state run = {.frames = frames,
                     .terminal = isatty(STDERR_FILENO) && !args->common.quiet,
                     .started = mien_seconds()};
    const mien_video_faces_options options = {.every = args->every,
                                              .min_face = args->faces.min_face,
                                              .min_score = args->faces.min_score,
                                              .raw = args->outputs.raw,
                                              .stop = &cli_stop};
    const mien_video_info *info = &frames->info;
    if (!args->faces.none)
        MIEN_INFO("%dx%d %s: faces of at least %d pixels, detected once in %d frames", info->width,
                  info->height, info->codec,
                  args->faces.min_face ? args->faces.min_face
                                       : mien_video_face_least(info->width, info->height),
                  args->every ? args->every : MIEN_VIDEO_EVERY);
    if (args->outputs.draw)
        MIEN_TRY(video_screen_open(&run.screen, args->source.items[0], info->width, info->height));
    mien_status status = video_output_start(&run.out, &args->outputs, &models->models[0].meta,
                                            args->source.items[0], info);
    if (status == MIEN_OK)
        status = mien_video_faces_run(frames, models, args->faces.none ? NULL : &args->faces.choice,
                                      &options, &(mien_video_sink){&run, take});
    show_progress(&run, true);
    if (status == MIEN_INTERRUPTED && run.screen.quit) status = MIEN_OK;
    status = video_output_finish(&run.out, status);
    if (run.out.summary.frames && !uses_stdout(args)) {
        const mien_status printed = print_summary(args, &run, mien_seconds() - run.started);
        if (status == MIEN_OK) status = printed;
    }
    video_screen_close(&run.screen);
    video_output_release(&run.out);
    return status;
}

static mien_status video(video_args *args) {
    char found[MIEN_PATH]; /* must outlive the list of models */
    mien_backend *backend = NULL;
    mien_ensemble models = {0};
    mien_frames frames = {0};
    mien_status status;
    MIEN_TRY(cli_default_model(&args->models, found));
    MIEN_TRY(check_outputs(args));
    cli_catch_signals();
    cli_leave_a_cpu(&args->common, !args->faces.none);
    MIEN_GO(cli_backend(&args->common, &backend));
    MIEN_GO(mien_ensemble_open(args->models.items, args->models.count, backend, BATCH, &models));
    if (args->drop_classes) MIEN_GO(mien_ensemble_drop(&models, args->drop_classes));
    const bool colour =
        models.models[0].meta.input.channels == 3 || args->outputs.annotate || args->outputs.draw;
    const mien_video_options options = {
        .colour = colour, .allow_url = args->allow_url, .stop = &cli_stop};
    MIEN_GO(mien_video_open(args->source.items[0], &options, &frames));
    status = process(args, &frames, &models);
out:
    mien_frames_close(&frames);
    mien_ensemble_release(&models);
    mien_backend_close(backend);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    video_args args = {0};
    const cli_flag flags[] = {
        {"--model", "M",
         "model file or run directory; repeat to average (default: the included one)", NULL,
         &args.models, NULL},
        DETECTOR_FLAGS(&args.faces, "24, at least 10 % of the shorter side"),
        {"--every", "K", "detect on every K-th frame, follow between (default: 5)",
         &args.every_text, NULL, NULL},
        VIDEO_OUTPUT_FLAGS(&args.outputs),
        {"--timeline", "FILE", "write who showed what when: .svg or .png", &args.outputs.timeline,
         NULL, NULL},
        {"--show", NULL, "show the annotated frames in a window", NULL, NULL, &args.outputs.draw},
        {"--allow-url", NULL, "SOURCE may be a URL", NULL, NULL, &args.allow_url},
        {"--drop-classes", "A,B", "never answer these classes", &args.drop_classes, NULL, NULL},
        CLI_DTYPE_FLAG(args.common)};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.source, 1,
                   &args.common, &exit_status))
        return exit_status;
    if (!check_values(&args)) return EXIT_USAGE;
    const mien_status status = video(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_video = {
    "video", "SOURCE [--model M]", "finds the faces of a video and follows their emotions",
    "  mien video talk.mp4\n"
    "  mien video talk.mp4 --csv faces.csv --annotate talk-faces.mp4 --timeline talk.svg\n"
    "  mien video camera:0 --jsonl - | head\n",
    run};
