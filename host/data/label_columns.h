/* The first line of a table of labels, and the classes of its labels. */
#ifndef HOST_DATA_LABEL_COLUMNS_H
#define HOST_DATA_LABEL_COLUMNS_H

#include "host/data/class_words.h"
#include "host/data/records.h"

typedef struct label_columns {
    int file, label, usage; /* usage: -1 if absent */
    int box[4];             /* x, y, width, height; box[0]: -1 if absent */
    bool corners;           /* the box is given by two corners */
    bool affectnet;         /* AffectNet's own table: its labels have names */
} label_columns;

/* Whether the file begins with the names of a column of files and one of labels. */
bool label_columns_peek(const char *path);
/* Reads the first record and sets the separator. */
mien_status label_columns_read(mien_records *csv, label_columns *columns);
/* Names the classes of the labels of the pictures listed in set->reader, which are indices of
 * `words`: by classes.txt in the folder for numbers, else by the words. */
mien_status label_classes_name(mien_dataset *set, class_words *words, const char *folder,
                               bool affectnet);

#endif
