/* Drawing into pictures: rectangles, boxes, text and other pictures. Anything outside the picture
 * is clipped; in a gray picture a colour becomes its luminance. */
#ifndef HOST_IMAGE_DRAW_H
#define HOST_IMAGE_DRAW_H

#include <stdbool.h>
#include <stddef.h>

#include "host/image/image.h"
#include "host/image/rect.h"

typedef struct mien_color {
    uint8_t r, g, b;
} mien_color;

/* A picture of one colour; release it with mien_image_release. */
mien_status mien_canvas_new(int width, int height, int channels, mien_color color, mien_image *out);
void mien_draw_fill(mien_image *image, mien_rect rect, mien_color color);
/* Mixes a `share` of the colour, 0 to 1, into the pixels. */
void mien_draw_shade(mien_image *image, mien_rect rect, mien_color color, double share);
/* The outline of `rect`, `thickness` pixels wide, drawn inwards. */
void mien_draw_box(mien_image *image, mien_rect rect, int thickness, mien_color color);
/* Draws `from` scaled to `rect`: every pixel is the mean of the source area it covers, so that
 * integer scales keep the source's pixels unchanged. Gray fills all channels; colour becomes its
 * luminance. */
void mien_draw_image(mien_image *image, mien_rect rect, const mien_image *from);

/* Draws one line of UTF-8 text with smooth edges, `size` pixels high including descenders (16:
 * crisp; below 10 it is hard to read); (x, y) is its upper left corner. Latin letters lose their
 * diacritics (ü: u); any other character that is not printable ASCII becomes a box. */
void mien_draw_text(mien_image *image, int x, int y, int size, mien_color color, const char *text);
/* The width of that line in pixels. */
int mien_text_width(const char *text, int size);
/* Copies the text to `out`, shortened to fit into `width` pixels; shortened text ends in "..". */
void mien_text_fit(const char *text, int size, int width, char *out, size_t capacity);

#endif
