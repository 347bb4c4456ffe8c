/* The module mien-window.so: a window by SDL2. The only file that knows SDL. */
#include <SDL.h>
#include <stdlib.h>

#include "host/window/window_module.h"

typedef struct sdl_window {
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture; /* of the last picture's size */
    int width, height;
} sdl_window;

static bool failed(char *message, size_t size) {
    snprintf(message, size, "%s", SDL_GetError());
    return false;
}

static void close_window(void *state) {
    sdl_window *w = state;
    if (w->texture) SDL_DestroyTexture(w->texture);
    if (w->renderer) SDL_DestroyRenderer(w->renderer);
    if (w->window) SDL_DestroyWindow(w->window);
    free(w);
    SDL_QuitSubSystem(SDL_INIT_VIDEO);
}

/* The largest size of this aspect ratio that fits on the display beside panels and borders. */
static void fit_display(int *width, int *height) {
    SDL_Rect usable;
    if (SDL_GetDisplayUsableBounds(0, &usable) != 0 || usable.w < 64 || usable.h < 64) return;
    const double across = 0.9 * usable.w / *width, down = 0.9 * usable.h / *height;
    const double scale = across < down ? across : down;
    if (scale >= 1) return;
    *width = (int)(*width * scale);
    *height = (int)(*height * scale);
}

static bool create(sdl_window *w, const char *title, int width, int height) {
    fit_display(&width, &height);
    if (width < 1) width = 1;
    if (height < 1) height = 1;
    w->window = SDL_CreateWindow(title, SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, width,
                                 height, SDL_WINDOW_RESIZABLE);
    if (!w->window) return false;
    /* software: a GPU driver's threads would compete with the network for few CPUs, and a display
     * over the network may have none */
    w->renderer = SDL_CreateRenderer(w->window, -1, SDL_RENDERER_SOFTWARE);
    return w->renderer != NULL;
}

/* Starts SDL's video on the display that is named. Left to itself, SDL would choose a driver that
 * draws nowhere, or the text console, if no display answers. */
static bool start(char *message, size_t size) {
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    const bool has_x = x && *x, has_wayland = wayland && *wayland;
    SDL_SetHint(SDL_HINT_VIDEODRIVER, !has_wayland ? "x11" : has_x ? "x11,wayland" : "wayland");
    if (SDL_InitSubSystem(SDL_INIT_VIDEO) == 0) return true;
    if (has_x || has_wayland)
        snprintf(message, size, "'%s' does not answer", has_x ? x : wayland);
    else
        failed(message, size);
    return false;
}

static bool open_window(const char *title, int width, int height, void **out, char *message,
                        size_t size) {
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1"); /* Ctrl-C belongs to the program */
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    if (!start(message, size)) return false;
    sdl_window *w = calloc(1, sizeof *w);
    if (!w) {
        SDL_QuitSubSystem(SDL_INIT_VIDEO);
        snprintf(message, size, "out of memory");
        return false;
    }
    if (!create(w, title, width, height)) {
        failed(message, size); /* before closing, which may replace SDL's message */
        close_window(w);
        return false;
    }
    *out = w;
    return true;
}

static bool draw(sdl_window *w) {
    return SDL_RenderSetLogicalSize(w->renderer, w->width, w->height) == 0 &&
           SDL_SetRenderDrawColor(w->renderer, 0, 0, 0, 255) == 0 &&
           SDL_RenderClear(w->renderer) == 0 &&
           SDL_RenderCopy(w->renderer, w->texture, NULL, NULL) == 0;
}

static bool show(void *state, const uint8_t *pixels, int width, int height, char *message,
                 size_t size) {
    sdl_window *w = state;
    if (!w->texture || w->width != width || w->height != height) {
        if (w->texture) SDL_DestroyTexture(w->texture);
        w->texture = SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_RGB24,
                                       SDL_TEXTUREACCESS_STREAMING, width, height);
        if (!w->texture) return failed(message, size);
        w->width = width;
        w->height = height;
    }
    if (SDL_UpdateTexture(w->texture, NULL, pixels, 3 * width) != 0 || !draw(w))
        return failed(message, size);
    SDL_RenderPresent(w->renderer);
    return true;
}

static int key(void *state) {
    sdl_window *w = state;
    SDL_Event event;
    while (SDL_PollEvent(&event)) {
        if (event.type == SDL_QUIT) return 'q';
        if (event.type == SDL_KEYDOWN && !event.key.repeat) {
            const SDL_Keycode code = event.key.keysym.sym; /* letters are in lower case */
            if (code > 0 && code < 128) return code;
        }
        if (event.type == SDL_WINDOWEVENT && w->texture &&
            (event.window.event == SDL_WINDOWEVENT_EXPOSED ||
             event.window.event == SDL_WINDOWEVENT_SIZE_CHANGED) &&
            draw(w))
            SDL_RenderPresent(w->renderer); /* also while no new picture comes */
    }
    return 0;
}

__attribute__((visibility("default"))) extern const mien_window_module mien_module_table;
const mien_window_module mien_module_table = {
    {MIEN_WINDOW_VERSION, "mien-window"}, open_window, show, key, close_window};
