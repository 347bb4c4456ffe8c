/* Threads of a block as fibres that take turns. A fibre whose thread has finished goes on with the
 * next thread, so threads without barriers run as calls in a loop. */
#include <cuda_runtime.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <xmmintrin.h>

#include "tests/cuda/harness/fibre.h"
#include "tests/cuda/harness/order.h"
#include "tests/cuda/harness/symbol.h"

uint3 harness_thread, harness_block;
dim3 harness_block_size, harness_grid_size;

/* All static shared arrays of the kernels: see shared.ld. */
extern "C" char harness_shared_begin[] __attribute__((weak));
extern "C" char harness_shared_end[] __attribute__((weak));

struct warp {
    uint64_t lanes[2][HARNESS_WARP]; /* double-buffered: some lanes still read while others are one
                                        call ahead */
    unsigned arrived, left;
    unsigned phase;
    int kind;
};

static struct {
    const void *kernel;
    void (*thread)(void *);
    void *context;
    order sequence;
    unsigned count; /* threads in a block */
    unsigned started, left, waiting;
    unsigned current; /* the running thread */
    unsigned first, queued;
    uint64_t turns;
    bool met; /* have threads of this launch waited for each other? */
    fibre *running;
} run;

static fibre outside, *idle[HARNESS_THREADS], *fibre_of[HARNESS_THREADS];
static unsigned idle_count;
static unsigned queue[HARNESS_THREADS]; /* a ring of runnable threads */
static uint3 thread_indices[HARNESS_THREADS];
static warp warps[HARNESS_THREADS / HARNESS_WARP];
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void push(unsigned thread) {
    queue[(run.first + run.queued++) % HARNESS_THREADS] = thread;
}

static unsigned pop() {
    const unsigned thread = queue[run.first];
    run.first = (run.first + 1) % HARNESS_THREADS;
    run.queued--;
    return thread;
}

void harness_report(const char *format, ...) {
    char name[512];
    va_list list;
    harness_symbol(run.kernel, name, sizeof name);
    fprintf(stderr, "kernel %s, block (%u,%u,%u), thread (%u,%u,%u): ", name, harness_block.x,
            harness_block.y, harness_block.z, harness_thread.x, harness_thread.y, harness_thread.z);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    abort();
}

static void stuck() {
    unsigned shuffling = 0;
    for (unsigned w = 0; w * HARNESS_WARP < run.count; w++)
        shuffling += (unsigned)__builtin_popcount(warps[w].arrived);
    harness_report("deadlock: of %u threads, %u wait at __syncthreads and %u for lanes of their "
                   "warp",
                   run.count, run.waiting, shuffling);
}

static void fibre_main();

/* Switches to a runnable thread; returns when it is the caller's turn again. `left`: the caller's
 * thread has finished. */
static void give_turn(bool left) {
    fibre *self = run.running, *to = &outside;
    const bool fresh = run.started < run.count;
    if (fresh && (run.queued == 0 || run.sequence.starts_fresh(run.turns++))) {
        run.current = (unsigned)run.sequence.at(run.started++, run.count);
        if (left) return; /* the same fibre runs it */
        to = idle_count ? idle[--idle_count] : fibre_new(fibre_main);
    } else {
        if (run.queued) {
            run.current = pop();
            to = fibre_of[run.current];
        } else if (run.left < run.count) {
            stuck();
        }
        if (left) idle[idle_count++] = self;
    }
    run.running = to;
    if (to != self) fibre_switch(self, to);
    harness_thread = thread_indices[run.current];
}

static void fibre_main() {
    for (;;) {
        const unsigned self = run.current;
        fibre_of[self] = run.running;
        harness_thread = thread_indices[self];
        run.thread(run.context);
        warp *w = &warps[self / HARNESS_WARP];
        if (run.waiting) harness_report("it leaves while others wait for it at __syncthreads");
        if (w->arrived) harness_report("it leaves while its warp waits for it");
        w->left++;
        run.left++;
        give_turn(true);
    }
}

unsigned harness_lane() {
    return run.current % HARNESS_WARP;
}

void harness_sync_block() {
    if (run.left) harness_report("__syncthreads waits for %u threads that have left", run.left);
    run.met = true;
    if (++run.waiting == run.count) {
        run.waiting = 0;
        for (unsigned i = 0; i < run.count; i++)
            push((unsigned)run.sequence.at(i, run.count));
    }
    give_turn(false);
}

const uint64_t *harness_collect(unsigned mask, int kind, uint64_t value) {
    const unsigned first = run.current / HARNESS_WARP * HARNESS_WARP;
    const unsigned lane = run.current % HARNESS_WARP;
    warp *w = &warps[first / HARNESS_WARP];
    if (mask != 0xffffffffu || first + HARNESS_WARP > run.count)
        harness_report("only whole warps may shuffle");
    if (w->left) harness_report("it shuffles with %u lanes that have left", w->left);
    if (w->arrived && w->kind != kind)
        harness_report("lanes of one warp are in different shuffles");
    uint64_t *lanes = w->lanes[w->phase];
    lanes[lane] = value;
    w->kind = kind;
    w->arrived |= 1u << lane;
    if (w->arrived == 0xffffffffu) {
        w->arrived = 0;
        w->phase ^= 1;
        for (unsigned i = 0; i < HARNESS_WARP; i++)
            push(first + (unsigned)run.sequence.at(i, HARNESS_WARP));
    }
    give_turn(false);
    return lanes;
}

/* Shared memory is uninitialized at the start of a block: fill it with NaN. */
__attribute__((no_sanitize("address"))) static void poison_shared() {
    volatile uint64_t *p = (volatile uint64_t *)harness_shared_begin;
    for (; p < (volatile uint64_t *)harness_shared_end; p++)
        *p = ~(uint64_t)0;
}

static void run_block() {
    run.started = run.left = run.waiting = run.first = run.queued = 0;
    run.running = &outside;
    for (unsigned w = 0; w * HARNESS_WARP < run.count; w++)
        warps[w].left = 0;
    run.turns++;
    give_turn(false);
}

void harness_run(const void *kernel, dim3 grid, dim3 block, void (*thread)(void *), void *context) {
    pthread_mutex_lock(&one_at_a_time);
    const unsigned rounding = _mm_getcsr();
    _mm_setcsr(rounding | 0x8040); /* flush subnormal results and operands */
    run.kernel = kernel;
    run.thread = thread;
    run.context = context;
    run.count = block.x * block.y * block.z;
    run.sequence.read();
    run.turns = 0;
    run.met = false;
    harness_block_size = block;
    harness_grid_size = grid;
    for (unsigned i = 0; i < run.count; i++)
        thread_indices[i] = {i % block.x, i / block.x % block.y, i / block.x / block.y};
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    for (uint64_t i = 0; i < blocks; i++) {
        const uint64_t b = run.sequence.at(i, blocks);
        harness_block = {(unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
                         (unsigned)(b / grid.x / grid.y)};
        if (i == 0 || run.met) poison_shared();
        run_block();
    }
    run.kernel = NULL;
    _mm_setcsr(rounding);
    pthread_mutex_unlock(&one_at_a_time);
}
