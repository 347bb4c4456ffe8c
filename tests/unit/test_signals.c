/* While the engine computes, no signal's handler runs with a stack pointer outside the stack: its
 * frame would overwrite what lies there. Here the handler has a stack of its own. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <ucontext.h>

#include "host/base/clock.h"
#include "tests/support/test.h"
#include "tests/unit/plan_nets.h"

static pthread_t caller;
static uintptr_t stack_begin, stack_end; /* of the caller */
static volatile int seen, outside;

static void look(int number, siginfo_t *info, void *context) {
    const ucontext_t *at = context;
    const uintptr_t sp = (uintptr_t)at->uc_mcontext.gregs[REG_RSP];
    /* at the upper end of another thread's stack is what pthread_self points to */
    const uintptr_t self = (uintptr_t)pthread_self(), most = 16 << 20;
    (void)number, (void)info;
    seen++;
    if (pthread_self() == caller ? sp < stack_begin || sp >= stack_end
                                 : sp > self || sp < self - most)
        outside++;
}

/* Signals every half millisecond, for this thread unless it holds them. */
static void begin_signals(void) {
    static char own[1 << 17];
    pthread_attr_t attr;
    void *low;
    size_t size;
    assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
    pthread_attr_getstack(&attr, &low, &size);
    pthread_attr_destroy(&attr);
    caller = pthread_self();
    stack_begin = (uintptr_t)low;
    stack_end = stack_begin + size;
    assert_int_equal(sigaltstack(&(stack_t){.ss_sp = own, .ss_size = sizeof own}, NULL), 0);
    const struct sigaction action = {.sa_sigaction = look,
                                     .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    seen = outside = 0;
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 500}, {0, 500}}, NULL);
}

static void end_signals(void) {
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
}

static void passes(const char *model, int threads, bool infer) {
    enum { BATCH = 64 };
    const mien_graph_io io = {12, 12, 16, 7};
    mien_backend *b;
    test_net net;
    expect_ok(mien_backend_open("cpu", &(mien_backend_options){.threads = threads}, &b));
    net_open(
        &net, b, model, io,
        (net_options){.batch = BATCH, .micro = NET_MICRO_AUTOMATIC, .infer = infer, .seed = 3});
    expect_ok(mien_plan_prepare(net.plan, BATCH));
    begin_signals();
    for (const double end = mien_seconds() + 0.3; mien_seconds() < end;) {
        if (infer)
            expect_ok(mien_plan_forward(net.plan, BATCH, false, 0));
        else
            plan_pass(&net, BATCH);
    }
    end_signals();
    net_close(&net);
    mien_backend_close(b);
    assert_true(seen > 20);
    assert_int_equal(outside, 0);
}

/* Products of matrices: a dense layer in training. */
static void dense_layers(void **state) {
    (void)state;
    static const char model[] = "layers:\n"
                                "  - flatten\n"
                                "  - dense: {units: 512, activation: relu}\n"
                                "  - dense: {units: 128, activation: relu}\n"
                                "  - dense: {units: classes, activation: softmax}\n";
    for (int threads = 1; threads <= 2; threads++)
        passes(model, threads, false);
}

/* Convolutions that oneDNN computes by products of matrices. */
static void grouped_convolutions(void **state) {
    (void)state;
    static const char model[] =
        "layers:\n"
        "  - conv2d: {filters: 128, kernel_size: 1}\n"
        "  - conv2d: {filters: 256, kernel_size: 3, groups: 2, dilation_rate: 2, padding: same}\n"
        "  - conv2d: {filters: 90, kernel_size: 3, groups: 2, padding: same}\n"
        "  - global_average_pooling2d\n"
        "  - dense: {units: classes, activation: softmax}\n";
    for (int i = 0; i < 4; i++)
        passes(model, 1 + i / 2, i % 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dense_layers),
                                       cmocka_unit_test(grouped_convolutions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
