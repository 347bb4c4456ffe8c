/* A window that shows pictures and reports keys, by SDL2 in mien-window.so, which is loaded on
 * first use. */
#ifndef HOST_WINDOW_WINDOW_H
#define HOST_WINDOW_WINDOW_H

#include "host/image/image.h"

typedef struct mien_window mien_window;
/* UNSUPPORTED: no window can be opened, because there is no display or no mien-window.so. That a
 * display is named but does not answer, only mien_window_open finds out. */
mien_status mien_window_check(void);
/* Opens a resizable window for pictures of this size; it keeps their aspect ratio. UNSUPPORTED: no
 * mien-window.so, or no display, with what to do instead. */
mien_status mien_window_open(const char *title, int width, int height, mien_window **out);
/* Shows an RGB picture of any size. */
mien_status mien_window_show(mien_window *window, const mien_image *colour);
/* The next key that was pressed, in lower case (27: Escape; 'q' also when the window was closed);
 * 0: none. Does not wait. */
int mien_window_key(mien_window *window);
void mien_window_close(mien_window *window);

#endif
