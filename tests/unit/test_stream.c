/* Streamed batches equal those of resident mode, bit for bit, for any number of workers; changes of
 * the file during streaming end in an error message. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omp.h>

#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/loader.h"
#include "host/data/split.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

enum { COUNT = 300, SIDE = 12, BATCH = 32, CLASSES = 7, NUMBERS = SIDE * SIDE };
static char path[64], gz_path[80];
static const mien_image_spec spec = {SIDE, SIDE, 1};
static const mien_on_bad skip = {true, -1};

static int start(void **state) {
    if (scratch_make(state)) return 1;
    snprintf(path, sizeof path, "%s/a.csv", scratch);
    snprintf(gz_path, sizeof gz_path, "%s.gz", path);
    return 0;
}

/* COUNT good rows, some megabytes; every tenth is followed by a blank and a bad one. */
static void write_csv(void) {
    mien_text text = {0};
    mien_text_puts(&text, "emotion,pixels\n");
    for (int i = 0; i < COUNT; i++) {
        mien_text_printf(&text, "%d,", i % CLASSES);
        for (int p = 0; p < NUMBERS; p++)
            mien_text_printf(&text, "%d ", (i * 31 + p * p * 7) % 256);
        mien_text_printf(&text, "%8000s%s", "", i % 10 == 9 ? "\n\n1,2 3\n" : "\n");
    }
    assert_int_equal(text.status, MIEN_OK);
    assert_int_equal(mien_file_write(path, text.data, text.size), MIEN_OK);
    mien_text_release(&text);
}

static int row_of(int sample) {
    return 2 + sample + sample / 10 * 2;
}

static mien_dataset load(mien_memory memory) {
    mien_dataset set;
    mien_split split = {.val = 0.2, .test = 0.1, .by = MIEN_BY_STRATIFIED, .seed = 1};
    if (mien_dataset_load(path, spec, skip, memory, &set) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    assert_int_equal(set.count, COUNT);
    assert_int_equal(mien_split_apply(&set, &split), MIEN_OK);
    return set;
}

typedef struct bench {
    mien_backend *backend;
    mien_loader loader;
    body_step *step;
    void *x, *targets; /* one batch */
} bench;

static bench open_bench(const mien_dataset *set, int workers) {
    bench b = {0};
    const mien_normalise normalise = {1 / 255.0, {0.4}, {0.25}};
    assert_int_equal(mien_backend_open("cpu", NULL, &b.backend), MIEN_OK);
    assert_int_equal(mien_loader_create(set, &normalise, b.backend, BATCH, workers, &b.loader),
                     MIEN_OK);
    const mien_ops *ops = b.backend->ops;
    assert_int_equal(ops->alloc(b.backend, sizeof *b.step, (void **)&b.step), MIEN_OK);
    assert_int_equal(ops->alloc(b.backend, BATCH * NUMBERS * 4, &b.x), MIEN_OK);
    assert_int_equal(ops->alloc(b.backend, BATCH * CLASSES * 4, &b.targets), MIEN_OK);
    return b;
}

static void close_bench(bench *b) {
    mien_loader_release(&b->loader);
    b->backend->ops->free(b->backend, b->step);
    b->backend->ops->free(b->backend, b->x);
    b->backend->ops->free(b->backend, b->targets);
    mien_backend_close(b->backend);
}

/* Gathers the batch at `first` with the augmentation and mixup of step `step`. */
static mien_status run_batch(bench *b, mien_part part, size_t first, uint64_t step) {
    const size_t rest = b->loader.count[part] - first;
    const int rows = rest < BATCH ? (int)rest : BATCH;
    const mien_tensor x = {{rows, SIDE, SIDE, 1}, MIEN_F32, 1, b->x};
    const mien_tensor targets = {{rows, 1, 1, CLASSES}, MIEN_F32, CLASSES, b->targets};
    const mien_batch batch = {
        .start = first,
        .rows = rows,
        .augment = true,
        .ranges = {.flip = true, .rotate = 10, .mixup = 0.4f, .mixup_p = 0.8f},
        .label_smoothing = 0.1f,
        .state = b->step};
    *b->step = (body_step){.seed = 3, .step = step};
    return mien_loader_batch(&b->loader, &batch, &x, &targets);
}

static void compare_batch(bench *resident, bench *streamed, mien_part part, size_t first,
                          uint64_t step) {
    if (run_batch(streamed, part, first, step) != MIEN_OK) fail_msg("%s", mien_error_message());
    assert_int_equal(run_batch(resident, part, first, step), MIEN_OK);
    const size_t rest = resident->loader.count[part] - first, rows = rest < BATCH ? rest : BATCH;
    assert_memory_equal(resident->x, streamed->x, rows * NUMBERS * 4);
    assert_memory_equal(resident->targets, streamed->targets, rows * CLASSES * 4);
}

static void order(bench *b, mien_part part, uint64_t epoch) {
    assert_int_equal(mien_loader_order(&b->loader, part, part == MIEN_TRAIN, 9, epoch), MIEN_OK);
}

static void same_batches(void **state) {
    (void)state;
    write_csv();
    mien_dataset whole = load(MIEN_MEMORY_RESIDENT), set = load(MIEN_MEMORY_STREAM);
    assert_non_null(whole.pixels);
    assert_false(whole.streamed);
    assert_null(set.pixels);
    assert_true(set.streamed);
    for (int workers = 1; workers <= 5; workers += 2) {
        bench resident = open_bench(&whole, 0), streamed = open_bench(&set, workers);
        for (uint64_t epoch = 1; epoch <= 4; epoch++) {
            const mien_part part = epoch % 2 ? MIEN_TRAIN : MIEN_VAL;
            order(&resident, part, epoch);
            order(&streamed, part, epoch);
            for (size_t first = 0; first < whole.count && first < resident.loader.count[part];
                 first += BATCH)
                compare_batch(&resident, &streamed, part, first, epoch * 100 + first);
        }
        close_bench(&resident);
        close_bench(&streamed);
    }
    mien_dataset_release(&whole);
    mien_dataset_release(&set);
}

/* Batches may be requested in any order: again, backwards, and beyond the read-ahead. */
static void any_batch(void **state) {
    (void)state;
    static const size_t order_of_batches[] = {0, 0, 1, 3, 2, 5, 4, 0, 6, 6, 1};
    write_csv();
    mien_dataset whole = load(MIEN_MEMORY_RESIDENT), set = load(MIEN_MEMORY_STREAM);
    bench resident = open_bench(&whole, 0), streamed = open_bench(&set, 3);
    const uint8_t *pixels;
    order(&resident, MIEN_TRAIN, 1);
    for (int round = 0; round < 50; round++) {
        order(&streamed, MIEN_TRAIN, 1); /* while batches of the last epoch are being read */
        for (size_t i = round % 10; i < sizeof order_of_batches / sizeof order_of_batches[0]; i++)
            compare_batch(&resident, &streamed, MIEN_TRAIN, order_of_batches[i] * BATCH, i);
    }
    assert_int_equal(mien_stream_take(streamed.loader.stream, 5, BATCH, &pixels), MIEN_INVALID);
    assert_int_equal(mien_stream_take(streamed.loader.stream, 0, 5, &pixels), MIEN_INVALID);
    assert_int_equal(mien_stream_take(streamed.loader.stream, COUNT * BATCH, BATCH, &pixels),
                     MIEN_INVALID);
    close_bench(&resident);
    order(&streamed, MIEN_TRAIN, 2);
    close_bench(&streamed); /* while reading */
    mien_dataset_release(&whole);
    mien_dataset_release(&set);
}

static void same_survey(void **state) {
    (void)state;
    write_csv();
    mien_dataset whole = load(MIEN_MEMORY_RESIDENT), set = load(MIEN_MEMORY_STREAM);
    for (mien_part part = MIEN_TRAIN; part <= MIEN_NO_PART; part++) {
        mien_survey a, b;
        assert_int_equal(mien_dataset_survey(&whole, part, &a), MIEN_OK);
        assert_int_equal(mien_dataset_survey(&set, part, &b), MIEN_OK);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(a.sum[0] > 0 && a.numbers % NUMBERS == 0);
    }
    mien_dataset_release(&whole);
    mien_dataset_release(&set);
}

/* Runs two epochs; returns the first error. */
static mien_status run_epochs(bench *b) {
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        order(b, MIEN_TRAIN, epoch);
        for (size_t first = 0; first < b->loader.count[MIEN_TRAIN]; first += BATCH)
            MIEN_TRY(run_batch(b, MIEN_TRAIN, first, first));
    }
    return MIEN_OK;
}

static void damage(const char *what) {
    struct stat info;
    const struct timespec times[2] = {{0, UTIME_OMIT}, {1, 0}};
    assert_int_equal(stat(path, &info), 0);
    if (strcmp(what, "cut") == 0) assert_int_equal(truncate(path, info.st_size / 2), 0);
    if (strcmp(what, "touch") == 0) assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    if (strcmp(what, "delete") == 0) assert_int_equal(unlink(path), 0);
}

/* When its file is truncated or changed, a run ends and names file and row; a deleted file stays
 * open and readable. */
static void damaged_meanwhile(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"cut", "in use"}, {"touch", "was changed while in use"}, {"delete", ""}};
    for (size_t i = 0; i < 3; i++)
        for (int workers = 1; workers <= 3; workers += 2) {
            write_csv();
            mien_dataset set = load(MIEN_MEMORY_STREAM);
            bench b = open_bench(&set, workers);
            assert_int_equal(run_epochs(&b), MIEN_OK);
            damage(cases[i][0]);
            const mien_status status = run_epochs(&b);
            if (cases[i][1][0]) {
                mien_survey survey;
                assert_int_equal(status, MIEN_IO);
                expect_in_message(path);
                expect_in_message("row ");
                expect_in_message(cases[i][1]);
                assert_int_equal(mien_dataset_survey(&set, MIEN_TRAIN, &survey), MIEN_IO);
                expect_in_message(path);
                assert_int_equal(run_epochs(&b), MIEN_IO); /* the error persists */
            } else {
                assert_int_equal(status, MIEN_OK);
            }
            close_bench(&b);
            mien_dataset_release(&set);
        }
}

/* An error names the row of the sample that failed; a survey names the first row of its part. */
static void names_the_row(void **state) {
    (void)state;
    static const uint32_t samples[] = {0, 9, 10, 250, 299};
    char want[32];
    write_csv();
    omp_set_num_threads(1); /* windows of one megabyte */
    mien_dataset set = load(MIEN_MEMORY_STREAM);
    omp_set_num_threads(3);
    mien_stream *stream;
    const uint8_t *pixels;
    int first = 0;
    damage("touch");
    assert_int_equal(mien_stream_start(&set, 1, 2, &stream), MIEN_OK);
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        mien_stream_order(stream, &samples[i], 1);
        assert_int_equal(mien_stream_take(stream, 0, 1, &pixels), MIEN_IO);
        snprintf(want, sizeof want, "at row %d)", row_of((int)samples[i]));
        expect_in_message(want);
    }
    mien_stream_stop(stream);
    while (set.part[first] != MIEN_VAL)
        first++;
    snprintf(want, sizeof want, "at row %d)", row_of(first));
    for (int i = 0; i < 20; i++) {
        mien_survey survey;
        assert_int_equal(mien_dataset_survey(&set, MIEN_VAL, &survey), MIEN_IO);
        expect_in_message(want);
    }
    mien_dataset_release(&set);
}

/* Pixels are kept while they fit into memory; then they are dropped and the samples stay. */
static void budget(void **state) {
    (void)state;
    mien_dataset set = {.spec = spec, .budget = 10 * NUMBERS};
    assert_int_equal(mien_dataset_extend(&set, 8), MIEN_OK);
    assert_non_null(set.pixels);
    set.labels[7] = 5;
    assert_int_equal(mien_dataset_extend(&set, 2), MIEN_OK);
    assert_non_null(set.pixels);
    assert_int_equal(mien_dataset_extend(&set, 1), MIEN_OK);
    assert_null(set.pixels);
    assert_int_equal(mien_dataset_extend(&set, 1000), MIEN_OK);
    assert_null(set.pixels);
    assert_int_equal(set.count, 1011);
    assert_int_equal(set.labels[7], 5);
    mien_dataset_release(&set);
    const size_t free_now = mien_memory_available();
    assert_true(free_now > 1 << 20 && free_now < (size_t)1 << 50);
}

static void choices(void **state) {
    (void)state;
    mien_dataset set;
    write_csv();
    set = load(MIEN_MEMORY_AUTO); /* a few kilobytes fit into memory */
    assert_false(set.streamed);
    mien_dataset_release(&set);
    char command[200];
    snprintf(command, sizeof command, "gzip -kf %s", path);
    assert_int_equal(system(command), 0);
    assert_int_equal(mien_dataset_load(gz_path, spec, skip, MIEN_MEMORY_STREAM, &set),
                     MIEN_UNSUPPORTED);
    expect_in_message("gunzip it first");
    mien_dataset_release(&set);
    assert_int_equal(mien_dataset_load(gz_path, spec, skip, MIEN_MEMORY_AUTO, &set), MIEN_OK);
    assert_false(set.streamed);
    assert_int_equal(set.count, COUNT);
    mien_dataset_release(&set);
    unlink(gz_path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_batches),  cmocka_unit_test(any_batch),
        cmocka_unit_test(same_survey),   cmocka_unit_test(damaged_meanwhile),
        cmocka_unit_test(names_the_row), cmocka_unit_test(budget),
        cmocka_unit_test(choices),
    };
    return cmocka_run_group_tests(tests, start, scratch_drop);
}
