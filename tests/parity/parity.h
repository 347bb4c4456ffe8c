/* Shared by the parity tests: random numbers, comparison, and the list of tests. */
#ifndef TESTS_PARITY_PARITY_H
#define TESTS_PARITY_PARITY_H

#include "tests/support/net.h"
#include "tests/support/reference.h"

/* Whole numbers from -range to range, so that sums of products are exact in float. */
double *integers(size_t count, int range, uint32_t seed);
/* Floats over many magnitudes, including zeros, denormals, infinities and NaN. */
float *wild_floats(size_t count, uint32_t seed);
/* Ordinary floats in (-scale, scale). */
float *mild_floats(size_t count, float scale, uint32_t seed);
/* Expects equal bits, except that any NaN equals any NaN. */
void expect_same_floats(const float *got, const float *want, size_t count, const char *what,
                        const char *isa);

/* parity_exact.c: x86-64-v2, v3 and v4 give the same bits. */
void test_isa_activations(void **state);
void test_isa_dropout(void **state);
void test_isa_pooling(void **state);
void test_isa_gather(void **state);
void test_isa_optimizers(void **state);
void test_isa_loss(void **state);
void test_copies(void **state);

/* parity_random.c: the random generator, and independence of layout, threads and micro-batches. */
void test_philox(void **state);
void test_drawn_words(void **state);
void test_dropout_layout(void **state);
void test_dropout_threads(void **state);
void test_dropout_micro_batches(void **state);
void test_augment_layout(void **state);
void test_augment_threads(void **state);
void test_augment_micro_batches(void **state);

/* parity_moves.c */
void test_moves_same_bits(void **state);
void test_channel_words(void **state);
void test_noise(void **state);

/* parity_batchnorm.c */
void test_batchnorm_definition(void **state);
void test_batchnorm_same_bits(void **state);
void test_batchnorm_bad_batch(void **state);

/* parity_own.c, parity_own_f64.c: own convolutions against the plain loops in double. */
void test_winograd_algebra(void **state);
void test_winograd_shared_sums(void **state);
void test_winograd_isas(void **state);
void test_winograd_isas_shared(void **state);
void test_winograd_in_the_backend(void **state);
void test_stem_algebra(void **state);
void test_stem_isas(void **state);
void test_stem_in_the_backend(void **state);

#endif
