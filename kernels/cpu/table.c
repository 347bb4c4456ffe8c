#include "kernels/cpu/cpu.h"

const cpu_kernels CPU_JOIN(cpu_kernels, CPU_BUILD) = {
#define CPU_ENTRY(name, args) .name = CPU(name),
    CPU_KERNELS(CPU_ENTRY)
#undef CPU_ENTRY
};
