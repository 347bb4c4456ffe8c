#include "host/runs/runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/model.h"
#include "host/runs/sweep_file.h"
#include "host/train/schedule.h"

enum { FILE_BYTES = 16 << 20, DEPTH = 3 };

mien_status mien_runs_append(mien_runs *runs, const char *name, mien_run_state state,
                             mien_run_row **out) {
    MIEN_TRY(mien_grow(&runs->rows, &runs->capacity, runs->count + 1, sizeof *runs->rows));
    mien_run_row *row = &runs->rows[runs->count];
    *row = (mien_run_row){
        .state = state, .val_accuracy = NAN, .val_loss = NAN, .val_macro_f1 = NAN, .seconds = NAN};
    runs->count++;
    MIEN_TRY(mien_copy_text(&row->name, name));
    MIEN_TRY(mien_new(&row->values, mien_config_keys().count, sizeof *row->values));
    *out = row;
    return MIEN_OK;
}

mien_status mien_run_because(mien_run_row *row, const char *reason) {
    return row->reason ? MIEN_OK : mien_copy_text(&row->reason, reason);
}

void mien_runs_release(mien_runs *runs) {
    for (size_t i = 0; i < runs->count; i++) {
        mien_run_row *row = &runs->rows[i];
        for (size_t k = 0; row->values && k < mien_config_keys().count; k++)
            mien_free(row->values[k]);
        mien_free(row->values);
        mien_free(row->name);
        mien_free(row->reason);
    }
    mien_free(runs->rows);
    *runs = (mien_runs){0};
}

/* Whether a process has the folder's lock. A shared lock is enough to see it, and lasts an instant;
 * mien_lock_folder waits for such an instant. */
static bool is_locked(const char *folder) {
    char path[MIEN_PATH];
    if (mien_path_join(path, folder, ".lock") != MIEN_OK) return false;
    const int lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (lock < 0) return false;
    const bool locked = flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(lock);
    return locked;
}

static bool has_file(const char *folder, const char *name) {
    char path[MIEN_PATH];
    return mien_path_join(path, folder, name) == MIEN_OK && mien_file_exists(path);
}

static bool is_run(const char *folder) {
    static const char *const files[] = {"run.json", "config.yaml", "log.csv", MIEN_RUN_BEST,
                                        MIEN_RUN_LAST};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (has_file(folder, files[i])) return true;
    return is_locked(folder) && !has_file(folder, MIEN_SWEEP_FILE);
}

static mien_status read_file(const char *folder, const char *name, char **out, size_t *size) {
    char path[MIEN_PATH];
    MIEN_TRY(mien_path_join(path, folder, name));
    return mien_file_read(path, FILE_BYTES, out, size);
}

/* All values of config.yaml; *best: the rule by which the best epoch is chosen. */
static mien_status read_config(const char *folder, mien_run_row *row, mien_monitor *best) {
    const mien_keys keys = mien_config_keys();
    mien_config config = {0};
    char *text = NULL;
    size_t size;
    mien_status status = read_file(folder, "config.yaml", &text, &size);
    if (status == MIEN_OK) status = mien_config_start(&config);
    if (status == MIEN_OK) status = mien_config_read_text(&config, text, "config.yaml");
    for (size_t i = 0; status == MIEN_OK && i < keys.count; i++) {
        mien_text value = {0};
        mien_key_print_value(&keys.rows[i], &config, &value);
        status = value.status;
        row->values[i] = value.data;
    }
    if (status == MIEN_OK) {
        row->of_epochs = config.train.epochs;
        mien_monitor_start(best, config.checkpoint.monitor, config.checkpoint.mode, 0);
    }
    mien_config_release(&config);
    mien_free(text);
    return status;
}

static mien_status read_json(const char *folder, const char *name, mien_tree *tree) {
    char *text = NULL;
    size_t size;
    MIEN_TRY(read_file(folder, name, &text, &size));
    const mien_status status = mien_json_parse(text, size, name, tree);
    mien_free(text);
    return status;
}

/* Seconds between two times as run.json writes them. */
static double seconds_since(const char *started, time_t end) {
    struct tm tm = {0};
    if (!strptime(started, "%Y-%m-%dT%H:%M:%SZ", &tm)) return NAN;
    const double seconds = difftime(end, timegm(&tm));
    return seconds < 0 ? NAN : seconds;
}

/* The time of a training that did not write it: up to now while it runs, else up to its last
 * epoch. */
static double elapsed(const char *folder, const mien_run_row *row) {
    struct stat info;
    char path[MIEN_PATH];
    if (row->state == MIEN_RUN_RUNNING) return seconds_since(row->started, time(NULL));
    if (mien_path_join(path, folder, "log.csv") != MIEN_OK || stat(path, &info) != 0) return NAN;
    return seconds_since(row->started, info.st_mtime);
}

static mien_status read_run(const char *folder, mien_run_row *row) {
    mien_tree tree = {0};
    mien_status status = read_json(folder, "run.json", &tree);
    const char *word = status == MIEN_OK ? mien_value_string(tree.root, "status") : NULL;
    if (status == MIEN_OK && !word)
        status = MIEN_FAIL(FORMAT, "run.json has no status: it is no run of mien train");
    if (status == MIEN_OK) {
        const char *started = mien_value_string(tree.root, "started");
        const char *error = mien_value_string(tree.root, "error");
        const bool open = strcmp(word, "running") == 0;
        snprintf(row->started, sizeof row->started, "%s", started ? started : "");
        row->seconds = open ? NAN : mien_value_number(tree.root, "seconds", NAN);
        if (row->state == MIEN_RUN_RUNNING)
            row->seconds = NAN; /* what it says is of the time before it was resumed */
        else if (strcmp(word, "finished") == 0)
            row->state = MIEN_RUN_FINISHED;
        else if (strcmp(word, "failed") == 0)
            row->state = MIEN_RUN_FAILED;
        else if (open || strcmp(word, "interrupted") == 0)
            row->state = MIEN_RUN_STOPPED;
        else
            status = MIEN_FAIL(FORMAT, "run.json: unknown status '%.40s'", word);
        if (error && row->state == MIEN_RUN_FAILED && status == MIEN_OK)
            status = mien_run_because(row, error);
        if (isnan(row->seconds)) row->seconds = elapsed(folder, row);
    }
    mien_tree_release(&tree);
    return status;
}

/* Reads one row of log.csv, whose first column is the epoch, by the columns of `header`. */
static void read_epoch(const char *header, const char *line, mien_results *results) {
    static const char *const names[MIEN_MONITOR_COUNT] = {
        [MIEN_MONITOR_VAL_LOSS] = "val_loss",
        [MIEN_MONITOR_VAL_ACCURACY] = "val_accuracy",
        [MIEN_MONITOR_VAL_MACRO_F1] = "val_macro_f1",
        [MIEN_MONITOR_LOSS] = "loss",
        [MIEN_MONITOR_ACCURACY] = "accuracy"};
    const char separator = strncmp(header, "epoch", 5) == 0 ? header[5] : ',';
    const char *name, *cell;
    size_t length, size;
    for (int c = 0; c < MIEN_MONITOR_COUNT; c++)
        results->of[c] = NAN;
    while (mien_next_part(&header, separator, &name, &length) &&
           mien_next_part(&line, separator, &cell, &size))
        for (int c = 0; c < MIEN_MONITOR_COUNT; c++)
            if (strlen(names[c]) == length && memcmp(names[c], name, length) == 0 && size)
                results->of[c] = strtod(cell, NULL);
}

/* The epochs that log.csv has, and the best by the same rule as in training. */
static mien_status read_log(const char *folder, mien_monitor *best, mien_run_row *row) {
    char *text = NULL, *save = NULL;
    size_t size;
    MIEN_TRY(read_file(folder, "log.csv", &text, &size));
    const char *header = strtok_r(text, "\r\n", &save);
    for (char *line; header && (line = strtok_r(NULL, "\r\n", &save));) {
        mien_results results;
        read_epoch(header, line, &results);
        row->epochs++;
        if (isnan(results.of[MIEN_MONITOR_VAL_LOSS]) ||
            !mien_monitor_update(best, row->epochs, &results))
            continue;
        row->best_epoch = row->epochs;
        row->val_accuracy = results.of[MIEN_MONITOR_VAL_ACCURACY];
        row->val_loss = results.of[MIEN_MONITOR_VAL_LOSS];
        row->val_macro_f1 = results.of[MIEN_MONITOR_VAL_MACRO_F1];
    }
    mien_free(text);
    return MIEN_OK;
}

/* The figures that training printed: those of best.h5, whose confidence is calibrated. */
static mien_status read_metrics(const char *folder, mien_run_row *row) {
    mien_tree tree = {0};
    const mien_status status = read_json(folder, "metrics.json", &tree);
    if (status == MIEN_OK) {
        row->val_accuracy = mien_value_number(tree.root, "accuracy", row->val_accuracy);
        row->val_loss = mien_value_number(tree.root, "loss", row->val_loss);
        row->val_macro_f1 =
            mien_value_number(mien_value_get(tree.root, "macro"), "f1", row->val_macro_f1);
    }
    mien_tree_release(&tree);
    return status;
}

/* NO_MEMORY is an error; everything else is the row's reason. */
static mien_status note(mien_run_row *row, mien_status status, bool needed) {
    if (status == MIEN_OK || (status == MIEN_NOT_FOUND && !needed)) return MIEN_OK;
    return status == MIEN_NO_MEMORY ? status : mien_run_because(row, mien_error_message());
}

static mien_status fill(const char *folder, mien_run_row *row) {
    mien_monitor best;
    mien_monitor_start(&best, MIEN_MONITOR_VAL_ACCURACY, MIEN_MODE_AUTO, 0);
    if (is_locked(folder)) row->state = MIEN_RUN_RUNNING;
    const bool running = row->state == MIEN_RUN_RUNNING;
    const bool continues = has_file(folder, "config.yaml") || has_file(folder, MIEN_RUN_LAST);
    mien_status status = read_run(folder, row);
    if (status == MIEN_NOT_FOUND && !running && continues) {
        row->state = MIEN_RUN_STOPPED; /* before its first step */
    } else {
        if (status != MIEN_OK && !running) row->state = MIEN_RUN_BAD;
        MIEN_TRY(note(row, status, !running));
    }
    MIEN_TRY(note(row, read_config(folder, row, &best), row->state == MIEN_RUN_FINISHED));
    MIEN_TRY(note(row, read_log(folder, &best, row), false));
    return note(row, read_metrics(folder, row), false);
}

mien_status mien_runs_add(const char *folder, const char *name, mien_runs *out, bool *found) {
    char path[MIEN_PATH];
    mien_run_row *row;
    MIEN_TRY(mien_path_join(path, folder, name));
    *found = is_run(path);
    if (!*found) return MIEN_OK;
    MIEN_TRY(mien_runs_append(out, name, MIEN_RUN_BAD, &row));
    return fill(path, row);
}

static mien_status join_name(char *out, const char *prefix, const char *name) {
    if (snprintf(out, MIEN_PATH, "%s%s%s", prefix, *prefix ? "/" : "", name) < MIEN_PATH)
        return MIEN_OK;
    return MIEN_FAIL(INVALID, "the path '%.60s…' is too long", prefix);
}

/* What a sweep planned in this folder and has not started, or what failed without a trace. */
static mien_status add_planned(const char *folder, const char *prefix, mien_runs *out) {
    mien_sweep_file file = {0};
    mien_status status = mien_sweep_file_read(folder, &file);
    if (status == MIEN_NOT_FOUND) return MIEN_OK;
    for (size_t i = 0; status == MIEN_OK && i < file.count; i++) {
        const mien_sweep_entry *entry = &file.entries[i];
        char name[MIEN_PATH];
        mien_run_row *row = NULL;
        status = join_name(name, prefix, entry->name);
        for (size_t r = 0; status == MIEN_OK && r < out->count; r++)
            if (strcmp(out->rows[r].name, name) == 0) row = &out->rows[r];
        const bool known = row;
        if (status == MIEN_OK && !known)
            status = mien_runs_append(out, name, entry->failed ? MIEN_RUN_FAILED : MIEN_RUN_WAITING,
                                      &row);
        for (size_t k = 0; status == MIEN_OK && !known && k < entry->setting_count; k++) {
            const mien_key *key = mien_keys_find(mien_config_keys(), entry->settings[k].key);
            char **value = key ? &row->values[key - mien_config_keys().rows] : NULL;
            if (value && !*value) status = mien_copy_text(value, entry->settings[k].value);
        }
        if (status == MIEN_OK && row->state == MIEN_RUN_FAILED && entry->message[0])
            status = mien_run_because(row, entry->message);
    }
    mien_sweep_file_release(&file);
    return status;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static mien_status scan(const char *top, const char *prefix, int depth, mien_runs *out) {
    struct dirent **entries = NULL;
    char folder[MIEN_PATH];
    MIEN_TRY(mien_path_join(folder, top, prefix));
    const int count = scandir(folder, &entries, is_visible, versionsort);
    if (count < 0) {
        mien_run_row *row;
        if (errno == ENOMEM) return MIEN_FAIL(NO_MEMORY, "out of memory");
        char reason[256];
        snprintf(reason, sizeof reason, "cannot read the folder: %s", strerror(errno));
        MIEN_TRY(mien_runs_append(out, prefix, MIEN_RUN_BAD, &row));
        return mien_run_because(row, reason);
    }
    mien_status status = MIEN_OK;
    for (int i = 0; i < count; i++) {
        char name[MIEN_PATH], path[MIEN_PATH];
        bool found = false;
        if (status == MIEN_OK) status = join_name(name, prefix, entries[i]->d_name);
        if (status == MIEN_OK) status = mien_path_join(path, top, name);
        if (status == MIEN_OK && mien_is_folder(path)) {
            status = mien_runs_add(top, name, out, &found);
            if (status == MIEN_OK && !found && depth > 1) status = scan(top, name, depth - 1, out);
        }
        free(entries[i]);
    }
    free(entries);
    return status == MIEN_OK ? add_planned(folder, prefix, out) : status;
}

mien_status mien_runs_read(const char *folder, mien_runs *out) {
    *out = (mien_runs){0};
    bool found = false;
    if (!mien_is_folder(folder))
        return MIEN_FAIL(NOT_FOUND, "there is no folder '%s': name the folder of your runs",
                         folder);
    if (!has_file(folder, MIEN_SWEEP_FILE) && has_file(folder, "config.yaml"))
        MIEN_TRY(mien_runs_add(folder, ".", out, &found));
    if (!found) MIEN_TRY(scan(folder, "", DEPTH, out));
    if (out->count) return MIEN_OK;
    return MIEN_FAIL(NOT_FOUND,
                     "there is no run in '%s': name a folder that mien train or mien sweep wrote, "
                     "or the folder above several of them",
                     folder);
}
