/* mien evaluate: computes the metrics of models on a data set. */
#include <stdio.h>
#include <string.h>

#include "host/cli/model_flags.h"
#include "host/eval/evaluate.h"
#include "host/report/report.h"
#include "host/train/votes.h"

typedef struct evaluate_args {
    cli_common common;
    cli_list rest, models;
    const char *data, *split, *tta, *predictions, *batch, *on_bad, *memory_text, *soft_labels;
    const char *report, *groups, *drop_classes;
    mien_model_options options;
    mien_part part;        /* when --split names one */
    mien_on_bad bad_rows;  /* when --on-bad is given */
    char votes[MIEN_PATH]; /* of the run, see find_votes */
    mien_evaluate_request request;
} evaluate_args;

static mien_status write_predictions(const mien_evaluation *e, const char *path) {
    mien_text text = {0};
    mien_evaluation_predictions(e, &text);
    mien_status status = text.status;
    if (status == MIEN_OK) status = mien_file_write(path, text.data, text.size);
    mien_text_release(&text);
    return status;
}

static mien_status report(const evaluate_args *args, const mien_evaluation *e) {
    const mien_report_head head = mien_evaluation_head(e);
    const mien_report page = {&e->metrics, (const char(*)[64])e->data.class_names, &head};
    mien_text text = {0};
    if (args->common.json)
        mien_evaluation_document(e, true, &text);
    else
        mien_evaluation_table(e, &text);
    const mien_status status = args->report ? mien_report_write(&page, args->report) : MIEN_OK;
    const mien_status printed = cli_print(&text);
    return status == MIEN_OK ? printed : status;
}

/* For other data than the run's, nothing is looked up. */
static void find_votes(evaluate_args *args) {
    if (!args->data && !args->soft_labels && mien_votes_of_run(args->models.items[0], args->votes))
        args->request.votes_of_run = args->votes;
}

static mien_status evaluate(const evaluate_args *args) {
    mien_backend *backend = NULL;
    mien_evaluation e = {0};
    mien_status status;
    MIEN_TRY(cli_writable("--predictions", args->predictions));
    MIEN_TRY(cli_writable_folder("--report", args->report));
    MIEN_TRY(cli_backend(&args->common, &backend));
    cli_catch_signals();
    MIEN_GO(mien_evaluation_open(&args->request, &e));
    const char *const others[] = {e.votes, args->groups};
    MIEN_GO(cli_spares("--predictions", args->predictions,
                       &(cli_inputs){&args->models, e.data.source, others, 2}));
    MIEN_GO(mien_evaluation_run(&e, backend));
    MIEN_GO(report(args, &e));
    if (args->predictions) status = write_predictions(&e, args->predictions);
out:
    mien_evaluation_release(&e);
    mien_backend_close(backend);
    return status;
}

/* The index of `text` among `words`, 0 if it is NULL; prints a usage error and returns -1 if it is
 * none of them. */
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

/* Turns the flags into a request; prints a usage error and returns false if one is wrong. */
static bool check_values(evaluate_args *args) {
    static const char *const parts[] = {"train", "val", "test", "all"};
    static const char *const memories[] = {"auto", "resident", "stream"};
    static const char *const views[] = {MIEN_TTA_NONE, MIEN_TTA_FLIP, MIEN_TTA_TENCROP};
    long long batch = MIEN_EVALUATE_BATCH;
    const int view = choose("--tta", args->tta, views, 3);
    const int part = view < 0 ? -1 : choose("--split", args->split, parts, 4);
    const int memory = part < 0 ? -1 : choose("--memory", args->memory_text, memories, 3);
    if (memory < 0 || !cli_model_flags(&args->options, args->models.count)) return false;
    args->part = (mien_part)part;
    if (args->batch && !cli_number("--batch", args->batch, 1, 65536, &batch)) return false;
    args->request = (mien_evaluate_request){.models = args->models.items,
                                            .model_count = args->models.count,
                                            .data = args->data,
                                            .part = args->split ? &args->part : NULL,
                                            .tta = (mien_tta)view,
                                            .batch = (int)batch,
                                            .memory = (mien_memory)memory,
                                            .soft_labels = args->soft_labels,
                                            .groups = args->groups,
                                            .drop_classes = args->drop_classes,
                                            .options = args->options,
                                            .stop = &cli_stop};
    if (args->on_bad) args->request.on_bad = &args->bad_rows;
    return cli_on_bad(args->on_bad, &args->bad_rows);
}

static int run(int argc, char **argv, const cli_command *self) {
    evaluate_args args = {0};
    const cli_flag flags[] = {
        {"--model", "M",
         "model file or run directory; repeat to average (default: the included one)", NULL,
         &args.models, NULL},
        {"--data", "SRC", "sample, a file or a folder (default: the model's training data)",
         &args.data, NULL, NULL},
        {"--split", "PART", "train, val, test or all (default: test, else val, else all)",
         &args.split, NULL, NULL},
        {"--tta", MIEN_TTA_CHOICES,
         "test-time augmentation: average over views of each image (default: none)", &args.tta,
         NULL, NULL},
        {"--predictions", "FILE.csv", "write a CSV with one row per image and all probabilities",
         &args.predictions, NULL, NULL},
        {"--report", "DIR", "write a report: DIR/report.html and DIR/report.json", &args.report,
         NULL, NULL},
        {"--groups", "FILE.csv",
         "metrics by subgroup: a CSV with `file` or `row` and columns such as age", &args.groups,
         NULL, NULL},
        {"--drop-classes", "A,B", "leave out images and answers of these classes",
         &args.drop_classes, NULL, NULL},
        {"--batch", "N", "batch size (default: 128)", &args.batch, NULL, NULL},
        {"--on-bad", "fail|skip[:MAX]",
         "unreadable images or rows (default: fail; for the training data as in training)",
         &args.on_bad, NULL, NULL},
        {"--soft-labels", "FILE|none",
         "file of FER+ votes (default: the one used in training, next to the data)",
         &args.soft_labels, NULL, NULL},
        {"--memory", MIEN_MEMORY_CHOICES,
         "keep the images in memory or read them batch by batch (default: auto)", &args.memory_text,
         NULL, NULL},
        CLI_MODEL_FLAGS(args.options)};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!check_values(&args)) return EXIT_USAGE;
    char found[MIEN_PATH]; /* must outlive the list of models */
    mien_status status = cli_default_model(&args.models, found);
    args.request.model_count = args.models.count;
    if (status == MIEN_OK) find_votes(&args);
    if (status == MIEN_OK) status = evaluate(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_evaluate = {
    "evaluate", "[--model M] [--data SRC] [--split PART]",
    "computes the metrics of a model on a data set",
    "  mien evaluate --model runs/sample-1\n"
    "  mien evaluate --model best.h5 --data fer2013.csv --split val --tta flip\n"
    "  mien evaluate --model a.h5 --model b.h5 --data fer2013.csv   two models averaged\n"
    "  mien evaluate --model best.h5 --json > metrics.json\n",
    run};
