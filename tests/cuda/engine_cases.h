/* Choosing cuDNN's engines: what the tests of it share. The engines are those of
 * tests/cuda/fake/cudnn_engine.c. */
#ifndef TESTS_CUDA_ENGINE_CASES_H
#define TESTS_CUDA_ENGINE_CASES_H

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

/* In place of an engine: a smaller graph followed by own kernels is faster. */
enum { UNFUSED = -1 };

extern char cache[32], file[64];        /* the cache's folder, engines.json in it */
extern const mien_linear_desc conv;     /* the layer whose engines are chosen */
extern char warnings[2048], news[2048]; /* what keep_warnings has seen */

/* A log sink. */
void keep_warnings(void *context, mien_log_level level, const char *line);
/* The setup of every test: no settings, no cache, no warnings. */
int start(void **state);
/* Prepares one more batch size and returns what it cost. */
fake_counts prepare(mien_linear *op, mien_backend *b, int n);
/* Names the engine of one pass and returns what choosing it cost. */
fake_counts engine(mien_compute compute, bool deterministic, mien_direction direction,
                   char text[64]);
/* The same in bf16. */
fake_counts prepare_new(mien_direction direction, char text[64]);
/* The engine of each pass begins with `want`. */
void expect_engine(mien_compute compute, bool deterministic, const char *want);
/* The cache file; the caller frees it. */
char *read_cache(void);
void write_cache(const char *text);
/* Replaces `from` by `to` in the cache file; returns the number of replacements. */
int replace_in_cache(const char *from, const char *to);
/* The cached engine of the first problem of such a text. */
void expect_entry(const char *problem, int want);
/* Runs the tests in a cache of their own; skips them on a real card. */
int engine_tests(const struct CMUnitTest *tests, size_t count);
#define TEST(name) cmocka_unit_test_setup(test_##name, start)

#endif
