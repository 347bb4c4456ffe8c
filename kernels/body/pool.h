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

/* Bytes of an element of max pooling's index: the position of the maximum in its clipped window, or
 * the type's largest number where no gradient goes back. That number is why one byte is enough for
 * 255 positions, not for the 256 of a window of 16x16. */
MIEN_BODY int body_pool_index_bytes(int kernel_h, int kernel_w) {
    return kernel_h * kernel_w <= UINT8_MAX ? 1 : 2;
}

/* Whether a candidate replaces the maximum so far. A NaN wins and stays, so that it propagates. */
MIEN_BODY int body_pool_beats(real candidate, real best) {
    return candidate > best || (candidate != candidate && best == best);
}

MIEN_BODY real body_pool_inverse_area(body_window win) {
    return 1 / (real)((win.h1 - win.h0) * (win.w1 - win.w0));
}

#endif
