/* mien realtime. cmd_realtime.c parses the command line and runs the camera, realtime_screen.c is
 * the window with its keys. */
#ifndef HOST_CLI_REALTIME_H
#define HOST_CLI_REALTIME_H

#include "host/formats/model.h"
#include "host/infer/live_faces.h"
#include "host/window/window.h"

typedef struct realtime_screen {
    const mien_meta *meta;
    const char *folder;  /* where pictures are saved */
    mien_window *window; /* opened with the first frame */
    mien_image picture;  /* the frame with boxes and labels */
    mien_image shown;    /* that with the line of status */
    size_t picture_capacity, shown_capacity;
    mien_live_stats stats;
    bool paused, help, quit;
    char note[128]; /* such as the name of a saved picture */
    double note_until;
    int saved;
} realtime_screen;

/* Draws the faces into a copy of the frame, shows it, handles keys, and waits while paused.
 * UNSUPPORTED with the first frame: no window can be opened. `quit` is set by its key. */
mien_status realtime_screen_show(realtime_screen *screen, const mien_video_result *result,
                                 const mien_live_stats *stats);
/* Handles keys while no frame comes. */
mien_status realtime_screen_idle(realtime_screen *screen);
void realtime_screen_release(realtime_screen *screen);

#endif
