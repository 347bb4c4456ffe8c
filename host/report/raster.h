/* SVG as pixels, by librsvg, which is loaded on first use. */
#ifndef HOST_REPORT_RASTER_H
#define HOST_REPORT_RASTER_H

#include "host/base/text.h"

/* Writes the SVG file in `svg` as a PNG of `scale` times its size, on white. UNSUPPORTED, naming
 * the Debian package, if librsvg is not installed. */
mien_status mien_svg_write_png(const mien_text *svg, double scale, const char *path);

#endif
