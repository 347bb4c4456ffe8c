#include "host/runs/sweep_file.h"

#include <stdio.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"

enum { SWEEP_BYTES = 64 << 20 };

mien_status mien_sweep_file_add(mien_sweep_file *file, const char *name, mien_sweep_entry **out) {
    MIEN_TRY(mien_grow(&file->entries, &file->capacity, file->count + 1, sizeof *file->entries));
    *out = &file->entries[file->count];
    **out = (mien_sweep_entry){0};
    file->count++;
    return mien_copy_text(&(*out)->name, name);
}

mien_status mien_sweep_entry_set(mien_sweep_entry *entry, const char *key, const char *value) {
    if (entry->setting_count == MIEN_SWEEP_KEYS)
        return MIEN_FAIL(FORMAT, "run '%.60s' has more than %d settings", entry->name,
                         MIEN_SWEEP_KEYS);
    mien_sweep_setting *setting = &entry->settings[entry->setting_count++];
    MIEN_TRY(mien_copy_text(&setting->key, key));
    return mien_copy_text(&setting->value, value);
}

mien_sweep_entry *mien_sweep_file_find(const mien_sweep_file *file, const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].name, name) == 0) return &file->entries[i];
    return NULL;
}

static mien_status read_entry(const mien_value *run, mien_sweep_file *out) {
    mien_sweep_entry *entry;
    const char *name = mien_value_string(run, "name");
    const char *message = mien_value_string(run, "message");
    const mien_value *settings = mien_value_get(run, "settings");
    const mien_value *failed = mien_value_get(run, "failed");
    if (!name || !*name || strchr(name, '/') || name[0] == '.')
        return MIEN_FAIL(FORMAT, MIEN_SWEEP_FILE ": a run has no name");
    MIEN_TRY(mien_sweep_file_add(out, name, &entry));
    entry->threads = (int)mien_value_number(run, "threads", 0);
    entry->failed = failed && failed->kind == MIEN_VALUE_BOOL && failed->number != 0;
    snprintf(entry->message, sizeof entry->message, "%s", message ? message : "");
    for (const mien_value *s = settings ? settings->first : NULL; s; s = s->next)
        if (s->key && s->kind == MIEN_VALUE_STRING)
            MIEN_TRY(mien_sweep_entry_set(entry, s->key, s->text));
    return MIEN_OK;
}

mien_status mien_sweep_file_read(const char *folder, mien_sweep_file *out) {
    char path[MIEN_PATH], *text = NULL;
    size_t size;
    mien_tree tree = {0};
    *out = (mien_sweep_file){0};
    MIEN_TRY(mien_path_join(path, folder, MIEN_SWEEP_FILE));
    MIEN_TRY(mien_file_read(path, SWEEP_BYTES, &text, &size));
    mien_status status = mien_json_parse(text, size, path, &tree);
    const mien_value *runs = status == MIEN_OK ? mien_value_get(tree.root, "runs") : NULL;
    if (status == MIEN_OK && (!runs || runs->kind != MIEN_VALUE_LIST))
        status = MIEN_FAIL(FORMAT, "'%s' has no list of runs: mien sweep did not write it", path);
    for (const mien_value *run = status == MIEN_OK ? runs->first : NULL; run && status == MIEN_OK;
         run = run->next)
        status = read_entry(run, out);
    mien_tree_release(&tree);
    mien_free(text);
    return status;
}

mien_status mien_sweep_file_write(const char *folder, const mien_sweep_file *file) {
    char path[MIEN_PATH];
    mien_text text = {0};
    mien_json json = {.text = &text, .pretty = true};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_open(&json, "runs", '[');
    for (size_t i = 0; i < file->count; i++) {
        const mien_sweep_entry *entry = &file->entries[i];
        mien_json_open(&json, NULL, '{');
        mien_json_string(&json, "name", entry->name);
        mien_json_open(&json, "settings", '{');
        for (size_t k = 0; k < entry->setting_count; k++)
            mien_json_string(&json, entry->settings[k].key, entry->settings[k].value);
        mien_json_close(&json, '}');
        if (entry->threads) mien_json_integer(&json, "threads", entry->threads);
        if (entry->failed) mien_json_bool(&json, "failed", true);
        if (entry->message[0]) mien_json_string(&json, "message", entry->message);
        mien_json_close(&json, '}');
    }
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    mien_status status = text.status;
    if (status == MIEN_OK) status = mien_path_join(path, folder, MIEN_SWEEP_FILE);
    if (status == MIEN_OK) status = mien_file_write(path, text.data, text.size);
    mien_text_release(&text);
    return status;
}

void mien_sweep_file_release(mien_sweep_file *file) {
    for (size_t i = 0; i < file->count; i++) {
        mien_sweep_entry *entry = &file->entries[i];
        for (size_t k = 0; k < entry->setting_count; k++) {
            mien_free(entry->settings[k].key);
            mien_free(entry->settings[k].value);
        }
        mien_free(entry->name);
    }
    mien_free(file->entries);
    *file = (mien_sweep_file){0};
}
