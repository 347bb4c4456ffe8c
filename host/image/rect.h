/* Rectangles of pixels, such as the boxes of faces. */
#ifndef HOST_IMAGE_RECT_H
#define HOST_IMAGE_RECT_H

/* In pixels, from the upper left corner. */
typedef struct mien_rect {
    int x, y, width, height;
} mien_rect;

/* Pixels that both cover. */
double mien_rect_common(mien_rect a, mien_rect b);
/* These as a share of the pixels that either covers (intersection over union), 0 to 1. */
double mien_rect_overlap(mien_rect a, mien_rect b);
/* The part of a box that is inside a picture of this size; at least one pixel. */
mien_rect mien_rect_inside(mien_rect box, int width, int height);
/* The part of a picture that a box covers after the picture was scaled from one size to another; at
 * least one pixel. */
mien_rect mien_rect_scale(mien_rect box, int from_width, int from_height, int width, int height);

#endif
