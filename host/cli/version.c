/* The program's version. */
#include <stdio.h>

#include "host/cli/cli.h"
#include "include/mien/mien.h"

const char *cli_commit(void) {
    return MIEN_COMMIT;
}

void cli_print_version(void) {
    printf("mien %s (%s)\n", MIEN_VERSION, MIEN_COMMIT);
}
