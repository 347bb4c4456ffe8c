#include "host/infer/prepare_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/memory.h"

enum { OPTIONS_MAX = 1 << 20 };
static const char OPTIONS[] = "prepare.json", LOG[] = ".progress", OLD_LOG[] = ".progress.old";

/* ---- paths ---- */

/* The real path of a folder that may not exist yet. */
static mien_status resolve(const char *path, char out[PATH_MAX]) {
    char above[MIEN_PATH], inner[MIEN_PATH];
    if (realpath(path, out)) return MIEN_OK;
    MIEN_TRY(mien_path_join(above, "", path));
    do {
        strcpy(inner, above);
        mien_path_folder(above, inner);
    } while (!realpath(above, out) && strcmp(above, inner) != 0);
    const bool here = strcmp(above, ".") == 0 && strncmp(path, "./", 2) != 0;
    const char *rest = path + (here ? 0 : strlen(above));
    for (const char *at = rest; (at = strstr(at, "..")); at += 2)
        if ((at == path || at[-1] == '/') && (at[2] == '/' || !at[2]))
            return MIEN_FAIL(INVALID,
                             "'%s' goes up from a folder that does not exist: give it "
                             "without '..'",
                             path);
    const size_t used = strlen(out);
    rest += strspn(rest, "/");
    if (used + 1 + strlen(rest) >= PATH_MAX)
        return MIEN_FAIL(INVALID, "the path '%.60s…' is too long", path);
    out[used] = '/';
    strcpy(out + used + 1, rest);
    return MIEN_OK;
}

static bool is_in(const char *path, const char *folder) {
    const size_t length = strlen(folder);
    if (strcmp(folder, "/") == 0) return true;
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || !path[length]);
}

mien_status prepare_folder_apart(const char *source, const char *out) {
    char from[PATH_MAX], to[PATH_MAX];
    if (!*out) return MIEN_FAIL(INVALID, "the name of the output folder is empty");
    MIEN_TRY(resolve(out, to));
    if (!realpath(source, from)) return MIEN_OK; /* listing it gives the message */
    if (is_in(to, from))
        return MIEN_FAIL(INVALID,
                         "the output folder '%s' is in '%s', whose photos are read: choose one "
                         "outside it",
                         out, source);
    if (is_in(from, to))
        return MIEN_FAIL(INVALID,
                         "the photos in '%s' are in the output folder '%s': choose "
                         "another one",
                         source, out);
    return MIEN_OK;
}

static mien_status check_foreign(const char *folder) {
    char path[MIEN_PATH];
    DIR *dir = opendir(folder);
    bool used = false;
    if (!dir && errno == ENOENT) return MIEN_OK;
    if (!dir) return MIEN_FAIL(IO, "cannot open the folder '%s': %s", folder, strerror(errno));
    for (const struct dirent *entry; (entry = readdir(dir));)
        used |= strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                strcmp(entry->d_name, ".lock") != 0 && strncmp(entry->d_name, ".mien-", 6) != 0;
    closedir(dir);
    MIEN_TRY(mien_path_join(path, folder, OPTIONS));
    if (!used || mien_file_exists(path)) return MIEN_OK;
    return MIEN_FAIL(INVALID,
                     "the folder '%s' is not empty and has no %s of an earlier run: choose "
                     "another one",
                     folder, OPTIONS);
}

/* ---- options ---- */

static void write_options(const mien_prepare *o, mien_text *out) {
    mien_json json = {.text = out, .pretty = true};
    char text[64];
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "program", "mien prepare");
    mien_json_string(&json, "source", o->source);
    mien_json_open(&json, "options", '{');
    mien_json_string(&json, "detector", o->detector ? o->detector_text : "none");
    snprintf(text, sizeof text, "%s, margin %g", o->crop.square ? "square" : "box", o->crop.margin);
    mien_json_string(&json, "crop", o->detector ? text : "none");
    mien_json_string(&json, "channels", o->channels == 1 ? "1" : "3");
    if (o->height)
        snprintf(text, sizeof text, "%dx%d", o->width, o->height);
    else
        snprintf(text, sizeof text, "at most %d", o->side_max);
    mien_json_string(&json, "size", text);
    snprintf(text, sizeof text, "%d", o->min_face);
    mien_json_string(&json, "min-face", o->min_face ? text : "default");
    snprintf(text, sizeof text, "%.17g", o->min_score ? *o->min_score : 0.0);
    mien_json_string(&json, "min-score", o->min_score ? text : "default");
    snprintf(text, sizeof text, "%g", o->every);
    mien_json_string(&json, "every", text);
    mien_json_string(&json, "faces", mien_prepare_faces_names[o->faces]);
    mien_json_close(&json, '}');
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}

/* Names the first option that differs. */
static mien_status compare(const char *folder, const mien_value *now, const mien_value *then) {
    for (const mien_value *v = now->first; v; v = v->next) {
        const char *before = mien_value_string(then, v->key);
        if (before && strcmp(before, v->text) == 0) continue;
        return MIEN_FAIL(INVALID,
                         "'%s' was begun with %s '%s', not '%s': give the same options, choose "
                         "another --out, or begin anew with --force",
                         folder, v->key, before ? before : "", v->text);
    }
    return MIEN_OK;
}

static mien_status compare_options(const char *folder, const char *path, const mien_text *options) {
    mien_tree now = {0}, then = {0};
    char *text = NULL;
    size_t size;
    mien_status status;
    MIEN_GO(mien_json_parse(options->data, options->size, OPTIONS, &now));
    MIEN_GO(mien_file_read(path, OPTIONS_MAX, &text, &size));
    status = mien_json_parse(text, size, path, &then);
    const mien_value *old = status == MIEN_OK ? mien_value_get(then.root, "options") : NULL;
    if (!old || old->kind != MIEN_VALUE_MAP) {
        status =
            MIEN_FAIL(FORMAT, "'%s' is not that of a prepared folder: choose another --out", path);
        goto out;
    }
    status = compare(folder, mien_value_get(now.root, "options"), old);
out:
    mien_tree_release(&now);
    mien_tree_release(&then);
    mien_free(text);
    return status;
}

/* ---- beginning anew ---- */

static void remove_file(const char *folder, const char *name) {
    char path[MIEN_PATH];
    if (mien_path_join(path, folder, name) == MIEN_OK) unlink(path);
}

/* Removes crops and the folders that become empty; other files in them stay. */
static void remove_crops(const char *folder, const prepare_records *records, size_t from) {
    char path[MIEN_PATH], above[MIEN_PATH];
    for (size_t i = from; i < records->count; i++)
        for (int k = 0; k < records->items[i].count; k++) {
            if (mien_path_join(path, folder, records->items[i].crops[k].file) != MIEN_OK) continue;
            unlink(path);
            for (mien_path_folder(above, path); strlen(above) > strlen(folder);) {
                if (rmdir(above) != 0) break;
                strcpy(path, above);
                mien_path_folder(above, path);
            }
        }
}

/* A run that is killed here continues here: the crops to be removed stay named in .progress.old. */
static mien_status remove_old(const char *folder) {
    char path[MIEN_PATH];
    prepare_records old;
    MIEN_TRY(mien_path_join(path, folder, OLD_LOG));
    if (!mien_file_exists(path)) return MIEN_OK;
    const mien_status status = prepare_records_read(path, &old);
    if (status == MIEN_OK) remove_crops(folder, &old, 0);
    prepare_records_release(&old);
    MIEN_TRY(status);
    remove_file(folder, "manifest.csv");
    remove_file(folder, "rejected.csv");
    unlink(path);
    return MIEN_OK;
}

static mien_status begin_anew(const char *folder, const char *log) {
    char path[MIEN_PATH];
    MIEN_TRY(remove_old(folder));
    MIEN_TRY(mien_path_join(path, folder, OLD_LOG));
    if (rename(log, path) != 0 && errno != ENOENT)
        return MIEN_FAIL(IO, "cannot rename '%s': %s", log, strerror(errno));
    return MIEN_OK;
}

/* ---- the folder ---- */

static mien_status open_log(prepare_folder *f, const char *path) {
    MIEN_TRY(prepare_records_read(path, &f->done));
    remove_crops(f->path, &f->done, f->done.committed); /* they are made again */
    while (f->done.count > f->done.committed)
        prepare_photo_release(&f->done.items[--f->done.count]);
    f->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (f->log < 0 || ftruncate(f->log, (off_t)f->done.bytes) != 0)
        return MIEN_FAIL(IO, "cannot write '%s': %s", path, strerror(errno));
    return MIEN_OK;
}

static mien_status use_folder(const mien_prepare *o, prepare_folder *f, const mien_text *options) {
    char path[MIEN_PATH], log[MIEN_PATH];
    MIEN_TRY(mien_path_join(path, o->out, OPTIONS));
    MIEN_TRY(mien_path_join(log, o->out, LOG));
    if (mien_file_exists(path) && !o->force)
        MIEN_TRY(compare_options(o->out, path, options));
    else {
        MIEN_TRY(begin_anew(o->out, log));
        MIEN_TRY(mien_file_write(path, options->data, options->size));
    }
    MIEN_TRY(remove_old(o->out));
    return open_log(f, log);
}

mien_status prepare_folder_open(const mien_prepare *o, prepare_folder *f) {
    mien_text options = {0};
    mien_status status;
    *f = (prepare_folder){.path = o->out, .lock = -1, .log = -1};
    MIEN_TRY(check_foreign(o->out));
    MIEN_TRY(mien_make_folders(o->out));
    status = mien_lock_folder(o->out, &f->lock);
    if (status == MIEN_INVALID)
        return MIEN_FAIL(INVALID, "another process is working in '%s'", o->out);
    MIEN_TRY(status);
    write_options(o, &options);
    status = options.status;
    if (status == MIEN_OK) status = use_folder(o, f, &options);
    mien_text_release(&options);
    return status;
}

void prepare_folder_close(prepare_folder *f) {
    if (f->log >= 0) close(f->log);
    mien_unlock_folder(f->path, f->lock);
    prepare_records_release(&f->done);
    *f = (prepare_folder){.lock = -1, .log = -1};
}

mien_status prepare_folder_log(const prepare_folder *f, const mien_text *text) {
    MIEN_TRY(text->status);
    for (size_t done = 0; done < text->size;) {
        const ssize_t put = write(f->log, text->data + done, text->size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0)
            return MIEN_FAIL(IO, "cannot write '%s/%s': %s", f->path, LOG, strerror(errno));
        done += (size_t)put;
    }
    return MIEN_OK;
}

mien_status prepare_folder_replace_log(prepare_folder *f, const mien_text *text) {
    char path[MIEN_PATH];
    MIEN_TRY(text->status);
    MIEN_TRY(mien_path_join(path, f->path, LOG));
    return mien_file_write(path, text->data ? text->data : "", text->size);
}
