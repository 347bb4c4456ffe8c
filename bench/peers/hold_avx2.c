/* Preloaded in a peer by bench/compare.py --isa avx2: the program does not see that the CPU has
 * more than AVX2. ONNX Runtime, for one, has no setting for that.
 *
 * The kernel makes the instruction CPUID fault (arch_prctl(2), ARCH_SET_CPUID); the handler answers
 * it without AVX-512, AMX, VNNI and bf16. Threads inherit the setting. Libraries that the program
 * itself is linked with are initialised before; those of a Python package are loaded later. Where
 * CPU or kernel cannot do this, a line says so, and the program runs as it is. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(n) (1U << (n))

static struct sigaction before;

static long let_cpuid(unsigned long allowed) {
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, allowed);
}

/* Leaf 7: Intel 64 Software Developer's Manual, volume 2A, CPUID. */
static void hide(uint32_t leaf, uint32_t part, uint32_t r[4]) {
    if (leaf == 7 && part == 0) {
        /* AVX512F, DQ, IFMA, PF, ER, CD, BW, VL */
        r[1] &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
        /* AVX512_VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
        r[2] &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
        /* AVX512_4VNNIW, 4FMAPS, VP2INTERSECT, AMX-BF16, AVX512_FP16, AMX-TILE, AMX-INT8 */
        r[3] &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25));
    }
    if (leaf == 7 && part == 1) r[0] &= ~(BIT(4) | BIT(5)); /* AVX-VNNI, AVX512_BF16 */
}

static void answer(int signal, siginfo_t *info, void *context) {
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *code = (const uint8_t *)g[REG_RIP];
    (void)signal;
    if (info->si_code != SI_KERNEL || code[0] != 0x0f || code[1] != 0xa2) {
        sigaction(SIGSEGV, &before, NULL); /* a real fault: it happens again, without us */
        return;
    }
    const uint32_t leaf = (uint32_t)g[REG_RAX], part = (uint32_t)g[REG_RCX];
    uint32_t r[4];
    let_cpuid(1);
    __asm__ volatile("cpuid"
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(part));
    let_cpuid(0);
    hide(leaf, part, r);
    g[REG_RAX] = r[0];
    g[REG_RBX] = r[1];
    g[REG_RCX] = r[2];
    g[REG_RDX] = r[3];
    g[REG_RIP] += 2;
}

__attribute__((constructor)) static void hold(void) {
    static const char cannot[] = "hold_avx2: this CPU or kernel cannot hide AVX-512\n";
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSEGV, &action, &before) || let_cpuid(0))
        (void)!write(STDERR_FILENO, cannot, sizeof cannot - 1);
}
