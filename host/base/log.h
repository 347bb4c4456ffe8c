/* Log lines, passed to the sink that mien_log_sink (include/mien/log.h) installs. */
#ifndef HOST_BASE_LOG_H
#define HOST_BASE_LOG_H

#include "include/mien/log.h"

void mien_log(mien_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define MIEN_INFO(...) mien_log(MIEN_LOG_INFO, __VA_ARGS__)
#define MIEN_WARN(...) mien_log(MIEN_LOG_WARNING, __VA_ARGS__)

#endif
