/* Logging: the library never writes to a stream; it passes lines to one sink.
 *
 *     mien_log_sink(print_to_stderr, NULL);
 *
 * Without a sink the lines are dropped. */
#ifndef MIEN_LOG_H
#define MIEN_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mien_log_level { MIEN_LOG_DEBUG, MIEN_LOG_INFO, MIEN_LOG_WARNING } mien_log_level;

/* Receives one line without a newline. */
typedef void (*mien_log_fn)(void *context, mien_log_level level, const char *line);

/* Installs the process-wide sink; NULL removes it. Not thread-safe: call it before work starts. */
void mien_log_sink(mien_log_fn sink, void *context);

#ifdef __cplusplus
}
#endif
#endif
