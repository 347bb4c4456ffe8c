/* Status codes: every function of the library that can fail returns one.
 *
 *     if (mien_model_load("best.h5", &model) != MIEN_OK)
 *         fprintf(stderr, "%s\n", mien_error_message());
 *
 * The message says what failed (file, row, layer) and what to do. */
#ifndef MIEN_STATUS_H
#define MIEN_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* code, name */
#define MIEN_STATUS_LIST(X)                                                                        \
    X(OK, "ok")                                                                                    \
    X(INVALID, "invalid argument")                                                                 \
    X(NOT_FOUND, "not found")                                                                      \
    X(IO, "input/output error")                                                                    \
    X(FORMAT, "wrong format")                                                                      \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(NO_DEVICE, "no such device")                                                                 \
    X(DEVICE, "device fault")                                                                      \
    X(UNSUPPORTED, "not supported")                                                                \
    X(DIVERGED, "training diverged")                                                               \
    X(INTERRUPTED, "interrupted")

typedef enum mien_status {
#define MIEN_STATUS_ENUM(code, name) MIEN_##code,
    MIEN_STATUS_LIST(MIEN_STATUS_ENUM)
#undef MIEN_STATUS_ENUM
} mien_status;

/* The short name of a code; never NULL. */
const char *mien_status_name(mien_status status);

/* The message of this thread's last failure; "" if there was none. Valid until the thread's next
 * failing call. */
const char *mien_error_message(void);

#ifdef __cplusplus
}
#endif
#endif
