#ifndef TESTS_CUDA_HARNESS_SYMBOL_H
#define TESTS_CUDA_HARNESS_SYMBOL_H

#include <stddef.h>

/* Writes the name of the function at `address`, if the file it was loaded from has it. */
void harness_symbol(const void *address, char *text, size_t size);

#endif
