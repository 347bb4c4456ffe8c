#include "tests/cuda/engine_cases.h"

char cache[32] = "/tmp/mien-engines-XXXXXX";
char file[64];

const mien_linear_desc conv = {.name = "conv7",
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

char warnings[2048], news[2048];

void keep_warnings(void *context, mien_log_level level, const char *line) {
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

int start(void **state) {
    (void)state;
    static const char *const settings[] = {
        "FAKE_CUDNN_TILES",  "FAKE_CUDNN_FAST",          "FAKE_CUDNN_ONLY",
        "FAKE_CUDNN_FUSION", "FAKE_CUDA_MEMORY",         "FAKE_CUDA_FAIL",
        "FAKE_CUDA_STICKY",  "FAKE_CUDNN_COMPILED",      "FAKE_CUDNN_COMPILE_MS",
        "FAKE_CUDNN_SLOW",   "MIEN_CUDA_ENGINE_SECONDS", "FAKE_CUDNN_WRONG",
        "FAKE_CUDNN_LOAD_MS"};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        unsetenv(settings[i]);
    remove(file);
    warnings[0] = news[0] = 0;
    return 0;
}

fake_counts prepare(mien_linear *op, mien_backend *b, int n) {
    const fake_counts before = counts();
    expect_ok(b->ops->linear_prepare(op, n));
    fake_counts after = counts();
    after.heuristics -= before.heuristics;
    after.plans -= before.plans;
    after.compiled -= before.compiled;
    return after;
}

fake_counts engine(mien_compute compute, bool deterministic, mien_direction direction,
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

void expect_engine(mien_compute compute, bool deterministic, const char *want) {
    for (int direction = 0; direction < MIEN_DIRECTIONS; direction++) {
        char text[64];
        engine(compute, deterministic, (mien_direction)direction, text);
        if (strncmp(text, want, strlen(want)) != 0) fail_msg("%s, not %s", text, want);
    }
}

char *read_cache(void) {
    char *text;
    size_t size;
    expect_ok(mien_file_read(file, 1 << 20, &text, &size));
    return text;
}

void write_cache(const char *text) {
    expect_ok(mien_file_write(file, text, strlen(text)));
}

int replace_in_cache(const char *from, const char *to) {
    char *text = read_cache(), *out = replaced(text, from, to);
    const int count = occurrences(text, from);
    write_cache(out);
    free(out);
    mien_free(text);
    return count;
}

fake_counts prepare_new(mien_direction direction, char text[64]) {
    return engine(MIEN_COMPUTE_BF16, false, direction, text);
}

/* Checks the engine that the cache names for the first problem with this text. */
void expect_entry(const char *problem, int want) {
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

int engine_tests(const struct CMUnitTest *tests, size_t count) {
    const char *modules = getenv("MIEN_MODULES");
    if (modules && !strstr(modules, "fake")) {
        printf("ok engines # SKIP they are those of the fake cuDNN\n");
        return 0;
    }
    if (!mkdtemp(cache)) return 1;
    setenv("XDG_CACHE_HOME", cache, 1);
    snprintf(file, sizeof file, "%s/mien/engines.json", cache);
    const int failed = _cmocka_run_group_tests("engines", tests, count, NULL, NULL);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", cache);
    return system(command) || failed;
}
