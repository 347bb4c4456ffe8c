/* mien convert: writes a model in another format; int8 needs calibration. */
#include <stdio.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/cli/model_flags.h"
#include "host/data/merge.h"
#include "host/formats/format.h"
#include "host/infer/calibrate.h"

enum { IMAGES = 512 };

typedef struct convert_args {
    cli_common common;
    cli_list rest;
    const char *data, *split, *images, *on_bad;
    mien_model_options options;
    bool scaled_inside;
    const mien_model_format *format; /* of OUT; in int8 exactly with --calibrate */
    mien_part part;
    size_t wanted;
    mien_on_bad bad_rows;
} convert_args;

/* Keeps `wanted` images of the part, evenly spaced because data sets are often sorted. */
static void thin(mien_dataset *set, mien_part part, size_t wanted) {
    size_t counts[MIEN_CLASSES_MAX], seen = 0;
    const size_t have = mien_dataset_counts(set, part, counts);
    for (size_t i = 0; have > wanted && i < set->count; i++) {
        if (set->part[i] != part) continue;
        if ((seen + 1) * wanted / have == seen * wanted / have) set->part[i] = MIEN_NO_PART;
        seen++;
    }
}

/* Loads the part of the data under the model's own split. Data without named parts are used whole.
 */
static mien_status load(const convert_args *args, const mien_model *model, mien_dataset *set) {
    mien_split split = model->meta.split;
    const mien_on_bad on_bad =
        args->on_bad ? args->bad_rows : mien_meta_on_bad(&model->meta, args->data);
    const mien_label_rules rules = {.choice = &model->meta.choice,
                                    .soft_mode = (int)model->meta.soft_mode};
    MIEN_TRY(mien_dataset_load_all(args->data, model->meta.input, on_bad, MIEN_MEMORY_RESIDENT,
                                   &rules, set));
    MIEN_TRY(mien_choice_apply(&model->meta.choice, false, set)); /* else the split differs */
    if (split.by == MIEN_BY_USAGE && !mien_split_named(set))
        memset(set->part, args->part, set->count);
    else
        MIEN_TRY(mien_split_apply(set, &split));
    thin(set, args->part, args->wanted);
    return MIEN_OK;
}

/* The output must not be an input and must be an int8 format. */
static mien_status check_files(const convert_args *args) {
    const char *model = args->rest.items[0], *out = args->rest.items[1];
    char path[MIEN_PATH];
    MIEN_TRY(mien_model_file(model, path));
    const char *const others[] = {path};
    MIEN_TRY(cli_spares("convert", out, &(cli_inputs){NULL, args->data, others, 1}));
    if (args->format) return MIEN_OK;
    char known[128];
    mien_model_suffixes(MIEN_FORMAT_WRITTEN, known, sizeof known);
    return MIEN_FAIL(INVALID, "'%s' must end in %s", out, known);
}

static int linear_layers(const mien_graph *graph) {
    int count = 0;
    for (int i = 0; i < graph->count; i++)
        count += graph->nodes[i].def->linear != NULL;
    return count;
}

static void report_json(const convert_args *args, int layers, const mien_calibration *r,
                        mien_text *out) {
    mien_json json = {.text = out, .pretty = true};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "model", args->rest.items[1]);
    mien_json_integer(&json, "layers", layers);
    mien_json_integer(&json, "int8_layers", r->layers);
    mien_json_integer(&json, "images", (long long)r->images);
    if (args->data)
        mien_json_string(&json, "clip", mien_clip_name(r->clip));
    else
        mien_json_null(&json, "clip");
    if (r->measured) {
        mien_json_number(&json, "agreement", r->agreement);
        mien_json_number(&json, "error", r->error);
    } else {
        mien_json_null(&json, "agreement");
        mien_json_null(&json, "error");
    }
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}

static void report_text(const convert_args *args, int layers, const mien_calibration *r,
                        mien_text *out) {
    if (!args->data) {
        mien_text_printf(out, "%s: %s from %s\n", args->rest.items[1], args->format->content,
                         args->rest.items[0]);
        return;
    }
    mien_text_printf(
        out, "%s: %d of %d layers in int8, calibrated with %zu images of %s (clip: %s)\n",
        args->rest.items[1], r->layers, layers, r->images, args->data, mien_clip_name(r->clip));
    if (r->measured)
        mien_text_printf(out,
                         "on these images %.1f %% of predictions stay the same; probabilities "
                         "differ by %.4f on average\n",
                         100 * r->agreement, r->error);
    else
        mien_text_puts(out, "this machine cannot run int8: not compared with the original\n");
}

static mien_status report(const convert_args *args, const mien_model *model,
                          const mien_calibration *r) {
    mien_text text = {0};
    const int layers = linear_layers(&model->graph);
    if (args->common.json)
        report_json(args, layers, r, &text);
    else
        report_text(args, layers, r, &text);
    return cli_print(&text);
}

static mien_status calibrate(const convert_args *args, mien_model *model,
                             mien_calibration *result) {
    mien_backend *backend = NULL;
    mien_dataset set = {0};
    mien_status status;
    MIEN_TRY(cli_backend(&args->common, &backend));
    MIEN_GO(load(args, model, &set));
    MIEN_GO(mien_calibrate(model, &set, args->part, backend, result));
    snprintf(model->calibration, sizeof model->calibration, "%zu images, %s part of %.64s, clip %s",
             result->images, mien_part_name(args->part), args->data, mien_clip_name(result->clip));
out:
    mien_dataset_release(&set);
    mien_backend_close(backend);
    return status;
}

static mien_status convert(const convert_args *args) {
    mien_model model = {0};
    mien_calibration result = {0};
    mien_status status;
    MIEN_TRY(check_files(args));
    MIEN_GO(mien_model_open_with(args->rest.items[0], &args->options, &model));
    if (!args->data && model.quant.nodes)
        MIEN_GO(
            MIEN_FAIL(INVALID,
                      "'%s' would hold a model in float, and '%s' is in int8; take the one that "
                      "it was made from",
                      args->rest.items[1], args->rest.items[0]));
    if (args->data) MIEN_GO(mien_model_complete(&model, args->rest.items[0]));
    if (args->data) MIEN_GO(calibrate(args, &model, &result));
    model.scaled_inside = args->scaled_inside;
    MIEN_GO(mien_model_save(&model, args->rest.items[1]));
    status = report(args, &model, &result);
out:
    mien_model_release(&model);
    return status;
}

/* Does OUT's format go with the flags? One that is not known is left to the work: it is no matter
 * of flags. */
static bool check_format(convert_args *args) {
    const char *out = args->rest.items[1];
    args->format = mien_model_format_for(out, args->data != NULL);
    if (args->format && args->scaled_inside && !(args->format->flags & MIEN_FORMAT_SCALES)) {
        char known[128];
        mien_model_suffixes(MIEN_FORMAT_SCALES | MIEN_FORMAT_WRITTEN, known, sizeof known);
        fprintf(stderr, "mien: --with-preprocessing is for %s, not '%s'\n", known, out);
        return false;
    }
    if (args->format) return true;
    if (!mien_model_format_for(out, false)) return true;
    fprintf(stderr,
            "mien: '%s' is a model in float, which is written as it is: leave out --calibrate\n",
            out);
    return false;
}

static bool check_values(convert_args *args) {
    static const char *const parts[] = {"train", "val", "test"};
    long long images = IMAGES;
    args->part = MIEN_TRAIN;
    for (int i = 0; args->split && i < MIEN_PARTS; i++) {
        args->part = (mien_part)i;
        if (strcmp(args->split, parts[i]) == 0) break;
        if (i < MIEN_PARTS - 1) continue;
        fprintf(stderr, "mien: --split must be train, val or test, not '%s'\n", args->split);
        return false;
    }
    if (args->images && !cli_number("--images", args->images, 1, 1000000, &images)) return false;
    args->wanted = (size_t)images;
    if (!cli_on_bad(args->on_bad, &args->bad_rows) || !cli_model_flags(&args->options, 1))
        return false;
    if (args->rest.count < 2) {
        fprintf(stderr, "mien: convert needs MODEL and OUT, and --calibrate SRC for int8; see mien "
                        "convert --help\n");
        return false;
    }
    if (!check_format(args)) return false;
    if (args->data || !(args->images || args->split || args->on_bad)) return true;
    fprintf(stderr, "mien: --images, --split and --on-bad belong to --calibrate\n");
    return false;
}

static int run(int argc, char **argv, const cli_command *self) {
    convert_args args = {0};
    const cli_flag flags[] = {
        {"--calibrate", "SRC", "for int8: calibration images: sample, a file or a folder",
         &args.data, NULL, NULL},
        {"--images", "N", "number of calibration images, evenly spaced (default: 512)",
         &args.images, NULL, NULL},
        {"--split", "PART", "part of the data: train, val or test (default: train)", &args.split,
         NULL, NULL},
        {"--on-bad", "fail|skip[:MAX]",
         "unreadable images or rows (default: fail; for the training data as in training)",
         &args.on_bad, NULL, NULL},
        {"--with-preprocessing", NULL,
         "for .onnx: the network reads pixels of 0 to 255 and answers with calibrated "
         "probabilities",
         NULL, NULL, &args.scaled_inside},
        CLI_MODEL_FLAGS(args.options)};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 2,
                   &args.common, &exit_status))
        return exit_status;
    if (!check_values(&args)) return EXIT_USAGE;
    if (!args.common.device) args.common.device = "cpu"; /* only the CPU runs int8 */
    const mien_status status = convert(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_convert = {
    "convert", "MODEL OUT [--calibrate SRC]",
    "writes a model in another format, or in int8 for faster inference on the CPU",
    "  mien convert runs/fer2013-classic-1 classic-int8.safetensors --calibrate fer2013.csv\n"
    "  mien evaluate --model classic-int8.safetensors --data fer2013.csv --split val\n"
    "  mien convert runs/fer2013-classic-1 classic.h5\n"
    "  mien convert runs/fer2013-classic-1 classic.onnx --with-preprocessing\n"
    "  mien convert runs/fer2013-classic-1 classic.safetensors\n",
    run};
