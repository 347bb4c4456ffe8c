/* mien evaluate: metrics of a whole split. */
#include <stdio.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/json.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/cli/cli.h"
#include "host/data/classes.h"
#include "host/data/merge.h"
#include "host/data/source.h"
#include "host/infer/score.h"
#include "host/report/report.h"
#include "host/train/runlog.h"

enum { BATCH = 128 };

typedef struct evaluate_args {
    cli_common common;
    cli_list rest, models;
    const char *data, *split, *tta, *predictions, *batch, *on_bad, *memory_text, *soft_labels;
    const char *report, *groups;
    int batch_size;
    mien_part part; /* when --split names one */
    mien_tta views;
    mien_on_bad bad_rows;
    mien_memory memory;
} evaluate_args;

static const char *const views[] = {"none", "flip", "tencrop"}; /* of mien_tta */

typedef struct evaluation {
    mien_dataset data;
    mien_part part;
    char votes[MIEN_PATH]; /* their file, empty: the data's own labels */
    mien_soft_mode mode;
    char sha256[65];
    float *probabilities; /* averaged over the models */
    uint16_t *labels;
    uint32_t *samples; /* [n] of the data */
    size_t n;
    mien_groups groups;
    const char *warnings[4];
    size_t warning_count;
    double seconds;
} evaluation;

static void warn(evaluation *e, const char *text) {
    MIEN_WARN("%s", text);
    if (e->warning_count < 4) e->warnings[e->warning_count++] = text;
}

/* A further model's classes must be the first one's, to which the data were mapped. */
static mien_status check_classes(const mien_model *model, const mien_dataset *set) {
    if (model->meta.classes != set->classes)
        return MIEN_FAIL(INVALID, "the model tells %d classes apart, '%s' has %d",
                         model->meta.classes, set->source, set->classes);
    for (int k = 0; k < set->classes; k++)
        if (strcmp(model->meta.class_names[k], set->class_names[k]) != 0)
            return MIEN_FAIL(INVALID, "class %d is '%s' in the model and '%s' in '%s'", k,
                             model->meta.class_names[k], set->class_names[k], set->source);
    return MIEN_OK;
}

/* --split, else test if the data have one, else val, else all. */
static mien_status choose_part(const evaluate_args *args, evaluation *e) {
    size_t counts[MIEN_CLASSES_MAX];
    static const mien_part wish[] = {MIEN_TEST, MIEN_VAL, MIEN_NO_PART};
    e->part = args->part;
    for (int i = 0; !args->split && i < 3; i++) {
        e->part = wish[i];
        if (mien_dataset_counts(&e->data, e->part, counts)) break;
    }
    if (!mien_dataset_counts(&e->data, e->part, counts))
        return MIEN_FAIL(INVALID, "'%s' has no %s part", e->data.source, mien_part_name(e->part));
    return MIEN_OK;
}

/* The votes that the model's labels came from: --soft-labels, else the file of that name beside the
 * data. Data whose rows have no order keep their own labels. */
static mien_status apply_votes(const evaluate_args *args, const mien_meta *meta, evaluation *e) {
    char folder[MIEN_PATH];
    const char *given = args->soft_labels;
    if (given && strcmp(given, "none") == 0) return MIEN_OK;
    if (given) {
        MIEN_TRY(mien_path_join(e->votes, "", given));
    } else {
        if (!meta->soft_labels[0] || !e->data.source_rows) return MIEN_OK;
        mien_path_folder(folder, e->data.source);
        MIEN_TRY(mien_path_join(e->votes, folder, meta->soft_labels));
        if (!mien_file_exists(e->votes))
            return MIEN_FAIL(NOT_FOUND,
                             "the model's labels are the votes in '%s', which is not beside '%s': "
                             "give it with --soft-labels FILE, or --soft-labels none to judge by "
                             "the data's own labels",
                             meta->soft_labels, e->data.source);
    }
    e->mode = meta->soft_mode;
    return mien_votes_apply(&e->data, e->votes, e->mode);
}

static mien_status load(const evaluate_args *args, const mien_model *model, evaluation *e) {
    mien_split split = model->meta.split;
    const char *source = args->data ? args->data : model->meta.data;
    const mien_status status =
        mien_dataset_load_all(source, model->meta.input, args->bad_rows, args->memory, &e->data);
    if (status == MIEN_NOT_FOUND && !args->data)
        return mien_fail_context(status, "what the model was trained on is not here (name data "
                                         "with --data SRC)");
    MIEN_TRY(status);
    MIEN_TRY(apply_votes(args, &model->meta, e));
    if (!e->data.labelled)
        return MIEN_FAIL(INVALID, "'%s' has no column 'emotion': there is nothing to compare with",
                         source);
    MIEN_TRY(mien_dataset_map(&e->data, (const char(*)[MIEN_CLASS_NAME])model->meta.class_names,
                              model->meta.classes, "the model"));
    if (split.by == MIEN_BY_USAGE && !mien_split_named(&e->data)) {
        memset(e->data.part, MIEN_NO_PART, e->data.count); /* other data: they belong to no part */
    } else {
        MIEN_TRY(mien_split_apply(&e->data, &split));
    }
    MIEN_TRY(choose_part(args, e));
    if (e->part == MIEN_NO_PART) memset(e->data.part, MIEN_TEST, e->data.count);
    const mien_part part = e->part == MIEN_NO_PART ? MIEN_TEST : e->part;
    size_t counts[MIEN_CLASSES_MAX];
    e->n = mien_dataset_counts(&e->data, part, counts);
    mien_survey survey;
    MIEN_TRY(mien_dataset_survey(&e->data, part, &survey));
    strcpy(e->sha256, survey.sha256);
    if (strcmp(e->sha256, model->meta.train_sha256) == 0)
        warn(e, "these are the data that the model was trained on");
    else if (e->part == MIEN_NO_PART)
        warn(e, "'all' may hold data that the model was trained on");
    if (args->groups) MIEN_TRY(mien_groups_read(&e->data, args->groups, &e->groups));
    MIEN_TRY(mien_new(&e->labels, e->n, sizeof *e->labels));
    MIEN_TRY(mien_new(&e->samples, e->n, sizeof *e->samples));
    MIEN_TRY(mien_new(&e->probabilities, e->n * (size_t)e->data.classes, sizeof(float)));
    size_t at = 0;
    for (size_t i = 0; i < e->data.count; i++) {
        if (e->data.part[i] != part) continue;
        e->labels[at] = e->data.labels[i];
        e->samples[at++] = (uint32_t)i;
    }
    return MIEN_OK;
}

/* Adds one model's probabilities, divided by the number of models. */
static mien_status add_model(const evaluate_args *args, mien_model *model, mien_backend *backend,
                             evaluation *e) {
    const mien_part part = e->part == MIEN_NO_PART ? MIEN_TEST : e->part;
    const size_t numbers = e->n * (size_t)e->data.classes;
    mien_loader loader = {0};
    mien_plan *plan = NULL;
    float *own = NULL;
    mien_status status;
    const mien_plan_options options = {
        .max_batch = e->n < (size_t)args->batch_size ? (int)e->n : args->batch_size,
        .quant = &model->quant};
    MIEN_GO(mien_new(&own, numbers, sizeof *own));
    MIEN_GO(mien_loader_create(&e->data, &model->meta.normalise, backend, options.max_batch, 0,
                               &loader));
    MIEN_GO(mien_plan_create(&model->graph, backend, &options, &plan));
    MIEN_GO(mien_plan_load(plan, &model->weights));
    MIEN_GO(mien_score_prepare(plan, e->n));
    const double begin = mien_seconds();
    MIEN_GO(
        mien_score_part(plan, &loader, part, args->views, model->meta.temperature, &cli_stop, own));
    e->seconds += mien_seconds() - begin;
    for (size_t i = 0; i < numbers; i++)
        e->probabilities[i] += own[i] / (float)args->models.count;
out:
    mien_plan_free(plan);
    mien_loader_release(&loader);
    mien_free(own);
    return status;
}

static mien_status write_predictions(const evaluation *e, const char *path) {
    mien_text text = {0};
    const bool files = e->data.def->file != NULL;
    mien_text_printf(&text, "row,%strue,predicted", files ? "file," : "");
    for (int k = 0; k < e->data.classes; k++) {
        mien_text_puts(&text, ",");
        mien_text_cell(&text, e->data.class_names[k]);
    }
    mien_text_puts(&text, "\n");
    for (size_t at = 0; at < e->n; at++) {
        const float *p = e->probabilities + at * (size_t)e->data.classes;
        int best = 0;
        for (int k = 1; k < e->data.classes; k++)
            if (p[k] > p[best]) best = k;
        mien_text_printf(&text, "%u,", e->data.row[e->samples[at]]);
        if (files) {
            mien_text_cell(&text, mien_source_file(&e->data, e->samples[at]));
            mien_text_puts(&text, ",");
        }
        mien_text_cell(&text, e->data.class_names[e->labels[at]]);
        mien_text_puts(&text, ",");
        mien_text_cell(&text, e->data.class_names[best]);
        for (int k = 0; k < e->data.classes; k++)
            mien_text_printf(&text, ",%.9g", p[k]);
        mien_text_puts(&text, "\n");
    }
    mien_status status = text.status;
    if (status == MIEN_OK) status = mien_file_write(path, text.data, text.size);
    mien_text_release(&text);
    return status;
}

static mien_status report(const evaluate_args *args, const evaluation *e) {
    mien_metrics metrics;
    mien_subgroups groups = {0};
    mien_text text = {0}, who = {0};
    char labels[MIEN_PATH + 64];
    for (int i = 0; i < args->models.count; i++)
        mien_text_printf(&who, "%s%s", i ? " + " : "", args->models.items[i]);
    snprintf(labels, sizeof labels, "votes in %s, %s", e->votes, mien_soft_mode_name(e->mode));
    mien_status status =
        mien_metrics_compute(e->probabilities, e->labels, e->n, e->data.classes, &metrics);
    if (status == MIEN_OK)
        status = mien_subgroups_compute(&e->groups, e->samples, e->probabilities, e->labels, e->n,
                                        e->data.classes, &groups);
    const char(*names)[64] = (const char(*)[64])e->data.class_names;
    const mien_report_head head = {.model = who.data ? who.data : "",
                                   .models = args->models.count,
                                   .data = e->data.source,
                                   .split = mien_part_name(e->part),
                                   .views = views[args->views],
                                   .labels = e->votes[0] ? labels : NULL,
                                   .sha256 = e->sha256,
                                   .warnings = e->warnings,
                                   .warning_count = e->warning_count,
                                   .seconds = e->seconds,
                                   .groups = args->groups ? &groups : NULL};
    if (status == MIEN_OK && args->common.json) {
        mien_metrics_document(&metrics, names, &head, true, &text);
    } else if (status == MIEN_OK) {
        mien_text_printf(&text, "%s on %s, split %s", head.model, head.data, head.split);
        if (args->views) mien_text_printf(&text, ", --tta %s", head.views);
        mien_text_printf(&text, "%s%s\n", head.labels ? ", labels: " : "",
                         head.labels ? head.labels : "");
        mien_metrics_table(&metrics, names, &text);
        mien_subgroups_table(&groups, &text);
        mien_text_printf(&text, "\n%zu images in %.2f s (%.0f images/s)\n", e->n, e->seconds,
                         e->seconds > 0 ? (double)e->n / e->seconds : 0);
    }
    if (status == MIEN_OK) status = text.status;
    if (status == MIEN_OK && args->report)
        status = mien_report_write(&(mien_report){&metrics, names, &head}, args->report);
    if (text.data) fputs(text.data, stdout);
    mien_text_release(&text);
    mien_text_release(&who);
    mien_metrics_release(&metrics);
    mien_subgroups_release(&groups);
    return status;
}

static mien_status evaluate(const evaluate_args *args, evaluation *e) {
    mien_backend *backend = NULL;
    mien_model model = {0};
    mien_status status;
    MIEN_TRY(cli_writable("--predictions", args->predictions));
    MIEN_TRY(cli_writable_folder("--report", args->report));
    MIEN_TRY(cli_backend(&args->common, &backend));
    cli_catch_signals();
    for (int i = 0; i < args->models.count; i++) {
        mien_model_release(&model);
        MIEN_GO(mien_model_open(args->models.items[i], &model));
        if (i == 0) {
            MIEN_GO(load(args, &model, e));
            const char *const others[] = {e->votes, args->groups};
            MIEN_GO(cli_spares("--predictions", args->predictions,
                               &(cli_inputs){&args->models, e->data.source, others, 2}));
        }
        MIEN_GO(check_classes(&model, &e->data));
        if (model.meta.input.height != e->data.spec.height ||
            model.meta.input.width != e->data.spec.width ||
            model.meta.input.channels != e->data.spec.channels) {
            status = MIEN_FAIL(INVALID, "'%s' reads images of another size than '%s'",
                               args->models.items[i], args->models.items[0]);
            goto out;
        }
        MIEN_GO(add_model(args, &model, backend, e));
    }
    MIEN_GO(report(args, e));
    if (args->predictions) status = write_predictions(e, args->predictions);
out:
    mien_model_release(&model);
    mien_backend_close(backend);
    return status;
}

/* The place of `text` among three or four words, 0 without it; -1 after printing what is wrong. */
static int choose(const char *flag, const char *text, const char *const *words, int count) {
    for (int i = 0; text && i < count; i++)
        if (strcmp(text, words[i]) == 0) return i;
    if (!text) return 0;
    fprintf(stderr, "mien: %s must be ", flag);
    for (int i = 0; i < count; i++)
        fprintf(stderr, "%s%s", words[i], i < count - 2 ? ", " : (i < count - 1 ? " or " : ""));
    fprintf(stderr, ", not '%s'\n", text);
    return -1;
}

/* What the flags' values mean; false after printing what is wrong with one. */
static bool check_values(evaluate_args *args) {
    static const char *const parts[] = {"train", "val", "test", "all"};
    static const char *const memories[] = {"auto", "resident", "stream"};
    long long batch = BATCH;
    const int view = choose("--tta", args->tta, views, 3);
    const int part = view < 0 ? -1 : choose("--split", args->split, parts, 4);
    const int memory = part < 0 ? -1 : choose("--memory", args->memory_text, memories, 3);
    if (memory < 0) return false;
    args->views = (mien_tta)view;
    args->part = (mien_part)part;
    args->memory = (mien_memory)memory;
    if (args->batch && !cli_number("--batch", args->batch, 1, 65536, &batch)) return false;
    args->batch_size = (int)batch;
    if (!cli_on_bad(args->on_bad, &args->bad_rows)) return false;
    if (args->models.count) return true;
    fprintf(stderr, "mien: evaluate wants --model M (a model file or a run directory)\n");
    return false;
}

static int run(int argc, char **argv, const cli_command *self) {
    evaluate_args args = {0};
    const cli_flag flags[] = {
        {"--model", "M", "model file or run directory; several are averaged", NULL, &args.models,
         NULL},
        {"--data", "SRC", "sample, a file or a folder (default: what the model was trained on)",
         &args.data, NULL, NULL},
        {"--split", "PART", "train, val, test or all (default: test, else val, else all)",
         &args.split, NULL, NULL},
        {"--tta", "none|flip|tencrop", "averages over views of each image", &args.tta, NULL, NULL},
        {"--predictions", "FILE.csv", "writes one row an image with all probabilities",
         &args.predictions, NULL, NULL},
        {"--report", "DIR", "writes a page to look at, DIR/report.html, and DIR/report.json",
         &args.report, NULL, NULL},
        {"--groups", "FILE.csv", "file or row, then columns: a table for each, by its values",
         &args.groups, NULL, NULL},
        {"--batch", "N", "images at a time (default: 128)", &args.batch, NULL, NULL},
        {"--on-bad", "fail|skip[:MAX]", "damaged rows of the data", &args.on_bad, NULL, NULL},
        {"--soft-labels", "FILE|none",
         "FER+ votes (default: those of the training, beside the data)", &args.soft_labels, NULL,
         NULL},
        {"--memory", "auto|resident|stream", "where the images are (default: auto, as they fit)",
         &args.memory_text, NULL, NULL}};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!check_values(&args)) return EXIT_USAGE;
    evaluation e = {0};
    const mien_status status = evaluate(&args, &e);
    mien_dataset_release(&e.data);
    mien_free(e.probabilities);
    mien_free(e.labels);
    mien_free(e.samples);
    mien_groups_release(&e.groups);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_evaluate = {
    "evaluate", "--model M [--data SRC] [--split PART]", "judges a model over a whole split",
    "  mien evaluate --model runs/sample-1\n"
    "  mien evaluate --model best.h5 --data fer2013.csv --split val --tta flip\n"
    "  mien evaluate --model a.h5 --model b.h5 --data fer2013.csv   two models averaged\n"
    "  mien evaluate --model best.h5 --json > metrics.json\n",
    run};
