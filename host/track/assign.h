/* The best assignment between two sets. */
#ifndef HOST_TRACK_ASSIGN_H
#define HOST_TRACK_ASSIGN_H

#include <stddef.h>

/* The size of the workspace of mien_assign, in bytes. */
size_t mien_assign_workspace(int rows, int columns);
/* Chooses pairs of rows and columns, each used at most once, with the greatest sum of
 * score[row * columns + column]. Pairs whose score is not above 0 are never chosen. match[row] is
 * the column, or -1. Shortest augmenting paths: at most rows^2 (rows + columns) operations. */
void mien_assign(const float *score, int rows, int columns, void *workspace, int *match);

#endif
