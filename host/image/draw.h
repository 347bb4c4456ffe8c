/* Drawing into pictures: rectangles, boxes, text and other pictures. Whatever lies outside the
 * picture is cut off; a gray picture takes a colour's luminance. */
#ifndef HOST_IMAGE_DRAW_H
#define HOST_IMAGE_DRAW_H

#include <stdbool.h>
#include <stddef.h>

#include "host/image/image.h"

typedef struct mien_color {
    uint8_t r, g, b;
} mien_color;

/* In pixels, from the upper left corner. */
typedef struct mien_rect {
    int x, y, width, height;
} mien_rect;

/* A picture of one colour; release it with mien_image_release. */
mien_status mien_canvas_new(int width, int height, int channels, mien_color color, mien_image *out);
void mien_draw_fill(mien_image *image, mien_rect rect, mien_color color);
/* The outline of `rect`, grown inwards by `thickness` pixels. */
void mien_draw_box(mien_image *image, mien_rect rect, int thickness, mien_color color);
/* `from` scaled to `rect`: every pixel is the mean of what it covers, so that whole multiples keep
 * the source's pixels as they are. Gray fills all channels; colour becomes its luminance. */
void mien_draw_image(mien_image *image, mien_rect rect, const mien_image *from);

/* Text: one line of UTF-8 with smooth edges, `size` pixels high (16: crisp; below 10 it is hard to
 * read), descenders included; (x, y) is its upper left corner. Latin letters
 * with marks are drawn without (ü: u); what else is not printable ASCII becomes a box a character.
 */
void mien_draw_text(mien_image *image, int x, int y, int size, mien_color color, const char *text);
/* How wide that line is, in pixels. */
int mien_text_width(const char *text, int size);
/* The same text cut so that it fits into `width` pixels, its end then "..". */
void mien_text_fit(const char *text, int size, int width, char *out, size_t capacity);

#endif
