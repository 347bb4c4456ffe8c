/* sweep.json in the folder of a sweep: the planned runs, and how they ended. */
#ifndef HOST_RUNS_SWEEP_FILE_H
#define HOST_RUNS_SWEEP_FILE_H

#include "host/base/file.h"

#define MIEN_SWEEP_FILE "sweep.json"
enum { MIEN_SWEEP_KEYS = 16, MIEN_SWEEP_RUNS = 10000 };

typedef struct mien_sweep_setting {
    char *key, *value; /* as YAML */
} mien_sweep_setting;

typedef struct mien_sweep_entry {
    char *name;
    mien_sweep_setting settings[MIEN_SWEEP_KEYS];
    size_t setting_count;
    int threads; /* of its first start, which its weights depend on; 0: not started */
    bool failed; /* the last time */
    char message[512];
} mien_sweep_entry;

typedef struct mien_sweep_file {
    mien_sweep_entry *entries;
    size_t count, capacity;
} mien_sweep_file;

/* NOT_FOUND without the file. Release also after a failure. */
mien_status mien_sweep_file_read(const char *folder, mien_sweep_file *out);
mien_status mien_sweep_file_write(const char *folder, const mien_sweep_file *file);
/* Adds an entry; *out is valid until the next one is added. */
mien_status mien_sweep_file_add(mien_sweep_file *file, const char *name, mien_sweep_entry **out);
mien_status mien_sweep_entry_set(mien_sweep_entry *entry, const char *key, const char *value);
mien_sweep_entry *mien_sweep_file_find(const mien_sweep_file *file, const char *name);
void mien_sweep_file_release(mien_sweep_file *file);

#endif
