/* Kernels are static functions, so their names are only in the symbol table of their file. */
#include "tests/cuda/harness/symbol.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *find(const char *file, uint64_t value) {
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)file;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(file + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        const Elf64_Sym *symbols = (const Elf64_Sym *)(file + sections[i].sh_offset);
        const char *names = file + sections[sections[i].sh_link].sh_offset;
        for (uint64_t k = 0; k < sections[i].sh_size / sizeof *symbols; k++)
            if (ELF64_ST_TYPE(symbols[k].st_info) == STT_FUNC && symbols[k].st_value == value)
                return names + symbols[k].st_name;
    }
    return NULL;
}

void harness_symbol(const void *address, char *text, size_t size) {
    Dl_info info;
    struct stat about;
    snprintf(text, size, "?");
    if (!dladdr(address, &info)) return;
    const int fd = open(info.dli_fname, O_RDONLY);
    if (fd < 0) return;
    if (fstat(fd, &about) == 0) {
        const size_t bytes = (size_t)about.st_size;
        void *file = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file != MAP_FAILED) {
            const uint64_t value = (uint64_t)((const char *)address - (char *)info.dli_fbase);
            const char *name = find((const char *)file, value);
            char *plain = name ? abi::__cxa_demangle(name, NULL, NULL, NULL) : NULL;
            if (name) snprintf(text, size, "%s", plain ? plain : name);
            free(plain);
            munmap(file, bytes);
        }
    }
    close(fd);
}
