/* mien predict: classifies the faces in photos. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/cli/predict.h"

/* With a face missing in one of CROPS_SHARE photos they may be crops. */
enum { BATCH = 32, FEW = 4, CROPS_SHARE = 4 };

static bool check_combination(const predict_args *args) {
    const bool detecting = detector_flags_given(&args->faces);
    if (args->data && (args->images.count || args->annotate || args->boxes || detecting)) {
        fprintf(stderr, "mien: --data cannot be combined with photos, --detector, --min-face, "
                        "--min-score, --boxes or --annotate\n");
        return false;
    }
    if (args->boxes && detecting) {
        fprintf(stderr, "mien: --boxes gives the faces: it cannot be combined with --detector, "
                        "--min-face or --min-score\n");
        return false;
    }
    return true;
}

static bool check_values(predict_args *args) {
    if (!detector_flags_read(&args->faces)) return false;
    if (!check_combination(args) || !cli_model_flags(&args->options, args->models.count))
        return false;
    if (args->on_bad && !args->data) {
        fprintf(stderr, "mien: --on-bad needs --data; unreadable photos are always skipped\n");
        return false;
    }
    if (!cli_on_bad(args->on_bad, &args->bad_rows)) return false;
    if (args->images.count || args->data) return true;
    fprintf(stderr, "mien: predict needs photos or folders of photos (or --data SRC)\n");
    return false;
}

/* Is a file, or the file that it links to, in the folder `target`? */
static bool is_in(const char *path, const char *target) {
    char folder[MIEN_PATH], resolved[PATH_MAX];
    mien_path_folder(folder, path);
    if (realpath(folder, resolved) && strcmp(resolved, target) == 0) return true;
    if (!realpath(path, resolved)) return false;
    mien_path_folder(folder, resolved);
    return strcmp(folder, target) == 0;
}

/* Annotated copies are named after the photos, so in a photo's own folder they would overwrite it.
 */
static mien_status check_annotate(const predict_args *args) {
    char target[PATH_MAX];
    if (!args->annotate || !realpath(args->annotate, target)) return MIEN_OK;
    for (size_t i = 0; i < args->file_count; i++)
        if (!args->files[i].error && is_in(args->files[i].path, target))
            return MIEN_FAIL(
                INVALID,
                "--annotate would write into the folder of the photo '%s': choose another "
                "folder",
                args->files[i].path);
    return MIEN_OK;
}

static mien_status check_csv(const predict_args *args) {
    MIEN_TRY(cli_spares("--csv", args->csv,
                        &(cli_inputs){&args->models, args->data,
                                      (const char *[]){args->faces.choice.file, args->boxes}, 2}));
    for (size_t i = 0; i < args->file_count; i++) {
        const char *photo = args->files[i].path;
        MIEN_TRY(cli_spares("--csv", args->csv, &(cli_inputs){.others = &photo, .other_count = 1}));
    }
    return MIEN_OK;
}

static void warn_of_one_answer(const mien_ensemble *models) {
    size_t count, of;
    const int k = mien_ensemble_one_answer(models, &count, &of);
    if (k >= 0)
        MIEN_WARN(
            "%zu of %zu faces are '%s': if they are not all alike, the model has collapsed or "
            "does not fit these pictures; check it with `mien evaluate` or try another --model",
            count, of, models->models[0].meta.class_names[k]);
}

static void warn_of_misfit(const predict_args *args, const mien_ensemble *models) {
    double ratio;
    const int i = mien_ensemble_misfit(models, &ratio);
    if (i >= 0)
        MIEN_WARN(
            "the pixels look nothing like those that '%s' was trained on: in its first layers "
            "they vary %.0f times as %s; is --preprocess right? (%s)",
            args->models.items[i], ratio > 1 ? sqrt(ratio) : sqrt(1 / ratio),
            ratio > 1 ? "much" : "little", "mien identify finds it from labelled images");
}

/* Pictures that are faces already often have no face found in them, which looks like a bad model.
 */
static void hint(const predict_args *args, const predict_output *out, const predict_boxes *boxes) {
    const size_t none = out->faceless, read = args->file_count - out->errors;
    if (boxes->clipped)
        MIEN_WARN("boxes of '%s' that reach outside their photo were clipped to it: %zu",
                  args->boxes, boxes->clipped);
    if (!none || args->data) return;
    if (args->boxes)
        MIEN_WARN("'%s' has no box for %zu of %zu photos", args->boxes, none, read);
    else if (read == 1)
        MIEN_WARN("if the picture is a crop of a face, give --detector none");
    else if (none * CROPS_SHARE >= read)
        MIEN_WARN("no face was found in %zu of %zu photos; are they crops of faces? Then give "
                  "--detector none",
                  none, read);
    else
        MIEN_WARN("no face was found in %zu of %zu photos", none, read);
}

static mien_status predict(predict_args *args) {
    char found[MIEN_PATH]; /* must outlive the list of models */
    mien_backend *backend = NULL;
    mien_ensemble models = {0};
    predict_output out = {.args = args};
    predict_detector detector;
    predict_boxes boxes = {0};
    mien_status status;
    MIEN_TRY(cli_default_model(&args->models, found));
    MIEN_TRY(cli_writable("--csv", args->csv));
    MIEN_TRY(cli_writable_folder("--annotate", args->annotate));
    MIEN_TRY(predict_collect(args));
    MIEN_TRY(check_annotate(args));
    MIEN_TRY(check_csv(args));
    status = args->boxes ? predict_boxes_read(args, &boxes) : MIEN_OK;
    if (status != MIEN_OK) {
        predict_boxes_release(&boxes);
        return status;
    }
    cli_catch_signals();
    predict_detector_begin(&detector, args);
    MIEN_GO(cli_backend(&args->common, &backend));
    /* a single photo has few faces: a small batch saves memory */
    const int batch = args->file_count == 1 ? FEW : BATCH;
    MIEN_GO(mien_ensemble_open_with(args->models.items, args->models.count, &args->options, backend,
                                    batch, &models));
    if (args->drop_classes) MIEN_GO(mien_ensemble_drop(&models, args->drop_classes));
    out.meta = &models.models[0].meta;
    status = args->data ? predict_data(args, &models, &out)
                        : predict_photos(args, &models, &detector, &boxes, &out);
    MIEN_GO(predict_output_finish(&out, status));
    warn_of_one_answer(&models);
    warn_of_misfit(args, &models);
    args->failed = out.errors + out.unwritten;
    if (out.errors && args->file_count > 1)
        MIEN_WARN("%zu of %zu photos could not be read", out.errors, args->file_count);
    hint(args, &out, &boxes);
    if (out.unwritten && args->file_count > 1)
        MIEN_WARN("%zu annotated copies could not be written", out.unwritten);
out:
    predict_detector_close(&detector);
    predict_boxes_release(&boxes);
    predict_output_release(&out);
    mien_ensemble_release(&models);
    mien_backend_close(backend);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    predict_args args = {0};
    const cli_flag flags[] = {
        {"--model", "M",
         "model file or run directory; repeat to average (default: the included one)", NULL,
         &args.models, NULL},
        DETECTOR_FLAGS(&args.faces, "24, at least 3.5 % of the shorter side"),
        {"--boxes", "FILE",
         "CSV with the faces, columns file,x,y,w,h, instead of a detector (such as one of --csv)",
         &args.boxes, NULL, NULL},
        {"--annotate", "DIR", "write copies of the photos with boxes and labels to DIR",
         &args.annotate, NULL, NULL},
        {"--csv", "FILE", "write a CSV with one row per face", &args.csv, NULL, NULL},
        {"--data", "SRC", "predict a data set, with or without labels, instead of photos",
         &args.data, NULL, NULL},
        {"--drop-classes", "A,B", "never answer these classes", &args.drop_classes, NULL, NULL},
        {"--on-bad", "fail|skip[:MAX]", "unreadable images or rows of --data (default: fail)",
         &args.on_bad, NULL, NULL},
        CLI_DTYPE_FLAG(args.common),
        CLI_MODEL_FLAGS(args.options)};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.images,
                   CLI_LIST_MAX, &args.common, &exit_status))
        return exit_status;
    if (!check_values(&args)) return EXIT_USAGE;
    const mien_status status = predict(&args);
    predict_forget(&args);
    if (status != MIEN_OK) return cli_fail(status);
    return args.failed ? EXIT_FAILED : EXIT_DONE;
}

const cli_command cmd_predict = {"predict", "[IMAGE|FOLDER]... [--model M]",
                                 "detects the faces in photos and predicts their emotions",
                                 "  mien predict photo.jpg\n"
                                 "  mien predict holiday/ --annotate annotated/ --csv faces.csv\n"
                                 "  mien predict face.png --detector none --model best.h5 --json\n"
                                 "  mien predict --data test.csv --csv scores.csv\n",
                                 run};
