#include "host/backend/tuning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/threads.h"

enum { FILE_MAX = 1 << 20, ENTRIES_MAX = 4096, KERNELS_VERSION = 1 };

/* $XDG_CACHE_HOME/mien/tune.json, else ~/.cache/mien/tune.json; "" if neither is set. */
static void find_file(char *path) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    path[0] = 0;
    if (cache && cache[0] == '/')
        snprintf(path, MIEN_PATH, "%s/mien/tune.json", cache);
    else if (home && home[0] == '/')
        snprintf(path, MIEN_PATH, "%s/.cache/mien/tune.json", home);
}

void mien_tuning_start(mien_tuning *tuning, const char *library, const char *isa, int threads) {
    char model[128];
    mien_processor_name(model, sizeof model);
    *tuning = (mien_tuning){0};
    find_file(tuning->path);
    /* the version changes with the loops: measurements of older ones do not apply */
    snprintf(tuning->machine, sizeof tuning->machine, "%.100s, %s, loops %s %d, %d threads", model,
             library, isa, KERNELS_VERSION, threads);
}

void mien_tuning_release(mien_tuning *tuning) {
    mien_free(tuning->entries);
    *tuning = (mien_tuning){0};
}

static mien_tuned key_of(const mien_linear_desc *d) {
    mien_tuned key = {.in = d->in, .out = d->out, .pad_top = d->pad_top, .pad_left = d->pad_left};
    key.in.n = key.out.n = 0;
    return key;
}

static bool same_shape(mien_shape a, mien_shape b) {
    return a.h == b.h && a.w == b.w && a.c == b.c;
}

static mien_tuned *find(const mien_tuning *tuning, const mien_tuned *key) {
    for (size_t i = 0; i < tuning->count; i++) {
        mien_tuned *e = &tuning->entries[i];
        if (same_shape(e->in, key->in) && same_shape(e->out, key->out) &&
            e->pad_top == key->pad_top && e->pad_left == key->pad_left)
            return e;
    }
    return NULL;
}

const mien_tuned *mien_tuning_find(const mien_tuning *tuning, const mien_linear_desc *desc) {
    const mien_tuned key = key_of(desc);
    return find(tuning, &key);
}

static mien_status put(mien_tuning *tuning, const mien_tuned *entry) {
    mien_tuned *there = find(tuning, entry);
    if (!there) {
        MIEN_TRY(mien_grow(&tuning->entries, &tuning->capacity, tuning->count + 1,
                           sizeof *tuning->entries));
        there = &tuning->entries[tuning->count++];
    }
    *there = *entry;
    return MIEN_OK;
}

mien_status mien_tuning_put(mien_tuning *tuning, const mien_linear_desc *desc,
                            const mien_algorithm *algorithm) {
    mien_tuned entry = key_of(desc);
    memcpy(entry.algorithm, algorithm, sizeof entry.algorithm);
    return put(tuning, &entry);
}

static bool read_shape(const mien_value *list, mien_shape *out) {
    int *const numbers[] = {&out->h, &out->w, &out->c};
    if (!list || list->kind != MIEN_VALUE_LIST || list->count != 3) return false;
    const mien_value *v = list->first;
    for (int i = 0; i < 3; i++, v = v->next) {
        if (v->kind != MIEN_VALUE_NUMBER || !(v->number >= 1 && v->number <= 1 << 20)) return false;
        *numbers[i] = (int)v->number;
    }
    return true;
}

static bool read_entry(const mien_value *map, mien_tuned *e) {
    *e = (mien_tuned){0};
    if (!read_shape(mien_value_get(map, "in"), &e->in) ||
        !read_shape(mien_value_get(map, "out"), &e->out))
        return false;
    const double top = mien_value_number(map, "pad_top", -1);
    const double left = mien_value_number(map, "pad_left", -1);
    if (!(top >= 0 && top <= 255 && left >= 0 && left <= 255)) return false;
    e->pad_top = (int)top;
    e->pad_left = (int)left;
    for (int d = 0; d < MIEN_DIRECTIONS; d++) {
        const char *name = mien_value_string(map, mien_direction_name(d));
        for (int a = MIEN_DIRECT; name && a < MIEN_ALGORITHMS; a++)
            if (strcmp(name, mien_algorithm_name(a)) == 0) e->algorithm[d] = (mien_algorithm)a;
        if (e->algorithm[d] == MIEN_AUTOMATIC) return false;
    }
    return true;
}

static mien_status read_entries(mien_tuning *tuning, const mien_value *root) {
    const mien_value *list = mien_value_get(root, "convolutions");
    if (!list || list->kind != MIEN_VALUE_LIST || list->count > ENTRIES_MAX)
        return MIEN_FAIL(FORMAT, "it has no list of convolutions");
    for (const mien_value *v = list->first; v; v = v->next) {
        mien_tuned entry;
        if (!read_entry(v, &entry))
            return MIEN_FAIL(FORMAT, "line %d is not a measured convolution", v->line);
        MIEN_TRY(put(tuning, &entry));
    }
    return MIEN_OK;
}

void mien_tuning_load(mien_tuning *tuning) {
    char *text = NULL;
    size_t size;
    mien_tree tree = {0};
    if (!tuning->path[0] || !mien_file_exists(tuning->path)) return;
    mien_status status = mien_file_read(tuning->path, FILE_MAX, &text, &size);
    if (status == MIEN_OK) status = mien_json_parse(text, size, tuning->path, &tree);
    if (status == MIEN_OK) {
        const char *machine = mien_value_string(tree.root, "machine");
        if (machine && strcmp(machine, tuning->machine) == 0)
            status = read_entries(tuning, tree.root);
        else
            mien_log(MIEN_LOG_DEBUG, "'%s' is not used: it was measured on another machine (%s)",
                     tuning->path, machine ? machine : "unknown");
    }
    if (status != MIEN_OK) {
        tuning->count = 0;
        MIEN_WARN("'%s' is not used: %s; run mien tune to replace it", tuning->path,
                  mien_error_message());
    }
    mien_tree_release(&tree);
    mien_free(text);
}

static void write_shape(mien_json *json, const char *key, mien_shape s) {
    mien_json_open(json, key, '[');
    mien_json_integer(json, NULL, s.h);
    mien_json_integer(json, NULL, s.w);
    mien_json_integer(json, NULL, s.c);
    mien_json_close(json, ']');
}

static void write_entry(mien_json *json, const mien_tuned *e) {
    mien_json_open(json, NULL, '{');
    write_shape(json, "in", e->in);
    write_shape(json, "out", e->out);
    mien_json_integer(json, "pad_top", e->pad_top);
    mien_json_integer(json, "pad_left", e->pad_left);
    for (int d = 0; d < MIEN_DIRECTIONS; d++)
        mien_json_string(json, mien_direction_name(d), mien_algorithm_name(e->algorithm[d]));
    mien_json_close(json, '}');
}

mien_status mien_tuning_save(const mien_tuning *tuning) {
    char folder[MIEN_PATH];
    mien_text text = {0};
    mien_json json = {.text = &text, .pretty = true};
    if (!tuning->path[0])
        return MIEN_FAIL(NOT_FOUND, "there is no folder for the measurements: set XDG_CACHE_HOME "
                                    "or HOME to an absolute path");
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "machine", tuning->machine);
    mien_json_open(&json, "convolutions", '[');
    for (size_t i = 0; i < tuning->count; i++)
        write_entry(&json, &tuning->entries[i]);
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    mien_path_folder(folder, tuning->path);
    mien_status status = text.status;
    if (status == MIEN_OK) status = mien_make_folders(folder);
    if (status == MIEN_OK) status = mien_file_write(tuning->path, text.data, text.size);
    mien_text_release(&text);
    return status;
}
