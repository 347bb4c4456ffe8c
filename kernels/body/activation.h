/* Activations, as Keras defines them, and their derivatives. */
#ifndef KERNELS_BODY_ACTIVATION_H
#define KERNELS_BODY_ACTIVATION_H

#include "kernels/body/elementary.h"

/* id, Keras name, whether the derivative follows from the output alone */
#define BODY_ACTIVATIONS(X)                                                                        \
    X(LINEAR, linear, 1)                                                                           \
    X(RELU, relu, 1)                                                                               \
    X(RELU6, relu6, 1)                                                                             \
    X(LEAKY_RELU, leaky_relu, 1)                                                                   \
    X(ELU, elu, 1)                                                                                 \
    X(SELU, selu, 1)                                                                               \
    X(GELU, gelu, 0)                                                                               \
    X(SIGMOID, sigmoid, 1)                                                                         \
    X(HARD_SIGMOID, hard_sigmoid, 1)                                                               \
    X(SWISH, swish, 0)                                                                             \
    X(TANH, tanh, 1)                                                                               \
    X(SOFTMAX, softmax, 1)

enum body_activation {
#define BODY_ACTIVATION_ENUM(id, name, from_output) BODY_##id,
    BODY_ACTIVATIONS(BODY_ACTIVATION_ENUM)
#undef BODY_ACTIVATION_ENUM
};

/* Keras's defaults: alpha of ELU 1; slope of leaky_relu, if named as an activation, 0.2. SELU's two
 * constants are those of Klambauer et al. 2017. */
#define BODY_SELU_SCALE ((real)1.0507009873554805)
#define BODY_SELU_ALPHA ((real)1.6732632423543772)

MIEN_BODY real body_sigmoid(real x) {
    const real e = m_exp(-M_FABS(x)); /* never overflows */
    const real p = 1 / (1 + e);
    return x >= 0 ? p : e * p;
}

MIEN_BODY real body_tanh(real x) {
    const real a = M_FABS(x), z = x * x;
    const real e = m_exp(-2 * a);
    const real far = (1 - e) / (1 + e);
    /* near zero 1 - e cancels: odd Taylor series to x^7, below 3e-8 relative for |x| < 0.1 */
    real p = (real)(-17.0 / 315.0);
    p = M_FMA(p, z, (real)(2.0 / 15.0));
    p = M_FMA(p, z, (real)(-1.0 / 3.0));
    const real near = M_FMA(a * z, p, a);
    const real y = sizeof(real) == 4 && a < (real)0.1 ? near : far;
    return x < 0 ? -y : y;
}

/* y = act(x); `alpha` is the slope of leaky_relu and the scale of elu. A NaN stays a NaN. */
MIEN_BODY real body_activate(real x, int act, real alpha) {
    switch (act) {
    case BODY_RELU:
        return x < 0 ? 0 : x;
    case BODY_RELU6:
        return x < 0 ? 0 : (x > 6 ? 6 : x);
    case BODY_LEAKY_RELU:
        return x < 0 ? alpha * x : x;
    case BODY_ELU:
        return x < 0 ? alpha * (m_exp(x) - 1) : x;
    case BODY_SELU:
        return BODY_SELU_SCALE * (x < 0 ? BODY_SELU_ALPHA * (m_exp(x) - 1) : x);
    case BODY_GELU:
        return (real)0.5 * x * (1 + m_erf(x * (real)0.70710678118654752));
    case BODY_SIGMOID:
        return body_sigmoid(x);
    case BODY_HARD_SIGMOID:
        return body_max(0, body_min(1, M_FMA(x, (real)(1.0 / 6.0), (real)0.5)));
    case BODY_SWISH:
        return x * body_sigmoid(x);
    case BODY_TANH:
        return body_tanh(x);
    default:
        return x;
    }
}

/* d act / dx, from the output y alone where the table above says so; else from the input x. Where
 * the function has a kink, the value is Keras's. */
MIEN_BODY real body_activation_slope(real x, real y, int act, real alpha) {
    switch (act) {
    case BODY_RELU:
        return y > 0 ? 1 : 0;
    case BODY_RELU6:
        return y > 0 && y < 6 ? 1 : 0;
    case BODY_LEAKY_RELU:
        return y > 0 ? 1 : alpha;
    case BODY_ELU:
        return y > 0 ? 1 : y + alpha;
    case BODY_SELU:
        return y < 0 ? y + BODY_SELU_SCALE * BODY_SELU_ALPHA : BODY_SELU_SCALE;
    case BODY_GELU: {
        const real cdf = (real)0.5 * (1 + m_erf(x * (real)0.70710678118654752));
        const real pdf = (real)0.39894228040143268 * m_exp((real)-0.5 * x * x);
        return M_FMA(x, pdf, cdf);
    }
    case BODY_SIGMOID:
        return y * (1 - y);
    case BODY_HARD_SIGMOID:
        return y > 0 && y < 1 ? (real)(1.0 / 6.0) : 0;
    case BODY_SWISH: {
        const real s = body_sigmoid(x);
        return M_FMA(x * s, 1 - s, s);
    }
    case BODY_TANH:
        return 1 - y * y;
    default:
        return 1;
    }
}

#endif
