#include "host/track/assign.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* The Hungarian method after Jonker and Volgenant. A cost is the negated score. Column 0 is where
 * a search starts; columns after the real ones cost nothing and stand for "no partner". */
typedef struct search {
    const float *score;
    int rows, columns, width; /* width: real columns and those for no partner, + 1 */
    double *row_price, *price, *distance;
    int *row_of, *from; /* [width]; row + 1, 0: free */
    bool *done;
} search;

size_t mien_assign_workspace(int rows, int columns) {
    const size_t width = (size_t)rows + (size_t)columns + 1;
    return ((size_t)rows + 1 + 2 * width) * sizeof(double) + 2 * width * sizeof(int) +
           width * sizeof(bool);
}

static search start(const float *score, int rows, int columns, void *workspace) {
    search s = {.score = score, .rows = rows, .columns = columns, .width = rows + columns + 1};
    const size_t width = (size_t)s.width;
    memset(workspace, 0, mien_assign_workspace(rows, columns));
    s.row_price = workspace;
    s.price = s.row_price + rows + 1;
    s.distance = s.price + width;
    s.row_of = (int *)(s.distance + width);
    s.from = s.row_of + width;
    s.done = (bool *)(s.from + width);
    return s;
}

static double cost(const search *s, int row, int column) {
    if (column > s->columns) return 0;
    const float score = s->score[(size_t)(row - 1) * (size_t)s->columns + (size_t)(column - 1)];
    return score > 0 ? -(double)score : 0;
}

/* Finds the cheapest path from `row` to a free column and returns that column. */
static int shortest_path(search *s, int row) {
    for (int j = 0; j < s->width; j++) {
        s->distance[j] = HUGE_VAL;
        s->done[j] = false;
    }
    s->row_of[0] = row;
    int column = 0;
    do {
        s->done[column] = true;
        const int here = s->row_of[column];
        double step = HUGE_VAL;
        int next = 0;
        for (int j = 1; j < s->width; j++) {
            if (s->done[j]) continue;
            const double reduced = cost(s, here, j) - s->row_price[here] - s->price[j];
            if (reduced < s->distance[j]) {
                s->distance[j] = reduced;
                s->from[j] = column;
            }
            if (s->distance[j] < step) {
                step = s->distance[j];
                next = j;
            }
        }
        for (int j = 0; j < s->width; j++) {
            if (s->done[j]) {
                s->row_price[s->row_of[j]] += step;
                s->price[j] -= step;
            } else {
                s->distance[j] -= step;
            }
        }
        column = next;
    } while (s->row_of[column] != 0);
    return column;
}

void mien_assign(const float *score, int rows, int columns, void *workspace, int *match) {
    search s = start(score, rows, columns, workspace);
    for (int row = 1; row <= rows; row++) {
        match[row - 1] = -1;
        const float *const line = score + (size_t)(row - 1) * (size_t)columns;
        int hopes = 0;
        for (int j = 0; j < columns; j++)
            hopes += line[j] > 0;
        if (hopes == 0) continue;
        for (int column = shortest_path(&s, row); column != 0; column = s.from[column])
            s.row_of[column] = s.row_of[s.from[column]];
    }
    for (int j = 1; j <= columns; j++) {
        const int row = s.row_of[j];
        if (row != 0 && cost(&s, row, j) < 0) match[row - 1] = j - 1;
    }
}
