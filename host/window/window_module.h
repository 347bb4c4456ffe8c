/* The function table of the module mien-window.so (see host/base/module.h). */
#ifndef HOST_WINDOW_WINDOW_MODULE_H
#define HOST_WINDOW_WINDOW_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/module.h"

enum { MIEN_WINDOW_VERSION = 1 };

/* A function that fails writes why to message[size]. */
typedef struct mien_window_module {
    mien_module head;
    bool (*open)(const char *title, int width, int height, void **out, char *message, size_t size);
    /* RGB pixels, rows without gaps. */
    bool (*show)(void *window, const uint8_t *pixels, int width, int height, char *message,
                 size_t size);
    int (*key)(void *window);
    void (*close)(void *window);
} mien_window_module;

#endif
