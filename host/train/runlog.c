#include "host/train/runlog.h"

#include <string.h>

#include "host/base/clock.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/graph/plan.h"
#include "include/mien/mien.h"

static mien_status write_file(const char *folder, const char *name, mien_text *text) {
    char path[MIEN_PATH];
    mien_status status = text->status;
    if (status == MIEN_OK) status = mien_path_join(path, folder, name);
    if (status == MIEN_OK) status = mien_file_write(path, text->data, text->size);
    return status;
}

void mien_runlog_plan(const mien_train_request *request, const mien_plan *plan, const char *prefix,
                      mien_text *out) {
    mien_text_printf(out, "%sDevice: %s; micro-batch %d of %d rows.\n", prefix,
                     mien_backend_description(request->backend), plan->micro_batch,
                     plan->max_batch);
    mien_plan_algorithms(plan, prefix, out);
}

mien_status mien_runlog_config(const mien_train_request *request, const mien_plan *plan) {
    mien_text text = {0};
    mien_text_puts(&text, "# All settings of this run.\n");
    mien_runlog_plan(request, plan, "#   ", &text);
    mien_status status = mien_config_print_absolute(request->config, &text);
    if (status == MIEN_OK) status = write_file(request->folder, "config.yaml", &text);
    mien_text_release(&text);
    return status;
}

static const char val_columns[] = ",val_accuracy,val_loss,val_macro_f1";

mien_status mien_runlog_start(const char *folder, bool validated, mien_text *log) {
    if (log->size == 0)
        mien_text_printf(log, "epoch,accuracy,learning_rate,loss%s\n",
                         validated ? val_columns : "");
    return write_file(folder, "log.csv", log);
}

/* The columns of a resumed run's log stay, even if it is continued with or without validation. */
mien_status mien_runlog_epoch(const char *folder, const mien_epoch *e, mien_text *log) {
    const bool columns = log->data && strstr(log->data, val_columns);
    mien_text_printf(log, "%d,%.9g,%.9g,%.9g", e->number - 1, e->accuracy, e->learning_rate,
                     e->loss);
    if (columns && e->validated)
        mien_text_printf(log, ",%.9g,%.9g,%.9g", e->val_accuracy, e->val_loss, e->val_macro_f1);
    else if (columns)
        mien_text_puts(log, ",,,");
    mien_text_puts(log, "\n");
    return write_file(folder, "log.csv", log);
}

mien_status mien_runlog_metrics(const char *folder, const mien_metrics *metrics,
                                const char (*names)[64], const mien_report_head *head) {
    mien_text text = {0};
    mien_metrics_document(metrics, names, head, true, &text);
    const mien_status status = write_file(folder, "metrics.json", &text);
    mien_text_release(&text);
    return status;
}

mien_status mien_runlog_run(const mien_train_request *request, const char *state,
                            const mien_train_result *result, const char *started) {
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
    mien_json_integer(&json, "seed", request->config->train.seed);
    mien_json_string(&json, "status", state);
    mien_json_string(&json, "started", started);
    mien_json_string(&json, "updated", now);
    mien_json_integer(&json, "epochs", result->epochs);
    mien_json_integer(&json, "best_epoch", result->best_epoch);
    if (!result->validated) mien_json_string(&json, "kept", "last epoch, without validation");
    mien_json_integer(&json, "steps", result->steps);
    mien_json_number(&json, "seconds", result->seconds);
    mien_json_number(&json, "images_per_second", result->images_per_second);
    mien_json_number(&json, "peak_memory_mb", (double)mien_peak_memory() / 1048576);
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    const mien_status status = write_file(request->folder, "run.json", &text);
    mien_text_release(&text);
    return status;
}
