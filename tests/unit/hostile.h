/* Hand-made hostile model files: how each is made from a good one. Every one must be refused. */
#ifndef TESTS_UNIT_HOSTILE_H
#define TESTS_UNIT_HOSTILE_H

#include <stddef.h>

/* A text in which the first `from` becomes `to`; NULL for `from`: all of it. */
typedef struct hostile_edit {
    const char *from, *to;
} hostile_edit;

/* Of the architecture of tests/golden/keras/weights_only.json, given with --architecture. */
extern const hostile_edit hostile_json[];
extern const size_t hostile_json_count;

/* Of the header of the container that mien-h5 makes of k2_sequential.h5, written as HDF5 again. `~`
 * is a quotation mark inside an attribute that holds JSON as a string, `` ` `` one inside a list.
 */
extern const hostile_edit hostile_h5[];
extern const size_t hostile_h5_count;

/* Bytes of an HDF5 file: `value` at `at`, which counts from the end if it is negative; width 0: cut
 * there. */
typedef struct hostile_patch {
    long at;
    int width;
    unsigned long long value;
} hostile_patch;
extern const hostile_patch hostile_h5_bytes[];
extern const size_t hostile_h5_bytes_count;

/* Of a .keras archive with metadata.json, config.json and model.weights.h5: `at` is relative to a
 * part of it. */
typedef enum hostile_part {
    HOSTILE_LOCAL,   /* the local header of the weights */
    HOSTILE_CENTRAL, /* their entry in the table */
    HOSTILE_END      /* the end record */
} hostile_part;
typedef struct hostile_zip_patch {
    hostile_part part;
    hostile_patch patch;
} hostile_zip_patch;
extern const hostile_zip_patch hostile_zip[];
extern const size_t hostile_zip_count;

/* Other members: names and contents; NULL: the good one's content, absent: the member is left out.
 */
typedef struct hostile_archive {
    const char *config_name, *config, *weights_name, *weights;
} hostile_archive;
extern const hostile_archive hostile_archives[];
extern const size_t hostile_archives_count;

/* Statements of an ONNX file, separated by semicolons:
 *   i NAME DIMS        an input of the graph, dimensions separated by commas, ? for an unknown one
 *   o NAME             an output
 *   w NAME DIMS COUNT  a weight of COUNT floats (no COUNT: as many as DIMS say)
 *   e NAME DIMS FILE OFFSET LENGTH  one whose data is in another file
 *   n OP IN,IN OUT,OUT KEY=INTEGERS KEY=…  a node
 *   v IR OPSET         the file's versions */
extern const char *const hostile_onnx[];
extern const size_t hostile_onnx_count;

#endif
