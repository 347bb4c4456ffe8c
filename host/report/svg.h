/* What all charts share: SVG with one palette and one set of classes. Inside a page the colours are
 * variables of its style sheet, which follow light and dark mode; a file brings its own. */
#ifndef HOST_REPORT_SVG_H
#define HOST_REPORT_SVG_H

#include "host/base/text.h"

/* Colours that people with any colour vision tell apart (Okabe and Ito, "Color universal design",
 * the yellow darkened), with variants for dark paper. */
enum { MIEN_COLORS = 8 };

/* A page's charts have unique class names; these are: line k0…k7, fill f0…f7, grid, axis, guide,
 * heat, whisker, text .title .on. */
typedef enum mien_svg_kind { MIEN_SVG_INLINE, MIEN_SVG_FILE } mien_svg_kind;

/* Appends text with the HTML characters & < > " ' escaped and control characters replaced by '?'.
 */
void mien_html_escape(mien_text *out, const char *text);
/* The same for a name of at most `most` letters; the middle of a longer one becomes "…". */
void mien_html_name(mien_text *out, const char *name, int most);

/* The begin of a chart of this size, with a name for those who cannot see it. */
void mien_svg_open(mien_text *out, mien_svg_kind kind, int width, int height, const char *label);
void mien_svg_close(mien_text *out);
/* One text; `anchor` is start, middle or end, `class` may be "". */
void mien_svg_label(mien_text *out, double x, double y, const char *anchor, const char *class,
                    const char *text);

/* For a page's style sheet: the variables of light or dark mode, and the classes. */
void mien_svg_variables(mien_text *out, bool dark);
void mien_svg_classes(mien_text *out);
/* About how wide a text is at the size of labels, in pixels. */
double mien_svg_text_width(const char *text);

#endif
