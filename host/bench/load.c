/* bench load: reads a csv with the reader that `train` uses. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/bench/peak.h"
#include "host/bench/modes.h"
#include "kernels/body/rng.h"

enum { SIDE = 48, PIXELS = SIDE * SIDE, ROW_BYTES = PIXELS * 4 + 32, RANDOM = sizeof(rng_block) };

/* The text of every pixel value with a space ("7 "), and its length. */
typedef struct decimals {
    char text[256][5];
    size_t length[256];
} decimals;

static mien_status interrupted(const mien_bench_request *request) {
    if (request->stop && *request->stop)
        return MIEN_FAIL(INTERRUPTED, "interrupted while measuring");
    return MIEN_OK;
}

/* One row of random pixels as in fer2013.csv; returns its length. */
static size_t compose_row(const decimals *d, uint64_t row, char *out) {
    size_t used = (size_t)snprintf(out, 8, "%d,", (int)(row % BENCH_CLASSES));
    for (int i = 0; i < PIXELS; i += RANDOM) {
        const rng_block random = rng_at(BENCH_SEED, RNG_SAMPLE, row, (uint64_t)i / RANDOM);
        unsigned char bytes[RANDOM];
        memcpy(bytes, &random, sizeof bytes);
        for (int k = 0; k < RANDOM; k++) {
            memcpy(out + used, d->text[bytes[k]], 4);
            used += d->length[bytes[k]];
        }
    }
    memcpy(out + used - 1, ",Training\n", 10); /* over the last space */
    return used + 9;
}

static mien_status write_rows(const mien_bench_request *request, FILE *file, const char *path) {
    decimals d;
    char row[ROW_BYTES];
    for (int v = 0; v < 256; v++)
        d.length[v] = (size_t)snprintf(d.text[v], sizeof d.text[v], "%d ", v);
    bool good = fputs("emotion,pixels,Usage\n", file) >= 0;
    for (long long i = 0; i < request->rows && good; i++) {
        MIEN_TRY(interrupted(request));
        const size_t length = compose_row(&d, (uint64_t)i, row);
        good = fwrite(row, 1, length, file) == length;
    }
    if (good && fflush(file) == 0) return MIEN_OK;
    return MIEN_FAIL(IO,
                     "cannot write %lld rows to '%s': %s; free some disk space, set TMPDIR, or use "
                     "fewer --rows",
                     request->rows, path, strerror(errno));
}

/* Writes a csv of random images to $TMPDIR; `path` is "" if there is no file to remove. */
static mien_status generate(const mien_bench_request *request, char *path) {
    const char *folder = getenv("TMPDIR");
    MIEN_TRY(mien_path_join(path, folder && folder[0] ? folder : "/tmp", "mien-bench-XXXXXX.csv"));
    const int handle = mkstemps(path, 4);
    FILE *file = handle >= 0 ? fdopen(handle, "w") : NULL;
    if (!file) {
        const mien_status status =
            MIEN_FAIL(IO, "cannot create a file '%s': %s", path, strerror(errno));
        if (handle >= 0) close(handle);
        path[0] = 0;
        return status;
    }
    const mien_status status = write_rows(request, file, path);
    fclose(file);
    return status;
}

static mien_status read_once(const char *path, mien_image_spec spec, double *seconds,
                             size_t *rows) {
    mien_dataset set;
    const double begin = mien_seconds();
    const mien_status status =
        mien_dataset_load(path, spec, (mien_on_bad){.max = -1}, MIEN_MEMORY_RESIDENT, &set);
    *seconds = mien_seconds() - begin;
    *rows = set.count;
    mien_dataset_release(&set);
    return status;
}

/* The first pass, which may have to read the file from disk, is not counted. */
static mien_status measure(const mien_bench_request *request, const char *path,
                           mien_samples *samples, mien_bench_result *result) {
    const int side = request->size ? request->size : SIDE;
    const mien_image_spec spec = {side, side, 1};
    double seconds, spent = 0;
    size_t rows;
    MIEN_TRY(read_once(path, spec, &seconds, &rows));
    result->warmup = 1;
    while (samples->count == 0 || spent < request->seconds) {
        MIEN_TRY(interrupted(request));
        MIEN_TRY(read_once(path, spec, &seconds, &rows));
        MIEN_TRY(mien_samples_add(samples, seconds));
        spent += seconds;
    }
    struct stat info;
    result->file_bytes = stat(path, &info) == 0 ? (double)info.st_size : 0;
    result->images = (double)rows;
    result->peak_memory = (double)mien_peak_memory();
    return mien_copy_bandwidth(request->backend, &result->copy_bandwidth);
}

mien_status bench_load(const mien_bench_request *request, mien_bench_result *result) {
    char generated[MIEN_PATH] = "";
    mien_samples samples = {0};
    mien_status status = request->file ? MIEN_OK : generate(request, generated);
    const char *path = request->file ? request->file : generated;
    snprintf(result->model, sizeof result->model, "%s", request->file ? path : "generated rows");
    if (status == MIEN_OK) status = measure(request, path, &samples, result);
    result->time = mien_samples_statistics(&samples);
    mien_samples_release(&samples);
    if (generated[0]) unlink(generated);
    return status;
}
