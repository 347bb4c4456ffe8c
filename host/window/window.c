#include "host/window/window.h"

#include <stdlib.h>

#include "host/base/memory.h"
#include "host/window/window_module.h"

struct mien_window {
    const mien_window_module *module;
    void *state;
};

/* Asked before the library is loaded: without a display SDL may take over a text console. */
static bool has_display(void) {
    static const char *const names[] = {"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return true;
    }
    return false;
}

static mien_status load(const mien_window_module **out) {
    const mien_module *module;
    const mien_status status = mien_module_load("mien-window", MIEN_WINDOW_VERSION, &module);
    if (status == MIEN_NOT_FOUND)
        return MIEN_FAIL(UNSUPPORTED,
                         "this build has no mien-window.so, which shows pictures: install Debian's "
                         "package libsdl2-dev and build again with WINDOW=1");
    if (status != MIEN_OK) return status;
    *out = (const mien_window_module *)module;
    return MIEN_OK;
}

static mien_status check(const mien_window_module **out) {
    if (!has_display())
        return MIEN_FAIL(UNSUPPORTED,
                         "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)");
    return load(out);
}

mien_status mien_window_check(void) {
    const mien_window_module *module = NULL;
    return check(&module);
}

mien_status mien_window_open(const char *title, int width, int height, mien_window **out) {
    char message[256];
    const mien_window_module *module = NULL;
    void *state;
    mien_status status;
    *out = NULL;
    MIEN_TRY(check(&module));
    if (!module->open(title, width, height, &state, message, sizeof message))
        return MIEN_FAIL(UNSUPPORTED, "no window can be opened on this display: %s", message);
    status = mien_new(out, 1, sizeof **out);
    if (status == MIEN_OK)
        **out = (mien_window){module, state};
    else
        module->close(state);
    return status;
}

mien_status mien_window_show(mien_window *window, const mien_image *colour) {
    char message[256];
    if (colour->channels != 3)
        return MIEN_FAIL(INVALID, "a window shows pictures of 3 channels, not %d",
                         colour->channels);
    if (!window->module->show(window->state, colour->pixels, colour->width, colour->height, message,
                              sizeof message))
        return MIEN_FAIL(IO, "the window cannot show the picture: %s", message);
    return MIEN_OK;
}

int mien_window_key(mien_window *window) {
    return window->module->key(window->state);
}

void mien_window_close(mien_window *window) {
    if (!window) return;
    window->module->close(window->state);
    mien_free(window);
}
