#include "host/base/interrupt.h"

#include <stddef.h>

static const volatile int *watched;

void mien_interrupt_watch(const volatile int *flag) {
    watched = flag;
}

mien_status mien_interrupt_check(const char *source) {
    if (!watched || !*watched) return MIEN_OK;
    return MIEN_FAIL(INTERRUPTED, "interrupted while reading '%s'", source);
}
