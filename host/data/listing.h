/* What a folder holds, in the order of the names' bytes: what is read from it must not depend on
 * the file system's own order. */
#ifndef HOST_DATA_LISTING_H
#define HOST_DATA_LISTING_H

#include <stdbool.h>

#include "host/base/text.h"

typedef struct listing {
    char **names; /* [count] sorted; their bytes lie in `text` */
    size_t count;
    size_t ignored; /* entries of the folder that were not asked for */
    mien_text text;
} listing;

/* The sub folders of a folder, or its other files whose suffix is that of a picture. Hidden ones
 * are among the ignored. Release it also after a failure. */
mien_status listing_folders(const char *path, listing *out);
mien_status listing_pictures(const char *path, listing *out);
void listing_release(listing *list);
/* jpg jpeg png bmp pgm ppm, in any case. */
bool listing_is_picture(const char *name);

#endif
