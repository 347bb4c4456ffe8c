/* How long the choice of cuDNN's engines may take, and what is taken when the time is up. */
#include "tests/cuda/engine_cases.h"

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

/* When the time is up, the first engine that runs is taken, but not cached: a later run times what
 * is missing. */
static void test_no_time(void **state) {
    (void)state;
    char text[64];
    setenv("FAKE_CUDNN_FAST", "20", 1);
    setenv("MIEN_CUDA_ENGINE_SECONDS", "0", 1);
    mien_log_sink(keep_warnings, NULL);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 7"); /* opens the device three times */
    mien_log_sink(NULL, NULL);
    assert_int_equal(occurrences(news, "MIEN_CUDA_ENGINE_SECONDS"), 3);
    assert_false(mien_file_exists(file));
    unsetenv("MIEN_CUDA_ENGINE_SECONDS");
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

/* Loading the libraries is not the engines' time. */
static void test_cold_start(void **state) {
    (void)state;
    setenv("FAKE_CUDNN_FAST", "20", 1);
    setenv("FAKE_CUDNN_LOAD_MS", "60000", 1);
    mien_log_sink(keep_warnings, NULL);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 20");
    mien_log_sink(NULL, NULL);
    assert_string_equal(news, "");
}

/* Entries of earlier versions that were not timed are. */
static void test_untimed_entries(void **state) {
    (void)state;
    setenv("FAKE_CUDNN_FAST", "7", 1);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 7");
    char *text = read_cache();
    for (char *at = text; (at = strstr(at, "\"ms\": ")); at += 6)
        memset(at + 6, '0', strcspn(at + 6, "\n}") - 0);
    write_cache(text);
    mien_free(text);
    setenv("FAKE_CUDNN_FAST", "20", 1);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 20");
}

/* However many engines mode A names, those of mode B are tried too. */
static void test_both_modes(void **state) {
    (void)state;
    setenv("FAKE_CUDNN_TILES", "30", 1);
    setenv("FAKE_CUDNN_FAST", "23", 1);
    expect_engine(MIEN_COMPUTE_BF16, false, "engine 23");
}

/* An engine whose result is not that of the others is not taken, however fast it is. */
static void test_wrong_engine(void **state) {
    (void)state;
    static const mien_compute computes[] = {MIEN_COMPUTE_F32, MIEN_COMPUTE_BF16, MIEN_COMPUTE_F16};
    for (size_t i = 0; i < sizeof computes / sizeof computes[0]; i++)
        for (int direction = 0; direction < MIEN_DIRECTIONS; direction++) {
            char text[64];
            start(NULL);
            setenv("FAKE_CUDNN_FAST", "20", 1);
            setenv("FAKE_CUDNN_WRONG", "20", 1);
            mien_log_sink(keep_warnings, NULL);
            engine(computes[i], false, (mien_direction)direction, text);
            mien_log_sink(NULL, NULL);
            assert_string_not_equal(text, "engine 20");
            assert_memory_equal(text, "engine ", 7);
            assert_non_null(strstr(warnings, "engine 20 is not used"));
            char *kept = read_cache();
            assert_null(strstr(kept, "\"engine\": 20,"));
            mien_free(kept);
        }
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
    assert_false(mien_file_exists(file)); /* and a later run tries it */
}

/* When no time is left for a fused graph's rival, a later run times both. */
static void test_race_without_time(void **state) {
    (void)state;
    char text[64];
    mien_linear *op;
    mien_linear_desc d = conv;
    d.training = false;
    setenv("FAKE_CUDNN_ONLY", "20", 1);
    setenv("FAKE_CUDNN_COMPILED", "fused", 1);
    setenv("MIEN_CUDA_ENGINE_SECONDS", "0.02", 1);
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, false);
    expect_ok(b->ops->linear_create(b, &d, &op));
    prepare(op, b, 1); /* starts the clock */
    setenv("FAKE_CUDNN_SLOW", "fused", 1);
    prepare(op, b, 2);
    b->ops->linear_free(op);
    mien_backend_close(b);
    char *kept = read_cache();
    assert_null(strstr(kept, "x 2 3 3 8"));
    mien_free(kept);
    unsetenv("MIEN_CUDA_ENGINE_SECONDS");
    prepare_new(MIEN_FORWARD, text);
    expect_entry("forward low bias relu bf16 x 2", UNFUSED);
    expect_entry("forward bf16 x 2", 20);
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
    const struct CMUnitTest tests[] = {
        TEST(compiled_engines),       TEST(no_time),       TEST(cold_start),
        TEST(untimed_entries),        TEST(both_modes),    TEST(wrong_engine),
        TEST(race_without_time),      TEST(half_the_time), TEST(smaller_batch),
        TEST(smaller_batch_unmasked), TEST(gradient_race), TEST(forward_race)};
    return engine_tests(tests, sizeof tests / sizeof tests[0]);
}
