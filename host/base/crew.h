/* Work cut into slices that threads take one by one. A thread that the system does not let run
 * takes fewer: the others wait for it only while it holds a slice, and do that again themselves
 * where the work allows it (mien_crew_run_parts).
 *
 *     mien_crew_create(threads, &crew);
 *     mien_crew_run(crew, 8, work, context);      work(context, 0..7, thread)
 *
 * Inside `work` OpenMP regions, oneDNN's among them, have a team of one thread. */
#ifndef HOST_BASE_CREW_H
#define HOST_BASE_CREW_H

#include <stdbool.h>

#include "host/base/status.h"

typedef struct mien_crew mien_crew;
/* Does slice `slice`; `thread`, from 0 on, is the same for no two calls at the same time. */
typedef mien_status (*mien_crew_work)(void *context, int slice, int thread);

enum { MIEN_CREW_SLICES = 1 << 20 };

/* Starts `threads` - 1 threads, which sleep until there is work; the caller of mien_crew_run is the
 * remaining one. */
mien_status mien_crew_create(int threads, mien_crew **out);
/* Waits for running slices. NULL is ignored. */
void mien_crew_free(mien_crew *crew);

/* Calls `work` once for every slice below `slices` (at most MIEN_CREW_SLICES), in order of
 * starting; returns when all have returned. After a failure the slices that have not begun are left
 * out, and the first failure is returned with its message. Not from two threads at a time. */
mien_status mien_crew_run(mien_crew *crew, int slices, mien_crew_work work, void *context);

/* A slice in three parts, of which a second thread may do the first two again: while the thread
 * that took the slice is not let run, another takes it over, and only that one gives. */
typedef struct mien_crew_parts {
    mien_crew_work take; /* reads what belongs to the caller, into memory of `thread` */
    /* uses only memory of `thread` and what stays as it is until mien_crew_settle: it may still run
     * when the round is over */
    mien_status (*work)(void *lanes, int thread);
    mien_crew_work give; /* writes what belongs to the caller */
    void *lanes;         /* for `work` */
} mien_crew_parts;

/* As mien_crew_run. `take` and `work` must do the same for a slice each time. */
mien_status mien_crew_run_parts(mien_crew *crew, int slices, const mien_crew_parts *parts,
                                void *context);
/* Inside `work` of a slice: has another thread taken it over? What `work` does then has no use. */
bool mien_crew_overtaken(void);
/* Waits until no thread works on a slice that was taken from it. NULL is ignored. */
void mien_crew_settle(mien_crew *crew);

/* What mien_crew_lead changed. */
typedef struct mien_crew_post {
    mien_crew *crew;
    int team;
} mien_crew_post;

/* From here to mien_crew_leave the calling thread does its loops by mien_each with `crew`, and its
 * OpenMP regions have a team of one: OpenMP's own threads wait by spinning, and would take a CPU
 * from the crew. NULL: nothing changes. */
mien_crew_post mien_crew_lead(mien_crew *crew);
void mien_crew_leave(mien_crew_post saved);
/* Calls `work` for every index below `count` (at most MIEN_CREW_SLICES), in any order, by the crew
 * that the calling thread leads, else by its OpenMP team. Inside `work` OpenMP teams have one
 * thread.
 */
void mien_each(int count, void (*work)(void *context, int index), void *context);

#endif
