#include "tests/cuda/harness/fibre.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK = 256 << 10, SAVED = 6 };

/* Saves the callee-saved registers, switches stacks, restores the registers. */
__asm__(".text\n"
        ".p2align 4\n"
        ".type harness_switch, @function\n"
        "harness_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size harness_switch, . - harness_switch\n");
extern "C" void harness_switch(void **save, void *load) __asm__("harness_switch");

#ifdef __SANITIZE_ADDRESS__
static fibre *last; /* the fibre before this switch: its stack bounds become known after it */

static void leaving(fibre *from, const fibre *to) {
    last = from;
    __sanitizer_start_switch_fiber(&from->shadow, to->stack, to->bytes);
}
static void arrived(void *shadow) {
    __sanitizer_finish_switch_fiber(shadow, &last->stack, &last->bytes);
}
#else
static void leaving(fibre *, const fibre *) {}
static void arrived(void *) {}
#endif

static void (*begin)(); /* entry point of a new fibre */

static void first_time() {
    arrived(NULL);
    begin();
}

fibre *fibre_new(void (*main)()) {
    fibre *f = (fibre *)calloc(1, sizeof *f);
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (!f || stack == MAP_FAILED) {
        perror("a thread's stack");
        abort();
    }
    begin = main;
    f->stack = stack;
    f->bytes = STACK;
    /* unused registers, the entry point, and a return address that ends a backtrace */
    void **top = (void **)((char *)stack + STACK) - (SAVED + 2);
    top[SAVED] = (void *)first_time;
    f->stack_pointer = top;
    return f;
}

void fibre_switch(fibre *from, fibre *to) {
    leaving(from, to);
    harness_switch(&from->stack_pointer, to->stack_pointer);
    arrived(from->shadow);
}
