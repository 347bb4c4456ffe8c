#include "host/runs/sweep.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/runs/jobs.h"

enum { EXIT_SAVED = 75, WORDS = 4096, LOG_BYTES = 64 << 20 };

static mien_status compare(const char *folder, const char *name, mien_sweep_config configs,
                           void *context, size_t i) {
    char path[MIEN_PATH], file[MIEN_PATH], *text = NULL;
    size_t size;
    mien_config now = {0}, before = {0};
    mien_text differences = {0};
    MIEN_TRY(mien_path_join(path, folder, name));
    MIEN_TRY(mien_path_join(file, path, "config.yaml"));
    if (!mien_file_exists(file)) return MIEN_OK;
    mien_status status = mien_file_read(file, 1 << 20, &text, &size);
    if (status == MIEN_OK) status = configs(context, i, &now);
    if (status == MIEN_OK) status = mien_config_start(&before);
    if (status == MIEN_OK) status = mien_config_read_text(&before, text, file);
    if (status == MIEN_OK) status = mien_config_differences(&now, &before, &differences);
    if (status == MIEN_OK && differences.size)
        status = MIEN_FAIL(INVALID,
                           "'%s' was trained with other settings: %s; choose another --out, or "
                           "delete that folder",
                           path, differences.data);
    mien_text_release(&differences);
    mien_config_release(&now);
    mien_config_release(&before);
    mien_free(text);
    return status;
}

/* The state of an existing run folder; WAITING without one. */
static mien_status read_state(const char *folder, const char *name, mien_run_state *out) {
    mien_runs one = {0};
    bool found = false;
    const mien_status status = mien_runs_add(folder, name, &one, &found);
    *out = found && status == MIEN_OK ? one.rows[0].state : MIEN_RUN_WAITING;
    mien_runs_release(&one);
    return status;
}

static mien_status plan_run(const mien_sweep_request *request, size_t i,
                            const mien_sweep_file *before, mien_sweep *out) {
    const mien_grid *grid = request->grid;
    char name[256];
    mien_sweep_entry *entry;
    MIEN_TRY(mien_grid_name(grid, i, name, sizeof name));
    if (mien_sweep_file_find(&out->file, name))
        return MIEN_FAIL(INVALID, "--grid: two runs have the name '%s'", name);
    MIEN_TRY(mien_sweep_file_add(&out->file, name, &entry));
    for (size_t a = 0; a < grid->count; a++)
        MIEN_TRY(mien_sweep_entry_set(entry, grid->axes[a].key->name,
                                      grid->axes[a].values[mien_grid_at(grid, i, a)]));
    const mien_sweep_entry *old = mien_sweep_file_find(before, name);
    if (old) {
        entry->threads = old->threads;
        entry->failed = old->failed;
        memcpy(entry->message, old->message, sizeof entry->message);
    }
    return read_state(request->folder, name, &out->states[i]);
}

static mien_status keep_entry(const mien_sweep_entry *old, mien_sweep_file *file) {
    mien_sweep_entry *entry;
    MIEN_TRY(mien_sweep_file_add(file, old->name, &entry));
    for (size_t k = 0; k < old->setting_count; k++)
        MIEN_TRY(mien_sweep_entry_set(entry, old->settings[k].key, old->settings[k].value));
    entry->threads = old->threads;
    entry->failed = old->failed;
    memcpy(entry->message, old->message, sizeof entry->message);
    return MIEN_OK;
}

mien_status mien_sweep_plan(const mien_sweep_request *request, mien_sweep_config configs,
                            void *context, mien_sweep *out) {
    mien_sweep_file before = {0};
    *out = (mien_sweep){.count = mien_grid_size(request->grid)};
    MIEN_TRY(mien_new(&out->states, out->count, sizeof *out->states));
    mien_status status = mien_sweep_file_read(request->folder, &before);
    if (status == MIEN_NOT_FOUND) status = MIEN_OK;
    for (size_t i = 0; i < out->count && status == MIEN_OK; i++) {
        status = plan_run(request, i, &before, out);
        if (status == MIEN_OK && out->states[i] != MIEN_RUN_WAITING)
            status = compare(request->folder, out->file.entries[i].name, configs, context, i);
    }
    for (size_t i = 0; i < before.count && status == MIEN_OK; i++)
        if (!mien_sweep_file_find(&out->file, before.entries[i].name))
            status = keep_entry(&before.entries[i], &out->file);
    mien_sweep_file_release(&before);
    return status;
}

const char *mien_sweep_action(const mien_sweep *sweep, size_t i) {
    switch (sweep->states[i]) {
    case MIEN_RUN_FINISHED:
    case MIEN_RUN_RUNNING:
        return "skip";
    case MIEN_RUN_STOPPED:
    case MIEN_RUN_FAILED:
        return "continue";
    default:
        return "start";
    }
}

/* The last message of a training in its log. */
static void read_message(const char *log, mien_sweep_entry *entry) {
    char *text = NULL, *save = NULL;
    size_t size;
    entry->message[0] = 0;
    if (mien_file_read(log, LOG_BYTES, &text, &size) != MIEN_OK) return;
    for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
        if (strncmp(line, "mien: ", 6) == 0)
            snprintf(entry->message, sizeof entry->message, "%s", line + 6);
    mien_free(text);
}

typedef struct worker {
    mien_job job;
    size_t run;
} worker;

typedef struct trainer {
    const mien_sweep_request *request;
    mien_sweep *sweep;
    size_t next, ended;
    int busy;
} trainer;

static mien_status log_path(const trainer *t, size_t run, char *out) {
    char name[300];
    snprintf(name, sizeof name, "%s.log", t->sweep->file.entries[run].name);
    return mien_path_join(out, t->request->folder, name);
}

/* The command of a run. A training that goes on must have as many threads as it began with. */
static mien_status start(trainer *t, worker *w, size_t run) {
    const mien_sweep_request *r = t->request;
    mien_sweep_entry *entry = &t->sweep->file.entries[run];
    const bool continues =
        strcmp(mien_sweep_action(t->sweep, run), "continue") == 0 && entry->threads > 0;
    const int share = mien_job_cpus(r->jobs);
    char folder[MIEN_PATH], log[MIEN_PATH], threads[16], device[32];
    char *argv[WORDS + 2 * MIEN_SWEEP_KEYS + 16];
    size_t n = 0;
    MIEN_TRY(mien_path_join(folder, r->folder, entry->name));
    MIEN_TRY(log_path(t, run, log));
    if (!continues) entry->threads = r->threads ? r->threads : share;
    snprintf(threads, sizeof threads, "%d", entry->threads);
    argv[n++] = (char *)"mien";
    argv[n++] = (char *)"train";
    for (size_t i = 0; i < r->word_count && i < WORDS; i++)
        argv[n++] = (char *)r->words[i];
    for (size_t a = 0; a < r->grid->count; a++) {
        argv[n++] = (char *)"--set";
        argv[n++] = r->grid->axes[a].assignments[mien_grid_at(r->grid, run, a)];
    }
    argv[n++] = (char *)"--resume";
    argv[n++] = folder;
    argv[n++] = (char *)"--threads";
    argv[n++] = threads;
    if (r->gpus)
        snprintf(device, sizeof device, "cuda:%d", w->job.slot % r->gpus);
    else if (r->device)
        snprintf(device, sizeof device, "%s", r->device);
    if (r->gpus || r->device) {
        argv[n++] = (char *)"--device";
        argv[n++] = device;
    }
    argv[n] = NULL;
    entry->failed = false;
    entry->message[0] = 0;
    MIEN_TRY(mien_sweep_file_write(r->folder, &t->sweep->file));
    MIEN_TRY(mien_job_start(&w->job, argv, log, r->jobs, entry->threads == share));
    w->run = run;
    t->busy++;
    MIEN_INFO("%s: %s", entry->name, continues ? "continued" : "started");
    return MIEN_OK;
}

/* "[3/8] name: finished, val_accuracy 0.6412" */
static mien_status announce(const trainer *t, size_t run) {
    const mien_sweep_entry *entry = &t->sweep->file.entries[run];
    mien_runs one = {0};
    bool found = false;
    char figure[64] = "";
    const mien_status status = mien_runs_add(t->request->folder, entry->name, &one, &found);
    if (status == MIEN_OK && found && isfinite(one.rows[0].val_accuracy))
        snprintf(figure, sizeof figure, ", val_accuracy %.4f", one.rows[0].val_accuracy);
    if (t->sweep->states[run] == MIEN_RUN_FAILED)
        MIEN_WARN("[%zu/%zu] %s: failed: %s", t->ended, t->sweep->count, entry->name,
                  entry->message);
    else
        MIEN_INFO("[%zu/%zu] %s: %s%s", t->ended, t->sweep->count, entry->name,
                  mien_run_state_name(t->sweep->states[run]), figure);
    mien_runs_release(&one);
    return status;
}

static mien_status finish(trainer *t, const worker *w, int code) {
    mien_sweep_entry *entry = &t->sweep->file.entries[w->run];
    mien_run_state *state = &t->sweep->states[w->run];
    char log[MIEN_PATH];
    t->busy--;
    t->ended++;
    MIEN_TRY(log_path(t, w->run, log));
    if (code == 0) {
        *state = MIEN_RUN_FINISHED;
    } else if (code == EXIT_SAVED || (*t->request->stop && code > 128)) {
        *state = MIEN_RUN_STOPPED; /* also by a signal before it could catch it */
    } else {
        *state = MIEN_RUN_FAILED;
        entry->failed = true;
        read_message(log, entry);
        if (code > 128)
            snprintf(entry->message, sizeof entry->message, "ended by signal %d (%s)", code - 128,
                     strsignal(code - 128));
        else if (!entry->message[0])
            snprintf(entry->message, sizeof entry->message, "exit status %d; see %.400s", code,
                     log);
        MIEN_TRY(mien_sweep_file_write(t->request->folder, &t->sweep->file));
    }
    return announce(t, w->run);
}

/* Starts runs while there are free workers, and takes the results of those that ended. */
static mien_status turn(trainer *t, worker *workers) {
    int code;
    for (int i = 0; i < t->request->jobs; i++) {
        worker *w = &workers[i];
        if (w->job.pid && mien_job_ended(&w->job, &code)) MIEN_TRY(finish(t, w, code));
        while (!w->job.pid && !*t->request->stop && t->next < t->sweep->count) {
            const size_t run = t->next++;
            if (strcmp(mien_sweep_action(t->sweep, run), "skip") == 0) {
                t->ended++;
                MIEN_TRY(announce(t, run));
            } else {
                MIEN_TRY(start(t, w, run));
            }
        }
    }
    return MIEN_OK;
}

static void wait_for_all(trainer *t, worker *workers) {
    int code;
    for (int i = 0; i < t->request->jobs; i++)
        mien_job_stop(&workers[i].job);
    if (t->busy) MIEN_INFO("stopping: %d trainings are saving", t->busy);
    while (t->busy)
        for (int i = 0; i < t->request->jobs; i++) {
            worker *w = &workers[i];
            if (w->job.pid && mien_job_ended(&w->job, &code) && finish(t, w, code) != MIEN_OK)
                MIEN_WARN("%s", mien_error_message());
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        }
}

static mien_status train_all(trainer *t) {
    worker *workers;
    const int jobs = t->request->jobs;
    MIEN_TRY(mien_sweep_file_write(t->request->folder, &t->sweep->file));
    MIEN_TRY(mien_new(&workers, (size_t)jobs, sizeof *workers));
    mien_status status = MIEN_OK;
    for (int i = 0; i < jobs; i++)
        workers[i].job.slot = i;
    do {
        status = turn(t, workers);
        if (t->busy) nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    } while (status == MIEN_OK && !*t->request->stop && t->busy);
    wait_for_all(t, workers);
    mien_free(workers);
    return status;
}

mien_status mien_sweep_train(const mien_sweep_request *request, mien_sweep *sweep, size_t *failed,
                             size_t *stopped) {
    trainer t = {.request = request, .sweep = sweep};
    int lock;
    *failed = *stopped = 0;
    MIEN_TRY(mien_make_folders(request->folder));
    MIEN_TRY(mien_lock_folder(request->folder, &lock));
    const mien_status status = train_all(&t);
    mien_unlock_folder(request->folder, lock);
    for (size_t i = 0; i < sweep->count; i++) {
        const mien_run_state state = sweep->states[i];
        *failed += state == MIEN_RUN_FAILED || state == MIEN_RUN_RUNNING || state == MIEN_RUN_BAD;
        *stopped += state == MIEN_RUN_STOPPED || state == MIEN_RUN_WAITING;
    }
    if (status != MIEN_OK || !*request->stop || !*stopped) return status;
    return MIEN_FAIL(INTERRUPTED, "stopped; the same command continues");
}

void mien_sweep_release(mien_sweep *sweep) {
    mien_sweep_file_release(&sweep->file);
    mien_free(sweep->states);
    *sweep = (mien_sweep){0};
}
