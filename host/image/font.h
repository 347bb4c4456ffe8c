/* The font of draw.c, as strokes. */
#ifndef HOST_IMAGE_FONT_H
#define HOST_IMAGE_FONT_H

/* Strokes on a grid with hexadecimal coordinates, x to the right, y downwards: capitals extend from
 * 1 to a (the baseline), small letters from 4, descenders to d. Mxy lifts the pen and moves to (x,
 * y), Lxy draws a line, Qijxy a curve with the control point (i, j). */
typedef struct mien_glyph {
    int width; /* of the strokes; letters are MIEN_GLYPH_GAP apart */
    const char *strokes;
} mien_glyph;

enum { MIEN_GLYPH_GAP = 3, MIEN_GLYPH_LINE = 16 /* height of a line in these units */ };

/* The glyph of a code point. A Latin letter with a diacritic has its base letter's (ü: u), a
 * character that the font lacks a box. */
const mien_glyph *mien_glyph_of(unsigned code);

#endif
