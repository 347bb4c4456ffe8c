/* mien prepare: face crops of photos in class folders, for training. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/json.h"
#include "host/base/log.h"
#include "host/base/threads.h"
#include "host/cli/cli.h"
#include "host/data/pictures.h"
#include "host/formats/model.h"
#include "host/infer/prepare.h"

/* With a face missing in one of CROPS_SHARE photos they may be crops. */
enum { CROPS_SHARE = 4, SIDE_MIN = PICTURE_SIDE_MIN };

typedef struct prepare_args {
    cli_common common;
    cli_list rest, models;
    const char *detector, *min_face, *min_score_text, *faces, *size, *channels, *on_bad, *every;
    mien_prepare options;
    mien_detector_choice choice;
    double min_score;
    bool model_size; /* --size model */
} prepare_args;

/* ---- the command line ---- */

static bool read_detector(prepare_args *args) {
    mien_prepare *o = &args->options;
    o->detector_text = args->detector ? args->detector : "haar";
    if (strcmp(o->detector_text, "none") == 0) return true;
    if (mien_detector_choose(o->detector_text, &args->choice) != MIEN_OK) {
        fprintf(stderr, "mien: --detector: %s, none\n", mien_error_message());
        return false;
    }
    args->choice.threads = 1; /* photos are searched side by side */
    o->detector = &args->choice;
    return true;
}

static bool read_rules(prepare_args *args) {
    mien_prepare *o = &args->options;
    long long pixels = 0;
    char *end;
    if (args->min_face && !cli_number("--min-face", args->min_face, 1, 65536, &pixels))
        return false;
    o->min_face = (int)pixels;
    if (args->min_score_text) {
        args->min_score = strtod(args->min_score_text, &end);
        o->min_score = &args->min_score;
        if (end == args->min_score_text || *end || !isfinite(args->min_score)) {
            fprintf(stderr, "mien: --min-score must be a number, such as 5, not '%s'\n",
                    args->min_score_text);
            return false;
        }
    }
    if (o->detector || (!args->min_face && !args->min_score_text && !args->faces)) return true;
    fprintf(stderr, "mien: --min-face, --min-score and --faces need a detector, not --detector "
                    "none\n");
    return false;
}

static bool read_faces(prepare_args *args) {
    if (!args->faces) return true;
    for (int i = 0; i < MIEN_FACES_CHOICES; i++)
        if (strcmp(args->faces, mien_prepare_faces_names[i]) == 0) {
            args->options.faces = (mien_prepare_faces)i;
            return true;
        }
    fprintf(stderr, "mien: --faces must be largest, one or all, not '%s'\n", args->faces);
    return false;
}

static bool read_size(prepare_args *args) {
    mien_prepare *o = &args->options;
    const char *size = args->size ? args->size : "full", *channels = args->channels;
    char *end;
    o->side_max = MIEN_PREPARE_SIDE_MAX;
    args->model_size = strcmp(size, "model") == 0;
    if (!args->model_size && strcmp(size, "full") != 0) {
        const long side = strtol(size, &end, 10);
        if (*end || side < SIDE_MIN || side > MIEN_PREPARE_SIDE_MAX) {
            fprintf(stderr,
                    "mien: --size must be full, model or a number from %d to %d, not '%s'\n",
                    SIDE_MIN, MIEN_PREPARE_SIDE_MAX, size);
            return false;
        }
        o->side_max = (int)side;
    }
    if (channels && strcmp(channels, "1") != 0 && strcmp(channels, "3") != 0) {
        fprintf(stderr, "mien: --channels must be 1 (gray) or 3 (colour), not '%s'\n", channels);
        return false;
    }
    o->channels = channels ? channels[0] - '0' : 0;
    return true;
}

static bool read_every(prepare_args *args) {
    char *end;
    args->options.every = 1;
    if (!args->every) return true;
    args->options.every = strtod(args->every, &end);
    if (end != args->every && !*end && args->options.every >= 0.001 && args->options.every <= 1e6)
        return true;
    fprintf(stderr, "mien: --every must be a number of seconds, such as 0.5, not '%s'\n",
            args->every);
    return false;
}

static bool check_values(prepare_args *args) {
    mien_prepare *o = &args->options;
    if (!o->source || !o->out) {
        fprintf(stderr, "mien: prepare needs --data SRC, a folder of photos, and --out DIR\n");
        return false;
    }
    if (args->models.count > 1) {
        fprintf(stderr, "mien: --model may be given once\n");
        return false;
    }
    if (!read_detector(args) || !read_rules(args) || !read_faces(args) || !read_size(args) ||
        !read_every(args) || !cli_on_bad(args->on_bad, &o->bad_folders))
        return false;
    o->bad_photos = args->on_bad ? o->bad_folders : (mien_on_bad){true, -1};
    return true;
}

/* The crop rule and, where they are asked for, the size and channels of the model. */
static mien_status read_model(prepare_args *args) {
    char found[MIEN_PATH];
    mien_model model = {0};
    mien_prepare *o = &args->options;
    MIEN_TRY(cli_default_model(&args->models, found));
    const mien_status status = mien_model_open(args->models.items[0], &model);
    const mien_image_spec input = model.meta.input;
    o->crop = model.meta.crop;
    mien_model_release(&model);
    MIEN_TRY(status);
    if (!o->channels && input.channels != 1 && input.channels != 3)
        return MIEN_FAIL(UNSUPPORTED, "'%s' reads pictures of %d channels: give --channels 1 or 3",
                         args->models.items[0], input.channels);
    if (!o->channels) o->channels = input.channels;
    if (!args->model_size) return MIEN_OK;
    o->height = input.height;
    o->width = input.width;
    return MIEN_OK;
}

/* ---- output ---- */

typedef struct bar {
    double start;
    size_t first;
    bool shown;
} bar;

static void show_progress(void *context, size_t done, size_t of) {
    bar *b = context;
    const double now = mien_seconds();
    if (b->start == 0) {
        b->start = now;
        b->first = done;
    }
    const double rate = now > b->start ? (double)(done - b->first) / (now - b->start) : 0;
    fprintf(stderr, "\r%zu/%zu photos", done, of);
    if (rate > 0) fprintf(stderr, "  %.0f/s  ETA %.0f s   ", rate, (double)(of - done) / rate);
    b->shown = true;
}

static void wipe(const bar *b) {
    if (b->shown) fprintf(stderr, "\r%60s\r", "");
}

static mien_status print_count(const mien_prepare_count *count, int width) {
    const char *before = "; rejected: ";
    mien_text name = {0};
    mien_text_column(&name, count->name, -width);
    MIEN_TRY(cli_print(&name));
    printf("  %zu photo%s, ", count->photos, count->photos == 1 ? "" : "s");
    if (count->videos) printf("%zu video%s, ", count->videos, count->videos == 1 ? "" : "s");
    printf("%zu face%s", count->faces, count->faces == 1 ? "" : "s");
    for (int k = 1; k < MIEN_REJECTS; k++) {
        if (!count->rejected[k]) continue;
        printf("%s%zu %s", before, count->rejected[k], mien_reject_names[k]);
        before = ", ";
    }
    printf("\n");
    return MIEN_OK;
}

static mien_status print_text(const prepare_args *args, const mien_prepare_result *result) {
    int width = 3;
    for (int k = 0; k < result->class_count; k++) {
        const int letters = mien_letters(result->classes[k].name);
        width = letters > width ? letters : width;
    }
    for (int k = 0; k < result->class_count; k++)
        MIEN_TRY(print_count(&result->classes[k], width));
    MIEN_TRY(print_count(&result->total, width));
    if (result->earlier) printf("%zu of the photos were done before\n", result->earlier);
    printf("crops, manifest.csv and rejected.csv: %s\n", args->options.out);
    return MIEN_OK;
}

static void count_json(mien_json *json, const mien_prepare_count *count) {
    static const char *const keys[MIEN_REJECTS] = {"", "no_face", "several_faces", "too_small",
                                                   "unreadable"};
    mien_json_integer(json, "photos", (long long)count->photos);
    mien_json_integer(json, "videos", (long long)count->videos);
    mien_json_integer(json, "faces", (long long)count->faces);
    mien_json_open(json, "rejected", '{');
    for (int k = 1; k < MIEN_REJECTS; k++)
        mien_json_integer(json, keys[k], (long long)count->rejected[k]);
    mien_json_close(json, '}');
}

static mien_status print_json(const prepare_args *args, const mien_prepare_result *result) {
    mien_text text = {0};
    mien_json json = {.text = &text};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "out", args->options.out);
    mien_json_integer(&json, "done_before", (long long)result->earlier);
    count_json(&json, &result->total);
    mien_json_open(&json, "classes", '{');
    for (int k = 0; k < result->class_count; k++) {
        mien_json_open(&json, result->classes[k].name, '{');
        count_json(&json, &result->classes[k]);
        mien_json_close(&json, '}');
    }
    mien_json_close(&json, '}');
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    return cli_print(&text);
}

/* Pictures that are faces already often have no face found in them. */
static mien_status check_result(const mien_prepare_result *result) {
    const size_t photos = result->total.photos + result->total.videos;
    const size_t none = result->total.rejected[MIEN_REJECT_NO_FACE];
    if (!result->total.faces && none == photos)
        return MIEN_FAIL(FORMAT,
                         "no face was found in any of %zu photos: if they are crops of faces, "
                         "train on them as they are",
                         photos);
    if (!result->total.faces)
        return MIEN_FAIL(FORMAT, "no photo of %zu gave a face: rejected.csv tells why", photos);
    if (none * CROPS_SHARE >= photos)
        MIEN_WARN("no face was found in %zu of %zu photos; are they crops of faces? Then train on "
                  "them as they are",
                  none, photos);
    return MIEN_OK;
}

static mien_status prepare(prepare_args *args) {
    mien_prepare *o = &args->options;
    mien_prepare_result result = {0};
    bar progress = {0};
    MIEN_TRY(read_model(args));
    MIEN_TRY(cli_writable_folder("--out", o->out));
    cli_catch_signals();
    cli_outlive_readers();
    o->stop = &cli_stop;
    mien_threads_start(cli_threads(&args->common), false);
    if (isatty(STDERR_FILENO) && !args->common.quiet) {
        o->progress = show_progress;
        o->context = &progress;
    }
    mien_status status = mien_prepare_run(o, &result);
    wipe(&progress);
    result.total.name[0] = 0;
    snprintf(result.total.name, sizeof result.total.name, "all");
    if (status == MIEN_OK && args->common.json)
        status = print_json(args, &result);
    else if (status == MIEN_OK)
        status = print_text(args, &result);
    if (status == MIEN_OK) status = check_result(&result);
    mien_prepare_release(&result);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    prepare_args args = {0};
    mien_prepare *o = &args.options;
    const cli_flag flags[] = {
        {"--data", "SRC", "folder with a folder of photos or videos per class, as for mien train",
         &o->source, NULL, NULL},
        {"--out", "DIR", "folder for the crops, in the same folders; a stopped run continues",
         &o->out, NULL, NULL},
        {"--model", "M", "model whose crop rule is used (default: the included one)", NULL,
         &args.models, NULL},
        {"--detector", "haar[:XML]|none",
         "face detector; none: each photo is one crop (default: haar)", &args.detector, NULL, NULL},
        {"--min-face", "PX",
         "smallest face in pixels (default: 24, at least 3.5 % of the shorter side)",
         &args.min_face, NULL, NULL},
        {"--min-score", "X", "lowest detection score of a face (default: 3.5)",
         &args.min_score_text, NULL, NULL},
        {"--faces", "largest|one|all",
         "of several faces take the largest, reject the photo, or take all (default: largest)",
         &args.faces, NULL, NULL},
        {"--every", "SECONDS",
         "seconds between the frames of a video that are searched (default: 1)", &args.every, NULL,
         NULL},
        {"--size", "full|model|N",
         "crops in the photo's resolution, of the model's input size, or of at most N pixels a "
         "side (default: full)",
         &args.size, NULL, NULL},
        {"--channels", "1|3", "gray or colour crops (default: as the model reads)", &args.channels,
         NULL, NULL},
        {"--on-bad", "fail|skip[:MAX]",
         "photos and videos that cannot be read (default: skip, listed in rejected.csv)",
         &args.on_bad, NULL, NULL},
        {"--force", NULL, "begin anew in a folder of an earlier run, whose crops are removed", NULL,
         NULL, &o->force}};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!check_values(&args)) return EXIT_USAGE;
    const mien_status status = prepare(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_prepare = {
    "prepare", "--data SRC --out DIR [--model M]",
    "cuts the faces out of photos and videos in class folders",
    "  mien prepare --data photos --out faces\n"
    "  mien train folder --data faces\n"
    "  mien prepare --data photos --out faces --faces one --size 224 --channels 3\n",
    run};
