/* The letters that draw.c knows, as strokes. */
#ifndef HOST_IMAGE_FONT_H
#define HOST_IMAGE_FONT_H

/* Strokes in a grid of hexadecimal digits, x to the right, y downwards: capitals reach from 1 to a
 * (the baseline), small letters from 4, descenders to d. Mxy lifts the pen and moves to (x, y), Lxy
 * draws a line, Qijxy a curve with the control point (i, j). */
typedef struct mien_glyph {
    int width; /* of the strokes; letters stand MIEN_GLYPH_GAP apart */
    const char *strokes;
} mien_glyph;

enum { MIEN_GLYPH_GAP = 3, MIEN_GLYPH_LINE = 16 /* height of a line in these units */ };

/* The glyph of a code point, of a Latin letter with a mark its base letter's (ü: u); a box for
 * those that this font lacks. */
const mien_glyph *mien_glyph_of(unsigned code);

#endif
