/* What a module uses of the program that loads it, so that messages and log lines are kept in one
 * place. A module links services.c, which has the functions of status.h and log.h and calls the
 * program's; the program's own table is mien_program_services (home.c). */
#ifndef HOST_BASE_SERVICES_H
#define HOST_BASE_SERVICES_H

#include "host/base/log.h"
#include "host/base/status.h"

typedef struct mien_services {
    mien_status (*fail)(mien_status code, const char *file, int line, const char *format, ...);
    mien_status (*fail_context)(mien_status code, const char *format, ...);
    const char *(*error_message)(void);
    void (*log)(mien_log_level level, const char *format, ...);
    mien_status (*folder)(char *out); /* mien_program_folder */
} mien_services;

extern const mien_services mien_program_services;

/* In a module: sends messages to `services` from now on, which outlives the module. */
void mien_services_use(const mien_services *services);

#endif
