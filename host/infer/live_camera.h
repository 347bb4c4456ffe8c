/* The newest frame of a camera: a thread reads frames as they come, and who asks gets the last one;
 * frames that nobody asked for in time are skipped. A file is played at its own rate. */
#ifndef HOST_INFER_LIVE_CAMERA_H
#define HOST_INFER_LIVE_CAMERA_H

#include "host/video/video.h"

typedef struct live_camera live_camera;
typedef enum live_event {
    LIVE_FRAME,   /* there is a frame that was not given before */
    LIVE_WAITING, /* there was none in that time */
    LIVE_END      /* the last frame was given; the status says why */
} live_event;

/* Starts reading. `source` is moved: it is empty afterwards, and live_camera_close closes it. */
mien_status live_camera_open(mien_frames *source, live_camera **out);
/* Waits at most `seconds` for a frame. It is valid until the next call; *arrived is when it came
 * (mien_seconds). */
mien_status live_camera_next(live_camera *camera, double seconds, live_event *event,
                             const mien_frame **frame, double *arrived);
/* Frames that came so far, those skipped included. */
long long live_camera_count(live_camera *camera);
/* Ends the thread. A driver that hangs does not return from its call: then the thread is left
 * behind, and closes the source if it ever returns. NULL is allowed. */
void live_camera_close(live_camera *camera);

#endif
