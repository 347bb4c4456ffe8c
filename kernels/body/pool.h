/* Pooling windows: where a window starts and ends inside the image. Padding of `same` follows
 * Keras: the odd pixel goes to the bottom and right; average pooling does not count padding. */
#ifndef KERNELS_BODY_POOL_H
#define KERNELS_BODY_POOL_H

#include "kernels/body/body.h"

typedef struct body_window {
    int h0, h1, w0, w1; /* half-open, clipped to the image */
} body_window;

MIEN_BODY body_window body_pool_window(int oh, int ow, int kh, int kw, int sh, int sw, int pad_top,
                                       int pad_left, int h, int w) {
    body_window win;
    const int top = oh * sh - pad_top, left = ow * sw - pad_left;
    win.h0 = top < 0 ? 0 : top;
    win.w0 = left < 0 ? 0 : left;
    win.h1 = top + kh > h ? h : top + kh;
    win.w1 = left + kw > w ? w : left + kw;
    return win;
}

/* Whether a candidate replaces the maximum so far. A NaN wins and stays, so that it propagates. */
MIEN_BODY int body_pool_beats(real candidate, real best) {
    return candidate > best || (candidate != candidate && best == best);
}

MIEN_BODY real body_pool_inverse_area(body_window win) {
    return 1 / (real)((win.h1 - win.h0) * (win.w1 - win.w0));
}

#endif
