/* What a signal asks for, seen by work that takes long without steps: reading and surveying data.
 */
#ifndef HOST_BASE_INTERRUPT_H
#define HOST_BASE_INTERRUPT_H

#include "host/base/status.h"

/* From now on such work ends with MIEN_INTERRUPTED once *flag is not 0. For programs: libraries
 * watch nothing. */
void mien_interrupt_watch(const volatile int *flag);
/* Called between parts of the work, which take much less than a second each. */
mien_status mien_interrupt_check(const char *source);

#endif
