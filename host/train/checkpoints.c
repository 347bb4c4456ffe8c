#include "host/train/checkpoints.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/train/saved_models.h"

/* ---- the state as text ---- */

typedef enum field_kind { FLAG, INT, WORD, LONG, REAL } field_kind;

/* Numbers are decimal, reals hexadecimal floats, so that they come back exactly. */
static const struct {
    const char *name;
    field_kind kind;
    size_t offset;
} fields[] = {
#define FIELD(name, kind, member)                                                                  \
    { name, kind, offsetof(mien_progress, member) }
    FIELD("step", LONG, device.step),
    FIELD("seed", WORD, device.seed),
    FIELD("bad", WORD, device.bad),
    FIELD("skipped", LONG, device.skipped),
    FIELD("beta_1_power", REAL, device.beta_1_power),
    FIELD("beta_2_power", REAL, device.beta_2_power),
    FIELD("learning_rate", REAL, device.learning_rate),
    FIELD("gradient_norm", REAL, device.gradient_norm),
    FIELD("loss_sum", REAL, device.loss_sum),
    FIELD("rows", LONG, device.rows),
    FIELD("correct", LONG, device.correct),
    FIELD("cursor", LONG, device.cursor),
    FIELD("tick", LONG, device.tick),
    FIELD("loss_scale", REAL, device.loss_scale),
    FIELD("good", LONG, device.good),
    FIELD("epochs", INT, epochs),
    FIELD("finished", FLAG, finished),
    FIELD("seconds", REAL, seconds),
    FIELD("plateau.best", REAL, plateau.best),
    FIELD("plateau.factor", REAL, plateau.factor),
    FIELD("plateau.waited", INT, plateau.waited),
    FIELD("best.value", REAL, best.best),
    FIELD("best.val_loss", REAL, best.best_loss),
    FIELD("best.waited", INT, best.waited),
    FIELD("best.epoch", INT, best.epoch),
    FIELD("best.loss", REAL, best_loss),
    FIELD("best.accuracy", REAL, best_accuracy),
    FIELD("best.macro_f1", REAL, best_macro_f1),
    FIELD("early_stopping.value", REAL, patience.best),
    FIELD("early_stopping.val_loss", REAL, patience.best_loss),
    FIELD("early_stopping.waited", INT, patience.waited),
    FIELD("early_stopping.epoch", INT, patience.epoch),
    /* older checkpoints lack those from here on */
    FIELD("divergence.count", INT, nan_count),
    FIELD("divergence.rate_factor", REAL, rate_factor),
    FIELD("divergence.good_step", LONG, good_step),
    FIELD("plateau.cooldown", INT, plateau.cooldown),
    FIELD("early_stopping.stops", FLAG, stops),
    FIELD("events.train", LONG, events[0]),
    FIELD("events.validation", LONG, events[1]),
#undef FIELD
};

enum { FIELDS = sizeof fields / sizeof fields[0], NEEDED = 32, TEXTS = 5, WIDTH = 32 };
static const char *const text_names[TEXTS] = {"config", "recipe", "plan", "data", "log"};

static void print_field(size_t i, const mien_progress *from, char out[WIDTH]) {
    const void *at = (const char *)from + fields[i].offset;
    switch (fields[i].kind) {
    case FLAG:
        snprintf(out, WIDTH, "%d", *(const bool *)at);
        break;
    case INT:
        snprintf(out, WIDTH, "%d", *(const int *)at);
        break;
    case WORD:
        snprintf(out, WIDTH, "%u", *(const uint32_t *)at);
        break;
    case LONG:
        snprintf(out, WIDTH, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case REAL:
        snprintf(out, WIDTH, "%a", *(const double *)at);
        break;
    }
}

static mien_status read_field(size_t i, const char *text, const char *source, mien_progress *to) {
    void *at = (char *)to + fields[i].offset;
    char *end = NULL;
    errno = 0;
    const unsigned long long whole = text && *text ? strtoull(text, &end, 10) : 0;
    const bool fits = end && *end == 0 && errno == 0 &&
                      (fields[i].kind == LONG || whole <= (fields[i].kind == FLAG  ? 1
                                                           : fields[i].kind == INT ? INT32_MAX
                                                                                   : UINT32_MAX));
    if (fields[i].kind == REAL && text && *text) {
        *(double *)at = strtod(text, &end);
        if (*end == 0) return MIEN_OK;
    } else if (fits) {
        switch (fields[i].kind) {
        case FLAG:
            *(bool *)at = whole == 1;
            return MIEN_OK;
        case INT:
            *(int *)at = (int)whole;
            return MIEN_OK;
        case WORD:
            *(uint32_t *)at = (uint32_t)whole;
            return MIEN_OK;
        default:
            *(uint64_t *)at = whole;
            return MIEN_OK;
        }
    }
    return MIEN_FAIL(FORMAT, "%s: the checkpoint's '%s' is missing or is no number", source,
                     fields[i].name);
}

static const char **text_of(mien_run_texts *texts, size_t i) {
    const char **const all[TEXTS] = {&texts->config, &texts->recipe, &texts->plan, &texts->data,
                                     &texts->log};
    return all[i];
}

/* ---- files ---- */

/* The step of "step-12.safetensors", -1 for another name. */
static long long step_of(const char *name) {
    static const char start[] = "step-", end[] = ".safetensors";
    char *rest;
    if (strncmp(name, start, sizeof start - 1) != 0) return -1;
    if (name[sizeof start - 1] < '0' || name[sizeof start - 1] > '9') return -1;
    const long long step = strtoll(name + sizeof start - 1, &rest, 10);
    return strcmp(rest, end) == 0 ? step : -1;
}

static void step_path(const char *folder, long long step, char *out) {
    char name[64];
    snprintf(name, sizeof name, "step-%lld.safetensors", step);
    if (mien_path_join(out, folder, name) != MIEN_OK) *out = 0;
}

/* The newest step below `before`, -1 for none. A folder that cannot be listed is not one without
 * checkpoints: a training would begin anew over them. */
static mien_status newest_step(const char *folder, long long before, long long *newest) {
    DIR *dir = opendir(folder);
    *newest = -1;
    errno = dir || errno == ENOENT ? 0 : errno;
    for (const struct dirent *e; dir && (e = readdir(dir)); errno = 0) {
        const long long step = step_of(e->d_name);
        if (step > *newest && step < before) *newest = step;
    }
    const int code = errno;
    if (dir) closedir(dir);
    if (code) return MIEN_FAIL(IO, "cannot read the folder '%s': %s", folder, strerror(code));
    return MIEN_OK;
}

/* What cannot be removed now is removed after the next one. */
static void remove_old(const char *folder, mien_keep keep) {
    char path[MIEN_PATH];
    long long step = INT64_MAX;
    for (int i = 0; newest_step(folder, step, &step) == MIEN_OK && step >= 0; i++) {
        step_path(folder, step, path);
        if (i >= keep.newest && step != keep.also[0] && step != keep.also[1]) unlink(path);
    }
}

void mien_checkpoints_forget(const char *folder, uint64_t after) {
    char path[MIEN_PATH];
    long long step = INT64_MAX;
    while (newest_step(folder, step, &step) == MIEN_OK && step > (long long)after) {
        step_path(folder, step, path);
        unlink(path);
    }
}

static mien_status write_files(const char *folder, long long step, const mien_checkpoint *whole,
                               mien_text *file) {
    char path[MIEN_PATH], last[MIEN_PATH];
    step_path(folder, step, path);
    MIEN_TRY(mien_path_join(last, folder, MIEN_RUN_LAST));
    return mien_checkpoint_write(whole, path, last, file);
}

mien_status mien_checkpoints_save(const char *folder, const mien_checkpoint *arrays,
                                  const mien_progress *progress, const mien_run_texts *texts,
                                  mien_keep keep, mien_text *buffer) {
    char numbers[FIELDS][WIDTH];
    mien_st_meta state[FIELDS + TEXTS];
    mien_checkpoint whole = *arrays;
    mien_run_texts all = *texts;
    for (size_t i = 0; i < FIELDS; i++) {
        print_field(i, progress, numbers[i]);
        state[i] = (mien_st_meta){fields[i].name, numbers[i]};
    }
    for (size_t i = 0; i < TEXTS; i++)
        state[FIELDS + i] = (mien_st_meta){text_names[i], *text_of(&all, i)};
    whole.state = state;
    whole.state_count = FIELDS + TEXTS;
    MIEN_TRY(write_files(folder, (long long)progress->device.step, &whole, buffer));
    remove_old(folder, keep);
    return MIEN_OK;
}

static mien_status read_state(mien_resume *r) {
    r->progress = (mien_progress){.rate_factor = 1};
    for (size_t i = 0; i < FIELDS; i++) {
        const char *text = mien_safetensors_meta(&r->file, fields[i].name);
        if (i < NEEDED || text) MIEN_TRY(read_field(i, text, r->path, &r->progress));
    }
    for (size_t i = 0; i < TEXTS; i++) {
        const char **text = text_of(&r->texts, i);
        *text = mien_safetensors_meta(&r->file, text_names[i]);
        if (!*text)
            return MIEN_FAIL(FORMAT, "%s: the checkpoint's '%s' is missing", r->path,
                             text_names[i]);
    }
    return MIEN_OK;
}

static mien_status open_one(mien_resume *r) {
    size_t size;
    mien_resume_release(r);
    MIEN_TRY(mien_file_read(r->path, (size_t)8 << 30, &r->bytes, &size));
    MIEN_TRY(mien_checkpoint_parse(r->bytes, size, r->path, &r->file));
    return read_state(r);
}

mien_status mien_checkpoints_open(const char *folder, uint64_t step, mien_resume *out) {
    *out = (mien_resume){0};
    step_path(folder, (long long)step, out->path);
    return open_one(out);
}

mien_status mien_checkpoints_newest(const char *folder, mien_resume *out) {
    mien_status damaged = MIEN_OK;
    long long step = INT64_MAX;
    *out = (mien_resume){0};
    for (;;) {
        MIEN_TRY(newest_step(folder, step, &step));
        if (step < 0) break;
        step_path(folder, step, out->path);
        const mien_status status = open_one(out);
        /* a file of another version is whole, and no reason to go back to an older one */
        if (status != MIEN_FORMAT && status != MIEN_IO) return status;
        MIEN_WARN("%s; trying an older one", mien_error_message());
        damaged = status;
    }
    MIEN_TRY(mien_path_join(out->path, folder, MIEN_RUN_LAST));
    if (mien_file_exists(out->path)) return open_one(out);
    if (damaged != MIEN_OK)
        return MIEN_FAIL(FORMAT, "'%s' has no checkpoint that is whole", folder);
    return MIEN_FAIL(NOT_FOUND, "'%s' has no checkpoint", folder);
}

/* The first line of `text` that differs from that of `before`, for a message. */
static void first_difference(const char *text, const char *before, char *out, size_t size) {
    const char *line = text, *old = before;
    for (; *text && *text == *before; text++, before++)
        if (*text == '\n') line = text + 1, old = before + 1;
    snprintf(out, size, "'%.*s', was '%.*s'", (int)strcspn(line, "\n"), line,
             (int)strcspn(old, "\n"), old);
}

mien_status mien_resume_check(const mien_resume *r, const char *data, const char *plan) {
    char line[512];
    if (strcmp(r->texts.data, data) != 0)
        return MIEN_FAIL(INVALID,
                         "the data are not those of %s: its images, labels or parts have changed; "
                         "--resume-anyway continues with them",
                         r->path);
    if (strcmp(r->texts.plan, plan) == 0) return MIEN_OK;
    first_difference(plan, r->texts.plan, line, sizeof line);
    return MIEN_FAIL(INVALID,
                     "this is not computed as %s was: %s; --resume-anyway continues, with other "
                     "rounding errors",
                     r->path, line);
}

void mien_resume_release(mien_resume *r) {
    mien_safetensors_release(&r->file);
    mien_free(r->bytes);
    r->bytes = NULL;
    r->texts = (mien_run_texts){0};
}

mien_status mien_checkpoints_clear(const char *folder) {
    static const char *const names[] = {
        MIEN_RUN_BEST,  MIEN_RUN_LAST,   "last.h5",
        "config.yaml",  "run.json",      "log.csv",
        "metrics.json", MIEN_RUN_EVENTS, "validation/" MIEN_RUN_EVENTS,
        MIEN_RUN_BAD};
    char path[MIEN_PATH];
    long long step;
    for (;;) {
        MIEN_TRY(newest_step(folder, INT64_MAX, &step));
        if (step < 0) break;
        step_path(folder, step, path);
        if (unlink(path) != 0)
            return MIEN_FAIL(IO, "cannot remove '%s': %s", path, strerror(errno));
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        MIEN_TRY(mien_path_join(path, folder, names[i]));
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR && errno != EISDIR)
            return MIEN_FAIL(IO, "cannot remove '%s': %s", path, strerror(errno));
    }
    return mien_saved_models_clear(folder);
}
