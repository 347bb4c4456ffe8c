/* Short training runs against Keras in double: train_sgd, train_adam, train_bn and
 * train_frozen. */
#ifndef TESTS_GOLDEN_GOLDEN_TRAIN_H
#define TESTS_GOLDEN_GOLDEN_TRAIN_H

#include "tests/support/golden.h"

/* 20 steps; all weights within `bound` of their norms, all losses within `bound`. */
void golden_train_sgd(mien_backend *backend, bool nesterov, double bound);
/* Each of 20 Adam steps from the reference's weights and moments: `bound` of the weights' norm, and
 * the step itself within 1 % (a wrong bias correction or epsilon moves it more). */
void golden_train_adam_steps(mien_backend *backend, double bound);
/* 20 free steps: at most three times as far from double as PyTorch's float32. */
void golden_train_adam_free(mien_backend *backend);
/* 5 free steps with decoupled decay. */
void golden_train_adamw(mien_backend *backend, double bound);
/* 3 steps with batch normalisation; then running statistics and probabilities. */
void golden_train_bn(mien_backend *backend, double bound);
/* 3 steps with frozen layers below and between. */
void golden_train_frozen(mien_backend *backend, double bound);

#endif
