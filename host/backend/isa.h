/* Which instruction sets the CPU backend uses: those of this machine, or fewer where the
 * environment says so, to measure and test how other machines behave.
 *
 *   MIEN_ISA=v2|v3|v4  x86-64-v2 (SSE4.1), v3 (AVX2), v4 (AVX-512) at most, and nothing beyond that
 *                      level (VNNI, bf16, AMX), for our own loops and for oneDNN
 *   MIEN_INT8=0        models in int8 run in f32 */
#ifndef HOST_BACKEND_ISA_H
#define HOST_BACKEND_ISA_H

#include <stdbool.h>

#include "host/base/status.h"

typedef enum mien_isa { MIEN_ISA_V2, MIEN_ISA_V3, MIEN_ISA_V4, MIEN_ISA_COUNT } mien_isa;

/* "v2", "v3", "v4". */
const char *mien_isa_name(mien_isa isa);
/* Whether this CPU supports the level. */
bool mien_isa_has(mien_isa isa);
/* The level to use, and whether MIEN_ISA limits it. INVALID when MIEN_ISA is not the name of a
 * level; UNSUPPORTED when this CPU lacks the named level. */
mien_status mien_isa_choose(mien_isa *out, bool *held_back);
/* False with MIEN_INT8=0. */
bool mien_isa_allows_int8(void);

#endif
