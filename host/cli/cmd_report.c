/* mien report: the report of scores that any program wrote. */
#include <stdio.h>

#include "host/cli/cli.h"
#include "host/eval/scores_file.h"
#include "host/report/report.h"

typedef struct report_args {
    cli_common common;
    cli_list rest;
    const char *from, *report;
} report_args;

static mien_status show(const report_args *args, const mien_report *report) {
    mien_text text = {0};
    if (args->common.json)
        mien_metrics_document(report->metrics, report->names, report->head, true, &text);
    else
        mien_metrics_table(report->metrics, report->names, &text);
    return cli_print(&text);
}

static mien_status make_report(const report_args *args) {
    mien_scores scores = {0};
    mien_metrics metrics = {0};
    mien_analysis analysis = {0};
    mien_status status;
    MIEN_TRY(cli_writable_folder("--report", args->report));
    MIEN_GO(mien_scores_read(args->from, &scores));
    MIEN_GO(mien_metrics_compute(scores.probabilities, scores.labels, scores.n, scores.classes,
                                 &metrics));
    if (scores.has_scores)
        MIEN_GO(mien_analysis_compute(scores.probabilities, scores.labels, scores.n, scores.classes,
                                      &metrics, &analysis));
    const mien_report_head head = {
        .model = "scores of another program", .data = args->from, .split = "all", .sha256 = ""};
    const mien_report report = {.metrics = &metrics,
                                .analysis = scores.has_scores ? &analysis : NULL,
                                .names = (const char(*)[64])scores.names,
                                .head = &head};
    if (args->report) MIEN_GO(mien_report_write(&report, args->report));
    MIEN_GO(show(args, &report));
out:
    mien_scores_release(&scores);
    mien_metrics_release(&metrics);
    mien_analysis_release(&analysis);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    report_args args = {0};
    const cli_flag flags[] = {{"--from", "FILE.csv",
                               "columns `label` and one per class with its probability, or "
                               "`label` and `prediction`",
                               &args.from, NULL, NULL},
                              {"--report", "DIR",
                               "write a report: a page, tables and charts (DIR/report.html)",
                               &args.report, NULL, NULL}};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!args.from) {
        fprintf(stderr, "mien: report needs --from FILE.csv with labels and scores; for a model, "
                        "see mien evaluate --report\n");
        return EXIT_USAGE;
    }
    const mien_status status = make_report(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_report = {
    "report", "--from FILE.csv [--report DIR]", "reports on predictions that any program wrote",
    "  mien report --from scores.csv\n"
    "  mien report --from scores.csv --report page\n"
    "  mien evaluate --model best.h5 --predictions scores.csv   writes such a file\n",
    run};
