/* Is a difference in accuracy more than chance? See also mien_mcnemar_test. */
#ifndef HOST_EVAL_SIGNIFICANCE_H
#define HOST_EVAL_SIGNIFICANCE_H

#include "host/eval/analysis.h"

/* Wilson's 95 % interval of a share of n; NaN for n = 0. */
mien_interval mien_wilson(size_t hits, size_t n);
/* The two-sided p of the two-proportion z-test, pooled: 1 where all or none hit; NaN where one has
 * no rows. */
double mien_two_proportions(size_t hits_a, size_t a, size_t hits_b, size_t b);

#endif
