#include "host/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[MIEN_MESSAGE];
static _Thread_local char location[128];

const char *mien_status_name(mien_status status) {
    switch (status) {
#define MIEN_STATUS_CASE(code, name)                                                               \
    case MIEN_##code:                                                                              \
        return name;
        MIEN_STATUS_LIST(MIEN_STATUS_CASE)
#undef MIEN_STATUS_CASE
    }
    return "unknown status";
}

const char *mien_error_message(void) {
    return message;
}

const char *mien_error_location(void) {
    return location;
}

mien_status mien_fail(mien_status code, const char *file, int line, const char *format, ...) {
    char text[sizeof message]; /* arguments may point into the old message */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof message);
    snprintf(location, sizeof location, "%s:%d", file, line);
    return code;
}

mien_status mien_fail_context(mien_status code, const char *format, ...) {
    char context[256], text[sizeof message];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%s: %.*s", context, (int)(sizeof text - sizeof context - 3),
             message);
    memcpy(message, text, sizeof message);
    return code;
}
