/* Parses one line of a csv of faces: label, part and pixels. Pure functions of the line, so that
 * any thread may parse any line. */
#ifndef HOST_DATA_CSV_ROWS_H
#define HOST_DATA_CSV_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* FER2013 has seven classes; label 7 of files made like it (ckextended.csv) is contempt. */
enum { CSV_SIDE_MAX = 1024, CSV_CLASSES = 7, CSV_CLASSES_MAX = 8 };

extern const char *const csv_class_names[CSV_CLASSES_MAX];

typedef struct csv_columns {
    int emotion, pixels, usage; /* -1: absent */
    char separator;
    bool words; /* the emotions are words, not numbers */
} csv_columns;

/* The separator of a table's first line: comma, semicolon or tab. */
char csv_separator(const char *line);
/* Finds the columns in the header, which is modified; false when none is called pixels. */
bool csv_read_header(char *line, csv_columns *columns);
/* What the emotion of a line is: 0 a number, 1 a word for an emotion, 2 another word, -1 absent.
 * The line is not modified. */
int csv_label_kind(const char *line, size_t length, const csv_columns *columns);

typedef struct csv_row {
    const char *problem; /* NULL: a good row; else a printf format for (a, b) */
    long long a, b;
    uint8_t *gray;    /* [side][side], in the buffer of the line */
    const char *word; /* the emotion, in the buffer of the line, where emotions are words */
    int side, label, usage;
} csv_row;

/* Parses a line in place: line[length] is set to zero and the pixels are decoded over their own
 * text. `side` is that of the previous rows, 0 for the first. */
void csv_read_row(char *line, size_t length, const csv_columns *columns, int side, csv_row *row);

#endif
