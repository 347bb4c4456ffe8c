/* The window of mien realtime and mien video --show: annotated frames, a line of status, keys. */
#ifndef HOST_CLI_VIDEO_SCREEN_H
#define HOST_CLI_VIDEO_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "host/window/window.h"

typedef struct video_screen {
    const char *folder; /* where pictures are saved */
    mien_window *window;
    const mien_image *picture; /* the annotated frame; borrowed */
    mien_image shown;          /* the same with the line of status */
    size_t shown_capacity;
    char status[80];
    bool paused, help;
    bool quit;      /* by its key or by closing the window */
    char note[128]; /* such as the name of a saved picture */
    double note_until;
} video_screen;

/* UNSUPPORTED: there is no display, or this build has no windows. */
mien_status video_screen_open(video_screen *screen, const char *title, int width, int height);
/* Shows the picture, handles keys, and waits while paused. The picture must stay valid until the
 * next call. INTERRUPTED, and `quit`: the window was closed. */
mien_status video_screen_show(video_screen *screen, const mien_image *picture, const char *status);
/* Handles keys while no frame comes. */
mien_status video_screen_idle(video_screen *screen);
void video_screen_close(video_screen *screen);

#endif
