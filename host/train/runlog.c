#include "host/train/runlog.h"

#include <stdio.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/graph/plan.h"
#include "include/mien/mien.h"

mien_status mien_runlog_write(const char *folder, const char *name, const mien_text *text) {
    char path[MIEN_PATH];
    mien_status status = text->status;
    if (status == MIEN_OK) status = mien_path_join(path, folder, name);
    if (status == MIEN_OK) status = mien_file_write(path, text->data, text->size);
    return status;
}

void mien_runlog_plan(const mien_train_request *request, const mien_plan *plan, const char *prefix,
                      mien_text *out) {
    const mien_backend *b = request->backend;
    mien_text_printf(out, "%sDevice: %s; ", prefix,
                     *b->arithmetic ? b->arithmetic : b->description);
    if (plan->slice)
        mien_text_printf(out, "slices of %d of %d rows.\n", plan->slice, plan->max_batch);
    else
        mien_text_printf(out, "micro-batch %d of %d rows.\n", plan->micro_batch, plan->max_batch);
    mien_plan_algorithms(plan, prefix, out);
}

mien_status mien_runlog_config(const mien_train_request *request, const mien_plan *plan) {
    mien_text text = {0};
    mien_text_puts(&text, "# All settings of this run.\n");
    mien_runlog_plan(request, plan, "#   ", &text);
    mien_status status = mien_config_print_absolute(request->config, &text);
    if (status == MIEN_OK) status = mien_runlog_write(request->folder, "config.yaml", &text);
    mien_text_release(&text);
    return status;
}

enum { VAL_COLUMNS = 3 };

/* Appends the fields, each after the separator. */
static void add_fields(mien_text *log, char separator, const char *const *texts, int count) {
    for (int i = 0; i < count; i++)
        mien_text_printf(log, "%c%s", separator, texts[i]);
}

mien_status mien_runlog_start(const mien_train_request *request, bool validated, mien_text *log) {
    static const char *const columns[] = {"accuracy",     "learning_rate", "loss",
                                          "val_accuracy", "val_loss",      "val_macro_f1"};
    if (log->size == 0) {
        mien_text_puts(log, "epoch");
        add_fields(log, *request->config->csv_logger.separator, columns,
                   validated ? 3 + VAL_COLUMNS : 3);
        mien_text_puts(log, "\n");
    }
    return mien_runlog_write(request->folder, "log.csv", log);
}

/* Separator and columns of a resumed run's log stay, even if it is continued with others. */
void mien_runlog_epoch(const mien_epoch *e, mien_text *log) {
    const double values[] = {e->accuracy,     e->learning_rate, e->loss,
                             e->val_accuracy, e->val_loss,      e->val_macro_f1};
    char texts[3 + VAL_COLUMNS][32] = {""};
    const char *fields[3 + VAL_COLUMNS];
    const char separator = log->data[sizeof "epoch" - 1];
    for (int i = 0; i < 3 + VAL_COLUMNS; i++) {
        fields[i] = texts[i];
        if (i < 3 || e->validated) snprintf(texts[i], sizeof texts[i], "%.9g", values[i]);
    }
    const bool columns = strstr(log->data, "val_accuracy") != NULL;
    mien_text_printf(log, "%d", e->number - 1);
    add_fields(log, separator, fields, columns ? 3 + VAL_COLUMNS : 3);
    mien_text_puts(log, "\n");
}

mien_status mien_runlog_bad(const char *folder, mien_dataset *set) {
    return set->skipped ? mien_runlog_write(folder, MIEN_RUN_BAD, &set->bad) : MIEN_OK;
}

mien_status mien_runlog_run(const mien_train_request *request, const char *state,
                            const mien_train_result *result, const char *started,
                            const char *error) {
    mien_text text = {0};
    mien_json json = {.text = &text, .pretty = true};
    char now[32];
    mien_timestamp(now);
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "command", request->command);
    mien_json_string(&json, "version", MIEN_VERSION);
    mien_json_string(&json, "commit", request->commit);
    mien_json_string(&json, "device", mien_backend_description(request->backend));
    if (*result->started_from) mien_json_string(&json, "started_from", result->started_from);
    mien_json_integer(&json, "seed", request->config->train.seed);
    mien_json_string(&json, "status", state);
    if (error) mien_json_string(&json, "error", error);
    mien_json_string(&json, "started", started);
    mien_json_string(&json, "updated", now);
    mien_json_integer(&json, "epochs", result->epochs);
    mien_json_integer(&json, "best_epoch", result->best_epoch);
    if (!result->validated) mien_json_string(&json, "kept", "last epoch, without validation");
    mien_json_integer(&json, "steps", result->steps);
    if (result->left_out) mien_json_integer(&json, "left_out", result->left_out);
    mien_json_number(&json, "seconds", result->seconds);
    mien_json_number(&json, "images_per_second", result->images_per_second);
    mien_json_number(&json, "peak_memory_mb", (double)mien_peak_memory() / 1048576);
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    const mien_status status = mien_runlog_write(request->folder, "run.json", &text);
    mien_text_release(&text);
    return status;
}
