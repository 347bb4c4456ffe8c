#include "host/base/log.h"

#include <stdarg.h>
#include <stdio.h>

static mien_log_fn sink_function;
static void *sink_context;

void mien_log_sink(mien_log_fn sink, void *context) {
    sink_function = sink;
    sink_context = context;
}

void mien_log(mien_log_level level, const char *format, ...) {
    if (!sink_function) return;
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    sink_function(sink_context, level, line);
}
