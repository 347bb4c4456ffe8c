/* Where numbers go that are only moved: boxes laid into other images, axes exchanged. */
#ifndef KERNELS_BODY_COPY_BOX_H
#define KERNELS_BODY_COPY_BOX_H

#include "kernels/body/body.h"

/* A box of h x w places and c channels, where it begins in what is written and in what is read. */
typedef struct body_box {
    int h, w, c;
    int dst_h, dst_w, dst_c;
    int src_h, src_w, src_c;
} body_box;

/* Axis i (0 height, 1 width, 2 channels) of what is written is axis from[i] of what is read. */
typedef struct body_axes {
    int from[3];
} body_axes;

/* The place and channel of x that lie at (h, w, c) of the permuted tensor. */
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
