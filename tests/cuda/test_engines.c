/* The choice of cuDNN's engines, its cache, and engines that fail. The engines are those of
 * tests/cuda/fake/cudnn_engine.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "include/mien/log.h"
#include "tests/cuda/counted.h"
#include "tests/cuda/words.h"
#include "tests/support/device.h"
#include "tests/support/net.h"
#include "tests/support/test.h"

static char cache[] = "/tmp/mien-engines-XXXXXX";
static char file[64]; /* engines.json in it */

enum {
    UNFUSED = -1
}; /* in place of an engine: a smaller graph followed by own kernels is faster */

static const mien_linear_desc conv = {.name = "conv7",
                                      .in = {1, 3, 3, 8},
                                      .out = {1, 3, 3, 16},
                                      .kernel_h = 3,
                                      .kernel_w = 3,
                                      .stride_h = 1,
                                      .stride_w = 1,
                                      .pad_top = 1,
                                      .pad_left = 1,
                                      .pad_bottom = 1,
                                      .pad_right = 1,
                                      .bias = true,
                                      .activation = BODY_RELU,
                                      .training = true,
                                      .needs_dx = true,
                                      .masks_dx = true};

static char warnings[2048], news[2048];

static void keep_warnings(void *context, mien_log_level level, const char *line) {
    (void)context;
    char *const to = level == MIEN_LOG_WARNING ? warnings : news;
    if (level == MIEN_LOG_DEBUG) return;
    const size_t at = strlen(to);
    snprintf(to + at, sizeof warnings - at, "%s\n", line);
}

static fake_counts counts(void) {
    fake_counts now;
    assert_true(counted(&now));
    return now;
}

static int start(void **state) {
    (void)state;
    static const char *const settings[] = {
        "FAKE_CUDNN_TILES",  "FAKE_CUDNN_FAST",         "FAKE_CUDNN_ONLY",
        "FAKE_CUDNN_FUSION", "FAKE_CUDA_MEMORY",        "FAKE_CUDA_FAIL",
        "FAKE_CUDA_STICKY",  "FAKE_CUDNN_COMPILED",     "FAKE_CUDNN_COMPILE_MS",
        "FAKE_CUDNN_SLOW",   "MIEN_CUDA_ENGINE_SECONDS"};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        unsetenv(settings[i]);
    remove(file);
    warnings[0] = news[0] = 0;
    return 0;
}

/* Prepares one more batch size and returns what it cost. */
static fake_counts prepare(mien_linear *op, mien_backend *b, int n) {
    const fake_counts before = counts();
    expect_ok(b->ops->linear_prepare(op, n));
    fake_counts after = counts();
    after.heuristics -= before.heuristics;
    after.plans -= before.plans;
    after.compiled -= before.compiled;
    return after;
}

/* Names the engine of one pass and returns what choosing it cost. */
static fake_counts engine(mien_compute compute, bool deterministic, mien_direction direction,
                          char text[64]) {
    mien_backend *b = device_open(compute, deterministic);
    mien_linear *op;
    mien_linear_desc d = conv;
    d.training = direction != MIEN_FORWARD; /* an inference layer has only the forward pass */
    expect_ok(b->ops->linear_create(b, &d, &op));
    const fake_counts cost = prepare(op, b, 2);
    b->ops->linear_engine(op, direction, text, 64);
    b->ops->linear_free(op);
    mien_backend_close(b);
    return cost;
}

static void expect_engine(mien_compute compute, bool deterministic, const char *want) {
    for (int direction = 0; direction < MIEN_DIRECTIONS; direction++) {
        char text[64];
        engine(compute, deterministic, (mien_direction)direction, text);
        if (strncmp(text, want, strlen(want)) != 0) fail_msg("%s, not %s", text, want);
    }
}

static void test_the_quickest(void **state) {
    (void)state;
    setenv("FAKE_CUDNN_FAST", "12", 1);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 12 knobs 2=");
    remove(file);
    setenv("FAKE_CUDNN_FAST", "7", 1);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 7");
    remove(file);
    setenv("FAKE_CUDNN_FAST", "0", 1); /* listed in fallback mode only */
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 0");
}

/* Plain f32 rejects tensor cores and Winograd, tf32 accepts them; neither may round to f16. */
static void test_precision(void **state) {
    (void)state;
    setenv("FAKE_CUDNN_FAST", "20", 1);
    expect_engine(MIEN_COMPUTE_F32, false, "engine 20");
    setenv("FAKE_CUDNN_ONLY", "12", 1);
    expect_engine(MIEN_COMPUTE_TF32, false, "engine 12");
    mien_backend *b = device_open(MIEN_COMPUTE_F32, true);
    mien_linear *op;
    static const char *const refused[] = {"12", "14", "17", "5"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        setenv("FAKE_CUDNN_ONLY", refused[i], 1);
        expect_ok(b->ops->linear_create(b, &conv, &op));
        assert_int_equal(b->ops->linear_prepare(op, 2), MIEN_UNSUPPORTED);
        b->ops->linear_free(op);
    }
    mien_backend_close(b);
    b = device_open(MIEN_COMPUTE_TF32, true);
    setenv("FAKE_CUDNN_ONLY", "14", 1);
    expect_ok(b->ops->linear_create(b, &conv, &op));
    assert_int_equal(b->ops->linear_prepare(op, 2), MIEN_UNSUPPORTED);
    b->ops->linear_free(op);
    mien_backend_close(b);
    setenv("FAKE_CUDNN_ONLY", "5", 1);
    b = device_open(MIEN_COMPUTE_BF16, false); /* must not accumulate in bf16 */
    expect_ok(b->ops->linear_create(b, &conv, &op));
    assert_int_equal(b->ops->linear_prepare(op, 2), MIEN_UNSUPPORTED);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

/* The first deterministic engine is taken; nothing is timed, and the cache is not used. */
static void test_deterministic(void **state) {
    (void)state;
    setenv("FAKE_CUDNN_FAST", "7", 1);
    expect_engine(MIEN_COMPUTE_F32, true, "engine 20");
    expect_engine(MIEN_COMPUTE_BF16, true, "engine 12 knobs 2=0");
    assert_false(mien_file_exists(file));
    setenv("FAKE_CUDNN_ONLY", "7", 1);
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, true);
    mien_linear *op;
    expect_ok(b->ops->linear_create(b, &conv, &op));
    assert_int_equal(b->ops->linear_prepare(op, 2), MIEN_UNSUPPORTED);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

static void test_none_left(void **state) {
    (void)state;
    static const char *const useless[] = {"1", "2", "3"}; /* plan, execution or workspace fails */
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, false);
    for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++) {
        mien_linear *op;
        setenv("FAKE_CUDNN_ONLY", useless[i], 1);
        expect_ok(b->ops->linear_create(b, &conv, &op));
        assert_int_equal(b->ops->linear_prepare(op, 2), MIEN_UNSUPPORTED);
        const char *text = mien_error_message();
        assert_non_null(strstr(text, "layer 'conv7'"));
        assert_non_null(strstr(text, "3x3x8 to 3x3x16"));
        assert_non_null(strstr(text, "bf16"));
        assert_non_null(strstr(text, "try"));
        b->ops->linear_free(op);
    }
    mien_backend_close(b);
}

/* One failure costs an engine, not the run. Where it hits the only graph of a pass, the message
 * names the layer. */
static void test_failures_on_the_way(void **state) {
    (void)state;
    static const char *const calls[] = {"cudnnBackendExecute", "cudnnBackendFinalize",
                                        "cudnnBackendSetAttribute", "cudnnBackendGetAttribute",
                                        "cudnnBackendCreateDescriptor"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        for (int n = 1; n < 400; n += 19) {
            char fault[64];
            mien_backend *b = device_open(MIEN_COMPUTE_BF16, false);
            mien_linear *op;
            expect_ok(b->ops->linear_create(b, &conv, &op));
            snprintf(fault, sizeof fault, "%s:%d", calls[i], n);
            setenv("FAKE_CUDA_FAIL", fault, 1);
            const mien_status status = b->ops->linear_prepare(op, 1);
            if (i == 0) expect_ok(status);
            if (status != MIEN_OK) {
                assert_int_equal(status, MIEN_UNSUPPORTED);
                assert_non_null(strstr(mien_error_message(), "layer 'conv7'"));
            }
            unsetenv("FAKE_CUDA_FAIL");
            expect_ok(b->ops->linear_prepare(op, 1));
            b->ops->linear_free(op);
            mien_backend_close(b);
            remove(file);
        }
}

/* A device fault is not treated as a failed engine. */
static void test_device_fault(void **state) {
    (void)state;
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, false);
    mien_linear *op;
    expect_ok(b->ops->linear_create(b, &conv, &op));
    setenv("FAKE_CUDA_STICKY", "cudnnBackendExecute:5", 1);
    assert_int_equal(b->ops->linear_prepare(op, 2), MIEN_DEVICE);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

/* Without memory to time engines, the first suitable one is taken and not cached. */
static void test_no_memory_to_try(void **state) {
    (void)state;
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, false);
    size_t left, all;
    void *block;
    mien_linear *op;
    char text[64];
    expect_ok(b->ops->linear_create(b, &conv, &op));
    b->ops->memory(b, &left, &all);
    expect_ok(b->ops->alloc(b, left - 512, &block));
    expect_ok(b->ops->linear_prepare(op, 64));
    b->ops->linear_engine(op, MIEN_FORWARD, text, sizeof text);
    assert_string_equal(text, "engine 2"); /* which fails, but was not tried */
    assert_false(mien_file_exists(file));
    b->ops->free(b, block);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

/* ---- the cache ---- */

static char *read_cache(void) {
    char *text;
    size_t size;
    expect_ok(mien_file_read(file, 1 << 20, &text, &size));
    return text;
}

static void write_cache(const char *text) {
    expect_ok(mien_file_write(file, text, strlen(text)));
}

/* Replaces `from` by `to` in the cache file; returns the number of replacements. */
static int replace_in_cache(const char *from, const char *to) {
    char *text = read_cache(), *out = replaced(text, from, to);
    const int count = occurrences(text, from);
    write_cache(out);
    free(out);
    mien_free(text);
    return count;
}

static void test_remembered(void **state) {
    (void)state;
    setenv("FAKE_CUDNN_FAST", "12", 1);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 12 knobs 2=");
    char *text = read_cache();
    assert_int_equal(occurrences(text, "\"problem\""), 4); /* including the masked gradient */
    assert_int_equal(occurrences(text, "\"card\": \"Fake GPU, 1024 MiB, cuDNN 91900\""), 4);
    setenv("FAKE_CUDNN_FAST", "7", 1); /* would win now, but nothing is timed again */
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 12 knobs 2=");
    char *again = read_cache();
    assert_string_equal(text, again);
    /* the knobs come from the file */
    assert_true(replace_in_cache("\"2=0\"", "\"2=1\"") + replace_in_cache("\"2=2\"", "\"2=1\"") +
                    replace_in_cache("\"2=1\"", "\"2=1\"") >=
                4);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 12 knobs 2=1");
    /* another precision is another problem */
    expect_engine(MIEN_COMPUTE_F16, false, "engine 7");
    mien_free(text);
    mien_free(again);
}

static void test_another_card(void **state) {
    (void)state;
    setenv("FAKE_CUDNN_FAST", "12", 1);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 12");
    setenv("FAKE_CUDNN_FAST", "7", 1);
    setenv("FAKE_CUDA_MEMORY", "536870912", 1);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 7");
    unsetenv("FAKE_CUDA_MEMORY");
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 12"); /* the file has both cards */
    assert_int_equal(replace_in_cache("Fake GPU, 1024", "Other GPU, 1024"), 4);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 7");
    char *text = read_cache();
    assert_int_equal(occurrences(text, "\"problem\""), 12);
    mien_free(text);
}

/* A cached engine that no longer exists, is not allowed or fails is replaced. */
static void test_stale(void **state) {
    (void)state;
    static const char *const stale[] = {"999", "1", "2", "3", "5"};
    for (size_t i = 0; i < sizeof stale / sizeof stale[0]; i++) {
        char to[32];
        remove(file);
        setenv("FAKE_CUDNN_FAST", "20", 1);
        expect_engine(MIEN_COMPUTE_BF16, false, "engine 20");
        snprintf(to, sizeof to, "\"engine\": %s,", stale[i]);
        assert_int_equal(replace_in_cache("\"engine\": 20,", to), 4);
        expect_engine(MIEN_COMPUTE_BF16, false, "engine 20");
        assert_int_equal(replace_in_cache("\"engine\": 20,", to), 4);
    }
    assert_string_equal(warnings, "");
}

/* Knob values may be any 32 bits: a file with such an entry is valid. */
static void test_wide_settings(void **state) {
    (void)state;
    char text[64];
    mien_log_sink(keep_warnings, NULL);
    warnings[0] = 0;
    setenv("FAKE_CUDNN_FAST", "20", 1);
    write_cache(
        "{\"schema\": 1, \"engines\": [{\"card\": \"a\", \"problem\": \"b\", \"engine\": 1, "
        "\"knobs\": \"5=4294967295,12=-1\", \"ms\": 1}]}");
    engine(MIEN_COMPUTE_BF16, false, MIEN_FORWARD, text);
    assert_string_equal(warnings, "");
    char *all = read_cache();
    assert_int_equal(occurrences(all, "5=4294967295,12=-1"), 1);
    mien_free(all);
    mien_log_sink(NULL, NULL);
}

static void test_damaged(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[1, 2]",
        "{\"schema\": 2, \"engines\": []}",
        "{\"schema\": 1, \"engines\": [{\"card\": 1}]}",
        "{\"schema\": 1, \"engines\": [{\"card\": \"a\", \"problem\": \"b\", \"engine\": -2, "
        "\"knobs\": \"\", \"ms\": 1}]}",
        "{\"schema\": 1, \"engines\": [{\"card\": \"a\", \"problem\": \"b\", \"engine\": 1, "
        "\"knobs\": \"2=\", \"ms\": 1}]}",
        "{\"schema\": 1, \"engines\": [{\"card\": \"a\", \"problem\": \"b\", \"engine\": 1, "
        "\"knobs\": "
        "\"1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1,1=1\", \"ms\": 1}]}",
    };
    mien_log_sink(keep_warnings, NULL);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[64];
        setenv("FAKE_CUDNN_FAST", "20", 1);
        warnings[0] = 0;
        write_cache(texts[i]);
        engine(MIEN_COMPUTE_BF16, false, MIEN_FORWARD, text);
        assert_string_equal(text, "engine 20");
        assert_int_equal(occurrences(warnings, "\n"), 1);
        assert_non_null(strstr(warnings, "is not used"));
        warnings[0] = 0; /* the file has been rewritten */
        setenv("FAKE_CUDNN_FAST", "7", 1);
        engine(MIEN_COMPUTE_BF16, false, MIEN_FORWARD, text);
        assert_string_equal(text, "engine 20");
        assert_string_equal(warnings, "");
    }
    mien_log_sink(NULL, NULL);
}

/* A cache that cannot be written causes one warning. */
static void test_unwritable_cache(void **state) {
    (void)state;
    char text[64];
    setenv("XDG_CACHE_HOME", "/proc/none", 1);
    mien_log_sink(keep_warnings, NULL);
    engine(MIEN_COMPUTE_BF16, false, MIEN_FORWARD, text);
    assert_int_equal(occurrences(warnings, "\n"), 1);
    mien_log_sink(NULL, NULL);
    setenv("XDG_CACHE_HOME", cache, 1);
}

/* ---- the time limit ---- */

static fake_counts prepare_new(mien_direction direction, char text[64]) {
    return engine(MIEN_COMPUTE_BF16, false, direction, text);
}

/* Of the engines that need compilation, the heuristics' first two are tried, and all others. */
static void test_compiled_engines(void **state) {
    (void)state;
    char text[64];
    setenv("FAKE_CUDNN_COMPILED", "12", 1); /* for each of its three tile sizes */
    setenv("FAKE_CUDNN_FAST", "12", 1);
    fake_counts cost = prepare_new(MIEN_FORWARD, text);
    assert_int_equal(cost.compiled, 2);
    assert_memory_equal(text, "engine 12", 9);
    remove(file);
    setenv("FAKE_CUDNN_FAST", "20", 1);
    cost = prepare_new(MIEN_FORWARD, text);
    assert_int_equal(cost.compiled, 2);
    assert_string_equal(text, "engine 20"); /* after them in the list */
    /* they are tried however many others there are */
    remove(file);
    setenv("FAKE_CUDNN_TILES", "30", 1);
    setenv("FAKE_CUDNN_COMPILED", "17", 1);
    setenv("FAKE_CUDNN_FAST", "17", 1);
    cost = prepare_new(MIEN_FORWARD, text);
    assert_string_equal(text, "engine 17");
    assert_in_range(cost.plans, 15, 18); /* engines 1 and 3 fail at once */
}

/* When the time is up, the first engine that runs is taken, and cached like any other. */
static void test_no_time(void **state) {
    (void)state;
    char text[64];
    setenv("FAKE_CUDNN_FAST", "20", 1);
    setenv("MIEN_CUDA_ENGINE_SECONDS", "0", 1);
    mien_log_sink(keep_warnings, NULL);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 7"); /* opens the device three times */
    mien_log_sink(NULL, NULL);
    assert_int_equal(occurrences(news, "MIEN_CUDA_ENGINE_SECONDS"),
                     2); /* the last one found everything in the cache */
    unsetenv("MIEN_CUDA_ENGINE_SECONDS");
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 7");
    remove(file);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 20");
    /* engines that need no compilation are preferred */
    remove(file);
    setenv("MIEN_CUDA_ENGINE_SECONDS", "0", 1);
    setenv("FAKE_CUDNN_COMPILED", "7", 1);
    fake_counts cost = prepare_new(MIEN_FORWARD, text);
    assert_string_equal(text, "engine 12 knobs 2=0");
    assert_int_equal(cost.compiled, 0);
    assert_int_equal(cost.plans, 4); /* engines 1, 2 and 3 fail before it, none is tried after it */
    /* without an alternative, engines are compiled; optional graphs are not */
    remove(file);
    setenv("FAKE_CUDNN_COMPILED", "all", 1);
    cost = prepare_new(MIEN_FILTER, text);
    assert_string_equal(text, "engine 7");
    assert_int_equal(cost.compiled,
                     3 * 4); /* in each pass, where engines 1, 2 and 3 fail before it */
}

/* Compilation gets at most half of the time; the other engines are timed as well. */
static void test_half_the_time(void **state) {
    (void)state;
    char text[64];
    setenv("MIEN_CUDA_ENGINE_SECONDS", "2", 1);
    setenv("FAKE_CUDNN_COMPILE_MS", "999", 1);
    setenv("FAKE_CUDNN_COMPILED", "12", 1);
    setenv("FAKE_CUDNN_FAST", "20", 1);
    assert_int_equal(prepare_new(MIEN_FILTER, text).compiled,
                     1); /* of two in each of four graphs */
    assert_string_equal(text, "engine 20");
}

/* Checks the engine that the cache names for the first problem with this text. */
static void expect_entry(const char *problem, int want) {
    static const char key[] = "\"engine\": ";
    static char kept[1 << 14];
    char *text = read_cache();
    snprintf(kept, sizeof kept, "%s", text);
    mien_free(text);
    const char *number = strstr(kept, problem);
    if (number) number = strstr(number, key);
    assert_non_null(number);
    assert_int_equal(strtol(number + strlen(key), NULL, 10), want);
}

/* A smaller batch uses the engines of the largest one, or its own where they fail. */
static void test_smaller_batch(void **state) {
    (void)state;
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, false);
    mien_linear *op;
    setenv("FAKE_CUDNN_FAST", "12", 1);
    setenv("FAKE_CUDNN_SLOW", "plain", 1);
    expect_ok(b->ops->linear_create(b, &conv, &op));
    assert_true(prepare(op, b, 4).heuristics >= 4);
    setenv("FAKE_CUDNN_FAST", "20", 1); /* a search would find it */
    fake_counts cost = prepare(op, b, 3);
    assert_int_equal(cost.heuristics, 0);
    assert_int_equal(cost.plans, 4); /* including the masked gradient */
    char *text = read_cache();
    assert_null(strstr(text, "x 3 3 3 8")); /* it uses the larger batch's entry */
    mien_free(text);
    setenv("FAKE_CUDA_FAIL", "cudnnBackendExecute:1", 1);
    cost = prepare(op, b, 2);
    assert_in_range(cost.heuristics, 1, 3); /* for the forward pass alone */
    text = read_cache();
    assert_int_equal(occurrences(text, "x 2 3 3 8"), 1);
    mien_free(text);
    expect_entry("x 2 3 3 8", 20);
    cost = prepare(op, b, 5); /* a larger batch has its own engines */
    assert_true(cost.heuristics >= 4);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

/* Nor does it search for a fused graph that the largest batch does not use. */
static void test_smaller_batch_unmasked(void **state) {
    (void)state;
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, false);
    mien_linear *op;
    setenv("FAKE_CUDNN_FAST", "20", 1);
    setenv("FAKE_CUDNN_SLOW", "fused", 1);
    expect_ok(b->ops->linear_create(b, &conv, &op));
    prepare(op, b, 4);
    const fake_counts cost = prepare(op, b, 3);
    assert_int_equal(cost.heuristics, 0);
    assert_int_equal(cost.plans, 3);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

/* The gradient with fused ReLU mask is timed against the gradient followed by a kernel. */
static void test_gradient_race(void **state) {
    (void)state;
    char text[64];
    setenv("FAKE_CUDNN_FAST", "20", 1);
    setenv("FAKE_CUDNN_SLOW", "plain", 1);
    prepare_new(MIEN_DATA, text);
    expect_entry("data relu", 20);
    remove(file);
    setenv("FAKE_CUDNN_SLOW", "fused", 1);
    prepare_new(MIEN_DATA, text);
    expect_entry("data relu", UNFUSED);
    expect_entry("data bf16", 20);
    assert_string_equal(text, "engine 20");
    assert_int_equal(prepare_new(MIEN_DATA, text).plans, 3); /* without the masked gradient */
    /* with no time left, the fused graph is not compiled */
    remove(file);
    setenv("FAKE_CUDNN_COMPILED", "fused", 1);
    setenv("MIEN_CUDA_ENGINE_SECONDS", "0", 1);
    assert_int_equal(prepare_new(MIEN_DATA, text).compiled, 0);
    expect_entry("data relu", UNFUSED);
}

/* A compiled graph with bias and ReLU is timed against the convolution followed by kernels. */
static void test_forward_race(void **state) {
    (void)state;
    char text[64];
    setenv("FAKE_CUDNN_FAST", "20", 1);
    setenv("FAKE_CUDNN_SLOW", "fused", 1);
    prepare_new(MIEN_FORWARD, text);
    expect_entry("forward low bias relu", 20); /* not compiled: no race */
    remove(file);
    setenv("FAKE_CUDNN_COMPILED", "fused", 1);
    prepare_new(MIEN_FORWARD, text);
    expect_entry("forward low bias relu", UNFUSED);
    expect_entry("forward bf16", 20);
    assert_int_equal(prepare_new(MIEN_FORWARD, text).plans, 1);
    remove(file);
    setenv("FAKE_CUDNN_SLOW", "plain", 1);
    setenv("FAKE_CUDNN_ONLY", "20", 1);
    prepare_new(MIEN_FORWARD, text);
    expect_entry("forward low bias relu", 20);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(test_##name, start)
    const struct CMUnitTest tests[] = {TEST(the_quickest),
                                       TEST(precision),
                                       TEST(deterministic),
                                       TEST(none_left),
                                       TEST(failures_on_the_way),
                                       TEST(device_fault),
                                       TEST(no_memory_to_try),
                                       TEST(remembered),
                                       TEST(another_card),
                                       TEST(stale),
                                       TEST(wide_settings),
                                       TEST(damaged),
                                       TEST(unwritable_cache),
                                       TEST(compiled_engines),
                                       TEST(no_time),
                                       TEST(half_the_time),
                                       TEST(smaller_batch),
                                       TEST(smaller_batch_unmasked),
                                       TEST(gradient_race),
                                       TEST(forward_race)};
    const char *modules = getenv("MIEN_MODULES");
    if (modules && !strstr(modules, "fake")) {
        printf("ok engines # SKIP they are those of the fake cuDNN\n");
        return 0;
    }
    if (!mkdtemp(cache)) return 1;
    setenv("XDG_CACHE_HOME", cache, 1);
    snprintf(file, sizeof file, "%s/mien/engines.json", cache);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", cache);
    return system(command) || failed;
}
