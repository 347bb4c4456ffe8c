/* Golden files: results of Keras (tests/golden/README.md), read as doubles. */
#ifndef TESTS_SUPPORT_GOLDEN_H
#define TESTS_SUPPORT_GOLDEN_H

#include "host/formats/safetensors.h"
#include "tests/support/net.h"

typedef struct golden_file {
    char *bytes;
    mien_safetensors file;
} golden_file;

/* `name` without its folder; ends the test when the file cannot be read. */
void golden_open(golden_file *golden, const char *name);
void golden_close(golden_file *golden);
const mien_st_tensor *golden_find(const golden_file *golden, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* All numbers of a tensor; the caller frees them. */
double *golden_numbers(const mien_st_tensor *tensor);
const char *golden_meta(const golden_file *golden, const char *key);
/* The metadata `input` as the shape of a graph's input. */
mien_graph_io golden_input(const golden_file *golden);
/* Sets every parameter and state from "prefix/layer/param"; prefix "" for none. */
void golden_load(const golden_file *golden, const char *prefix, const test_net *net);
/* The same from "layer/param" for an inference plan, whose weights can only be set all at once. */
void golden_load_inference(const golden_file *golden, const test_net *net);

#endif
