/* Linked into modules only. Forwards the module's messages and log lines to the program: the files
 * of host/base that are linked into both must not each keep a message. */
#include <stdarg.h>
#include <stdio.h>

#include "host/base/module.h"
#include "host/base/services.h"

static _Atomic(const mien_services *) program; /* the same in every call and thread */

void mien_services_use(const mien_services *services) {
    program = services;
}

mien_status mien_fail(mien_status code, const char *file, int line, const char *format, ...) {
    char text[MIEN_MESSAGE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return program->fail(code, file, line, "%s", text);
}

mien_status mien_fail_context(mien_status code, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return program->fail_context(code, "%s", text);
}

const char *mien_error_message(void) {
    return program->error_message();
}

void mien_log(mien_log_level level, const char *format, ...) {
    char text[MIEN_MESSAGE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    program->log(level, "%s", text);
}

mien_status mien_program_folder(char *out) {
    return program->folder(out);
}
