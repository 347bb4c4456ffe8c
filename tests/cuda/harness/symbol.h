#ifndef TESTS_CUDA_HARNESS_SYMBOL_H
#define TESTS_CUDA_HARNESS_SYMBOL_H

#include <stddef.h>

/* Name of the function that begins at `address`, as far as the file it was loaded from tells. */
void harness_symbol(const void *address, char *text, size_t size);

#endif
