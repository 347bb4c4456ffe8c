/* What the folders of a tree mean: parts and classes. */
#ifndef HOST_DATA_FOLDER_LAYOUT_H
#define HOST_DATA_FOLDER_LAYOUT_H

#include "host/data/dataset.h"
#include "host/data/folder_tree.h"

typedef struct layout_part {
    size_t folder;
    int usage; /* MIEN_NO_PART if the source has no parts */
} layout_part;

typedef struct layout_class {
    char name[MIEN_CLASS_NAME];
    size_t folder[MIEN_PARTS]; /* by the index of the part; 0: the part has no such folder */
} layout_class;

typedef struct folder_layout {
    size_t root; /* the folder of the parts or classes: the source or one below it */
    layout_part parts[MIEN_PARTS];
    int part_count;
    layout_class *classes; /* [class_count] sorted by name */
    int class_count;
    size_t ignored; /* pictures and folders outside the layout */
} folder_layout;

/* Finds the parts. Folders that only hold another one are passed through. */
mien_status layout_find_parts(const char *source, const folder_tree *tree, folder_layout *layout);
/* Finds the classes of all parts; names that differ by case or by synonym are one class. A class
 * that a part lacks is most often a wrong name: an error, unless bad data is to be skipped: then
 * the classes of all parts are left. A class that `rules` (or NULL) leave out may lack a part, and
 * so may one that they merge with a class of that part. */
mien_status layout_find_classes(const char *source, const folder_tree *tree,
                                const mien_on_bad *on_bad, const mien_label_rules *rules,
                                folder_layout *layout);
void layout_release(folder_layout *layout);

#endif
