/* Folders that are parts of the data: train, val and test, under the words people use for them. */
#ifndef HOST_DATA_FOLDER_PARTS_H
#define HOST_DATA_FOLDER_PARTS_H

enum { FOLDER_PART_NAME = 64 };

/* The part that a folder's name means in any case, or MIEN_NO_PART: train, Training, val_set, dev,
 * PublicTest, … */
int folder_part_of(const char *name);
/* The same for names that end in such a word, as FER2013Train; `prefix` becomes what comes before
 * it, in lower case. */
int folder_part_ends(const char *name, char prefix[FOLDER_PART_NAME]);

#endif
