/* Indices of operations that only move data: copying a box, permuting axes. */
#ifndef KERNELS_BODY_COPY_BOX_H
#define KERNELS_BODY_COPY_BOX_H

#include "kernels/body/body.h"

/* A box of h x w pixels and c channels, with its origin in the destination and in the source. */
typedef struct body_box {
    int h, w, c;
    int dst_h, dst_w, dst_c;
    int src_h, src_w, src_c;
} body_box;

/* Axis i (0 height, 1 width, 2 channels) of the result is axis from[i] of the input. */
typedef struct body_axes {
    int from[3];
} body_axes;

/* The position and channel of x that element (h, w, c) of the permuted tensor comes from. */
MIEN_BODY void body_permuted(body_axes a, int h, int w, int c, int *xh, int *xw, int *xc) {
    int at[3];
    at[a.from[0]] = h;
    at[a.from[1]] = w;
    at[a.from[2]] = c;
    *xh = at[0];
    *xw = at[1];
    *xc = at[2];
}

#endif
