/* Engines that were timed, by card and problem, in memory and in engines.json. A damaged file is
 * ignored and replaced; entries of other cards and versions are kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/cuda/dnn.h"
#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/log.h"
#include "host/base/memory.h"

enum { FILE_MAX = 4 << 20, ENTRIES_MAX = 4096, CARD = 192, SCHEMA = 1, NUMBER_MAX = 1 << 20 };

typedef struct entry {
    char card[CARD], problem[DNN_SIGNATURE];
    dnn_choice choice;
} entry;

struct dnn_cache {
    char card[CARD]; /* this one */
    char path[MIEN_PATH];
    entry *entries; /* the oldest first */
    size_t count, capacity;
    bool warned; /* that the file cannot be read or written */
};

static void find_file(char *path) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    path[0] = 0;
    if (cache && cache[0] == '/')
        snprintf(path, MIEN_PATH, "%s/mien/engines.json", cache);
    else if (home && home[0] == '/')
        snprintf(path, MIEN_PATH, "%s/.cache/mien/engines.json", home);
}

static entry *find(const dnn_cache *cache, const char *card, const char *problem) {
    for (size_t i = 0; i < cache->count; i++)
        if (strcmp(cache->entries[i].problem, problem) == 0 &&
            strcmp(cache->entries[i].card, card) == 0)
            return &cache->entries[i];
    return NULL;
}

static mien_status add(dnn_cache *cache, const entry *e) {
    if (cache->count == ENTRIES_MAX) { /* the oldest goes */
        memmove(cache->entries, cache->entries + 1, (ENTRIES_MAX - 1) * sizeof *e);
        cache->count--;
    }
    MIEN_TRY(mien_grow(&cache->entries, &cache->capacity, cache->count + 1, sizeof *e));
    cache->entries[cache->count++] = *e;
    return MIEN_OK;
}

/* ---- reading ---- */

static bool read_text(const mien_value *map, const char *key, char *out, size_t size) {
    const char *text = mien_value_string(map, key);
    if (!text || strlen(text) >= size) return false;
    strcpy(out, text);
    return true;
}

/* "3=1,5=2"; empty without knobs. */
static bool read_knobs(const char *text, dnn_choice *choice) {
    while (*text) {
        const int i = choice->knobs++;
        char *end;
        if (i == DNN_KNOBS) return false;
        choice->knob[i].type = strtol(text, &end, 10);
        if (end == text || *end != '=') return false;
        text = end + 1;
        choice->knob[i].value = strtol(text, &end, 10);
        if (end == text || (*end && *end != ',')) return false;
        text = *end ? end + 1 : end;
        if (choice->knob[i].type < 0 || choice->knob[i].type > NUMBER_MAX ||
            llabs(choice->knob[i].value) > UINT32_MAX)
            return false;
    }
    return true;
}

static bool read_entry(const mien_value *map, entry *e) {
    *e = (entry){0};
    const double engine = mien_value_number(map, "engine", -1);
    const double ms = mien_value_number(map, "ms", -1);
    const char *knobs = mien_value_string(map, "knobs");
    if (!read_text(map, "card", e->card, sizeof e->card) ||
        !read_text(map, "problem", e->problem, sizeof e->problem) || !knobs ||
        !(engine >= DNN_UNFUSED && engine <= NUMBER_MAX) || !(ms >= 0 && ms <= NUMBER_MAX))
        return false;
    e->choice.engine = (int64_t)engine;
    e->choice.ms = (float)ms;
    return read_knobs(knobs, &e->choice);
}

/* Adds the entries that are not in memory. */
static mien_status read_entries(dnn_cache *cache, const mien_value *root) {
    const mien_value *list = mien_value_get(root, "engines");
    if (mien_value_number(root, "schema", 0) != SCHEMA)
        return MIEN_FAIL(FORMAT, "it was written by another version of this program");
    if (!list || list->kind != MIEN_VALUE_LIST || list->count > ENTRIES_MAX)
        return MIEN_FAIL(FORMAT, "it has no list of engines");
    entry e;
    for (const mien_value *v = list->first; v; v = v->next)
        if (!read_entry(v, &e)) return MIEN_FAIL(FORMAT, "line %d is not an engine", v->line);
    for (const mien_value *v = list->first; v; v = v->next) {
        read_entry(v, &e);
        if (!find(cache, e.card, e.problem)) MIEN_TRY(add(cache, &e));
    }
    return MIEN_OK;
}

static void read_file(dnn_cache *cache) {
    char *text = NULL;
    size_t size;
    mien_tree tree = {0};
    if (!cache->path[0] || !mien_file_exists(cache->path)) return;
    mien_status status = mien_file_read(cache->path, FILE_MAX, &text, &size);
    if (status == MIEN_OK) status = mien_json_parse(text, size, cache->path, &tree);
    if (status == MIEN_OK) status = read_entries(cache, tree.root);
    if (status != MIEN_OK && !cache->warned) {
        MIEN_WARN("'%s' is not used: %s; it will be replaced", cache->path, mien_error_message());
        cache->warned = true;
    }
    mien_tree_release(&tree);
    mien_free(text);
}

/* ---- writing ---- */

static void write_entry(mien_json *json, const entry *e) {
    char knobs[DNN_KNOBS * 24];
    dnn_knobs_text(&e->choice, knobs, sizeof knobs);
    mien_json_open(json, NULL, '{');
    mien_json_string(json, "card", e->card);
    mien_json_string(json, "problem", e->problem);
    mien_json_integer(json, "engine", e->choice.engine);
    mien_json_string(json, "knobs", knobs);
    mien_json_number(json, "ms", (double)e->choice.ms);
    mien_json_close(json, '}');
}

static mien_status write_file(const dnn_cache *cache) {
    char folder[MIEN_PATH];
    mien_text text = {0};
    mien_json json = {.text = &text, .pretty = true};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", SCHEMA);
    mien_json_open(&json, "engines", '[');
    for (size_t i = 0; i < cache->count; i++)
        write_entry(&json, &cache->entries[i]);
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    mien_path_folder(folder, cache->path);
    mien_status status = text.status;
    if (status == MIEN_OK) status = mien_make_folders(folder);
    if (status == MIEN_OK) status = mien_file_write(cache->path, text.data, text.size);
    mien_text_release(&text);
    return status;
}

/* ---- for dnn_search.c and blas.c ---- */

mien_status dnn_cache_open(const mien_cuda *cuda, dnn_cache **out) {
    size_t left = 0, all = 0;
    *out = NULL;
    CUDA_TRY(cudaMemGetInfo(&left, &all), "reading the device's memory size");
    MIEN_TRY(mien_new(out, 1, sizeof **out));
    dnn_cache *cache = *out;
    /* a MIG slice has the card's name, but less memory and fewer processors */
    snprintf(cache->card, sizeof cache->card, "%s, %zu MiB, cuDNN %zu", cuda->gpu, all >> 20,
             cudnnGetVersion());
    find_file(cache->path);
    read_file(cache);
    return MIEN_OK;
}

void dnn_cache_close(dnn_cache *cache) {
    if (cache) mien_free(cache->entries);
    mien_free(cache);
}

const dnn_choice *dnn_cache_find(const dnn_cache *cache, const char *signature) {
    const entry *e = find(cache, cache->card, signature);
    const bool measured = e && (e->choice.ms > 0 || e->choice.engine == DNN_UNFUSED);
    return measured ? &e->choice : NULL;
}

/* Writes the file; a failure is logged once. */
static void save(dnn_cache *cache) {
    if (write_file(cache) == MIEN_OK || cache->warned) return;
    MIEN_WARN("the measured engines cannot be saved: %s", mien_error_message());
    cache->warned = true;
}

mien_status dnn_cache_put(dnn_cache *cache, const char *signature, const dnn_choice *choice) {
    entry *there = find(cache, cache->card, signature);
    entry e = {.choice = *choice};
    strcpy(e.card, cache->card);
    snprintf(e.problem, sizeof e.problem, "%s", signature);
    if (there)
        *there = e;
    else
        MIEN_TRY(add(cache, &e));
    if (!cache->path[0]) return MIEN_OK;
    read_file(cache); /* another program may have added measurements */
    save(cache);
    return MIEN_OK;
}

void dnn_cache_forget(dnn_cache *cache, const char *signature) {
    entry *there = find(cache, cache->card, signature);
    if (!there) return;
    const size_t after = cache->count - (size_t)(there - cache->entries) - 1;
    memmove(there, there + 1, after * sizeof *there);
    cache->count--;
    if (cache->path[0]) save(cache);
}
