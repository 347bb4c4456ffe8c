/* The choice of cuDNN's engines, its cache, and engines that fail. */
#include "tests/cuda/engine_cases.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_quickest),        TEST(precision),    TEST(deterministic),    TEST(none_left),
        TEST(failures_on_the_way), TEST(device_fault), TEST(no_memory_to_try), TEST(remembered),
        TEST(another_card),        TEST(stale),        TEST(wide_settings),    TEST(damaged),
        TEST(unwritable_cache)};
    return engine_tests(tests, sizeof tests / sizeof tests[0]);
}
