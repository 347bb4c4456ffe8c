/* Stacks that take turns: the least that threads of a block need. x86-64 only, as all of Mien's
 * kernels on the CPU. */
#ifndef TESTS_CUDA_HARNESS_FIBRE_H
#define TESTS_CUDA_HARNESS_FIBRE_H

#include <stddef.h>

struct fibre {
    void *stack_pointer; /* while it does not run */
    /* its stack, as a sanitizer has to know it */
    const void *stack;
    size_t bytes;
    void *shadow;
};

/* A fibre that begins in `main`, which never returns. It is never freed. */
fibre *fibre_new(void (*main)());
/* Goes on in `to`; returns when somebody goes on in `from`. */
void fibre_switch(fibre *from, fibre *to);

#endif
