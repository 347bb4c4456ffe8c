#!/usr/bin/env bash
# oneDNN 2.6.0 and 3.2.0 (onednn-cpu-gomp 2022.2.1 and 2023.2.0 from PyPI; Debian 12's libdnnl2 2.6.3
# likewise): during a product of matrices the stack pointer is not in the stack.
#
# Expected: as in oneDNN 2.5.0 (2022.0.2), a thread that calls dnnl_sgemm has its stack pointer in its
#   stack all the time: so a program may have handlers of signals.
# Seen: from 2.6.0 on, most signals that come during dnnl_sgemm find it in memory that the library
#   allocated, with AVX2 and with AVX-512. A handler without a stack of its own puts its frame there, with
#   AVX-512 some kilobytes: it overwrites whatever the program has below. No documentation speaks of it;
#   sigaltstack, or holding signals during the call, helps.
# The handler here has a stack of its own, so that nothing is overwritten.
# Needs: gcc, python3 with venv, a CPU with AVX-512. Fails if what is printed changes.
set -euo pipefail
grep -q avx512bw /proc/cpuinfo || { echo "this needs a CPU with AVX-512" >&2 && exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >ask.c <<'C'
#define _GNU_SOURCE
#include <dnnl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

enum { SIDE = 256 };
static uintptr_t low, high;
static volatile sig_atomic_t seen, outside;

static void look(int number, siginfo_t *info, void *context) {
    const ucontext_t *at = context;
    const uintptr_t sp = (uintptr_t)at->uc_mcontext.gregs[REG_RSP];
    (void)number, (void)info;
    seen++;
    outside += sp < low || sp >= high;
}

int main(void) {
    static char own[1 << 18];
    static float a[SIDE * SIDE], b[SIDE * SIDE], c[SIDE * SIDE];
    pthread_attr_t attr;
    void *stack;
    size_t size;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstack(&attr, &stack, &size);
    low = (uintptr_t)stack;
    high = low + size;
    sigaltstack(&(stack_t){.ss_sp = own, .ss_size = sizeof own}, NULL);
    struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 500}, {0, 500}}, NULL);
    for (const time_t end = time(NULL) + 2; time(NULL) < end;)
        dnnl_sgemm('N', 'N', SIDE, SIDE, SIDE, 1, a, SIDE, b, SIDE, 0, c, SIDE);
    const dnnl_version_t *v = dnnl_version();
    printf("oneDNN %d.%d.%d, %s: %s\n", v->major, v->minor, v->patch, getenv("ONEDNN_MAX_CPU_ISA"),
           seen < 100 ? "too few signals" : outside ? "outside the stack" : "in the stack");
}
C

ask() { # RELEASE LIMIT
    local release=$1 lib include
    if [ ! -d "$release" ]; then
        python3 -m venv "$release"
        "$release/bin/pip" install -q --disable-pip-version-check --no-deps \
            "onednn-cpu-gomp==$release" "onednn-devel-cpu-gomp==$release"
    fi
    lib=$(dirname "$(find "$release" -name libdnnl.so | head -1)")
    include=$(dirname "$(find "$release" -path '*include/dnnl.h' | head -1)")
    gcc -O2 -I"$include" ask.c -L"$lib" -ldnnl -o ask
    LD_LIBRARY_PATH=$lib OMP_NUM_THREADS=1 ONEDNN_MAX_CPU_ISA=$2 ./ask
}

for release in 2022.0.2 2022.2.1 2023.2.0; do
    ask $release AVX2
    ask $release AVX512_CORE
done | tee seen
diff seen - <<'SEEN'
oneDNN 2.5.0, AVX2: in the stack
oneDNN 2.5.0, AVX512_CORE: in the stack
oneDNN 2.6.0, AVX2: outside the stack
oneDNN 2.6.0, AVX512_CORE: outside the stack
oneDNN 3.2.0, AVX2: outside the stack
oneDNN 3.2.0, AVX512_CORE: outside the stack
SEEN
