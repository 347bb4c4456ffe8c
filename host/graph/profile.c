/* Profiling by timestamps between the passes, read after the work is done. */
#include "host/graph/plan.h"

mien_status mien_plan_profile_read(mien_plan *plan) {
    double seconds[MIEN_PROFILE_TIMESTAMPS];
    mien_profile *p = plan->profile;
    if (!p || p->timestamps == 0) return MIEN_OK;
    MIEN_TRY(plan->ops->timestamps(plan->backend, seconds, p->timestamps));
    for (int i = 1; i < p->timestamps; i++)
        if (p->owner[i]) *p->owner[i] += seconds[i] - seconds[i - 1];
    p->timestamps = 0;
    return MIEN_OK;
}

mien_status mien_plan_stamp(mien_plan *plan, double *owner) {
    mien_profile *p = plan->profile;
    if (!p) return MIEN_OK;
    if (p->timestamps == MIEN_PROFILE_TIMESTAMPS) { /* full: read, then start over */
        MIEN_TRY(mien_plan_profile_read(plan));
        MIEN_TRY(mien_plan_stamp(plan, NULL));
    }
    p->owner[p->timestamps] = owner;
    return plan->ops->timestamp(plan->backend, p->timestamps++);
}
