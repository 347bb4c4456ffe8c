/* One line of a csv of faces: its fields, label, part and pixels. Pure functions of the line, so
 * that any thread may take any line. */
#ifndef HOST_DATA_CSV_ROWS_H
#define HOST_DATA_CSV_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CSV_SIDE_MAX = 1024, CSV_CLASSES = 7 };

extern const char *const csv_class_names[CSV_CLASSES];

typedef struct csv_columns {
    int emotion, pixels, usage; /* -1: absent */
} csv_columns;

/* Finds the columns in the header, in place; false when none is called pixels. */
bool csv_read_header(char *line, csv_columns *columns);

typedef struct csv_row {
    const char *problem; /* NULL: a good row; else a format for (a, b) */
    long long a, b;
    uint8_t *gray; /* [side][side], inside the line's own text */
    int side, label, usage;
} csv_row;

/* Takes a line apart, in place: line[length] is its end and becomes a zero; the pixels are decoded
 * into the text that they were written in. `side` is that of the rows before, 0 for the first. */
void csv_read_row(char *line, size_t length, const csv_columns *columns, int side, csv_row *row);

#endif
