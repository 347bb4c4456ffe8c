/* Fibres: stacks that take turns, the minimum that the threads of a block need. x86-64 only, like
 * Mien's CPU kernels. */
#ifndef TESTS_CUDA_HARNESS_FIBRE_H
#define TESTS_CUDA_HARNESS_FIBRE_H

#include <stddef.h>

struct fibre {
    void *stack_pointer; /* while it does not run */
    /* its stack, for the sanitizer */
    const void *stack;
    size_t bytes;
    void *shadow;
};

/* A new fibre that starts in `main`, which must never return. It is never freed. */
fibre *fibre_new(void (*main)());
/* Switches to `to`; returns when another fibre switches back to `from`. */
void fibre_switch(fibre *from, fibre *to);

#endif
