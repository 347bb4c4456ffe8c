/* mien audit: duplicates, leakage and doubtful images of a data set. */
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/report/audit_page.h"

typedef struct audit_args {
    cli_common common;
    cli_list rest;
    const char *data, *model, *votes, *on_bad, *json, *report;
    bool strict;
    mien_on_bad bad_rows;
} audit_args;

static mien_status show(const audit_args *args, const mien_audit *audit) {
    mien_text text = {0}, document = {0};
    mien_audit_table(audit, &text);
    mien_audit_document(audit, &document);
    mien_status status = text.status != MIEN_OK ? text.status : document.status;
    if (status == MIEN_OK && args->json)
        status = mien_file_write(args->json, document.data, document.size);
    if (status == MIEN_OK) fputs(args->common.json ? document.data : text.data, stdout);
    mien_text_release(&text);
    mien_text_release(&document);
    return status;
}

static mien_status audit(audit_args *args, bool *leaks) {
    const char *const others[] = {args->votes};
    const cli_inputs inputs = {NULL, args->data, others, args->votes ? 1 : 0};
    const mien_audit_request request = {.data = args->data,
                                        .model = args->model,
                                        .votes = args->votes,
                                        .on_bad = args->bad_rows,
                                        .stop = &cli_stop};
    mien_audit found = {0};
    mien_backend *backend = NULL;
    mien_status status;
    MIEN_TRY(cli_writable("--out", args->json));
    MIEN_TRY(cli_writable_folder("--report", args->report));
    MIEN_TRY(cli_spares("--out", args->json, &inputs));
    MIEN_TRY(cli_backend(&args->common, &backend));
    cli_catch_signals();
    MIEN_GO(mien_audit_run(&request, backend, &found));
    if (args->report) MIEN_GO(mien_audit_report(&found, args->report));
    MIEN_GO(show(args, &found));
    *leaks = mien_audit_leaks(&found);
out:
    mien_audit_release(&found);
    mien_backend_close(backend);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    audit_args args = {0};
    const cli_flag flags[] = {
        {"--data", "SRC", "labelled images: a file or a folder (docs/data.md)", &args.data, NULL,
         NULL},
        {"--model", "M", "also list labels that this model doubts", &args.model, NULL, NULL},
        {"--votes", "FILE", "FER+ votes (fer2013new.csv): how much people disagree", &args.votes,
         NULL, NULL},
        {"--out", "FILE", "also write all results as JSON", &args.json, NULL, NULL},
        {"--report", "DIR", "write a page with pictures and the results: DIR/audit.html",
         &args.report, NULL, NULL},
        {"--strict", NULL, "exit status 1 if images of one part are in another, too", NULL, NULL,
         &args.strict},
        {"--on-bad", "fail|skip[:MAX]", "unreadable images or rows (default: skip)", &args.on_bad,
         NULL, NULL}};
    int exit_status;
    bool leaks = false;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!args.data) {
        fprintf(stderr, "mien: audit needs --data SRC with labelled images\n");
        return EXIT_USAGE;
    }
    if (!cli_on_bad(args.on_bad ? args.on_bad : "skip", &args.bad_rows)) return EXIT_USAGE;
    const mien_status status = audit(&args, &leaks);
    if (status != MIEN_OK) return cli_fail(status);
    if (!leaks || !args.strict) return EXIT_DONE;
    fprintf(stderr, "mien: images of one part are in another, too: figures on it are too good\n");
    return EXIT_FAILED;
}

const cli_command cmd_audit = {
    "audit", "--data SRC [--model M] [--votes FILE] [--report DIR] [--strict]",
    "finds duplicates, leakage between parts, unusual images and doubtful labels",
    "  mien audit --data fer2013.csv\n"
    "  mien audit --data faces --strict --out audit.json\n"
    "  mien audit --data fer2013.csv --votes fer2013new.csv --model models/fer2013-small.h5\n",
    run};
