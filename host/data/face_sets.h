/* Facts about published sets of faces: their class names, and the subjects in their file names. */
#ifndef HOST_DATA_FACE_SETS_H
#define HOST_DATA_FACE_SETS_H

#include <stdbool.h>

#include "host/data/pictures.h"

enum { RAFDB_CLASSES = 7, AFFECTNET_CLASSES = 8 };

extern const char *const rafdb_names[RAFDB_CLASSES];         /* of labels 1 to 7 */
extern const char *const affectnet_names[AFFECTNET_CLASSES]; /* of labels 0 to 7 */

/* Recognises numbered class folders: 0 to 7 are AffectNet's if the files are named as in it (a
 * number that occurs once, a hash, image0000001), 1 to 7 are RAF-DB's if they are named …_aligned.
 * Replaces the sorted names and warns of it with the whole mapping; other names stay. */
void face_sets_translate(const pictures *list, const char *source, const char **names, int count);
/* Reads a name as KDEF (AF01ANS.jpg) or JAFFE (KA.AN1.39.tiff) make them: the emotion and the
 * person. NULL: it is neither. */
const char *face_sets_emotion(const char *name, uint32_t *person);
/* If every file is named as in CK+ (S010_004_00000017.png: subject, sequence, frame), KDEF or
 * JAFFE, makes the subject its group and returns true. */
bool face_sets_subjects(pictures *list);

#endif
