/* The tests in h5_hostile.c, for the list in test_h5.c. */
#ifndef MIEN_TEST_H5_HOSTILE_H
#define MIEN_TEST_H5_HOSTILE_H

void test_cut_files(void **state);
void test_flipped_bytes(void **state);
void test_garbage(void **state);
void test_bad_containers(void **state);
void test_usage(void **state);
void test_sandbox(void **state);
void test_pipe_input(void **state);

#endif
