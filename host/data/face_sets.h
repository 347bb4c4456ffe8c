/* What is known about published sets of faces: their class names, and the subjects that file names
 * tell. */
#ifndef HOST_DATA_FACE_SETS_H
#define HOST_DATA_FACE_SETS_H

#include <stdbool.h>

#include "host/data/pictures.h"

enum { RAFDB_CLASSES = 7, AFFECTNET_CLASSES = 8 };

extern const char *const rafdb_names[RAFDB_CLASSES];         /* of labels 1 to 7 */
extern const char *const affectnet_names[AFFECTNET_CLASSES]; /* of labels 0 to 7 */

/* Class folders 0 to 7 are AffectNet's unless the files are called as in CK+, 1 to 7 with files
 * called …_aligned RAF-DB's: replaces the sorted names and says so; others stay. */
void face_sets_translate(const pictures *list, const char **names, int count);
/* When every file is called as in CK+ (S010_004_00000017.png: subject, sequence, frame), its
 * subject becomes its group. */
bool face_sets_subjects(pictures *list);

#endif
