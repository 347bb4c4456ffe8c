/* Convolution by its definition: the reference that oneDNN, cuDNN and the gradients are tested
 * against, never used by the cpu and cuda backends. A dense layer is a 1x1 image. */
#include "kernels/cpu/cpu.h"

#include <string.h>

/* Index of the pixel that tap (r, s) of output (oh, ow) reads; -1 outside of the image. */
static ptrdiff_t tap(const cpu_conv *c, int n, int oh, int ow, int r, int s) {
    const int h = oh * c->window.stride_h - c->window.pad_top + r * c->dilation_h;
    const int w = ow * c->window.stride_w - c->window.pad_left + s * c->dilation_w;
    if (h < 0 || h >= c->ih || w < 0 || w >= c->iw) return -1;
    return (((ptrdiff_t)n * c->ih + h) * c->iw + w) * c->ic;
}

static size_t output(const cpu_conv *c, int n, int oh, int ow) {
    return (((size_t)n * (size_t)c->oh + (size_t)oh) * (size_t)c->ow + (size_t)ow) * (size_t)c->oc;
}

/* Index of the weights of tap (r, s) and input channel i; the output channel is added to it. */
static size_t weight(const cpu_conv *c, int r, int s, int i) {
    const size_t channels = (size_t)(c->ic / c->groups);
    return (((size_t)r * (size_t)c->window.kernel_w + (size_t)s) * channels +
            (size_t)i % channels) *
           (size_t)c->oc;
}

/* The output channels that read input channel i: `count` of them from the one returned on. */
static int output_channels(const cpu_conv *c, int i, int *count) {
    *count = c->oc / c->groups;
    return i / (c->ic / c->groups) * *count;
}

void CPU(conv_forward)(real *y, const real *x, const real *w, const real *b, const cpu_conv *c) {
#pragma omp parallel for collapse(2) schedule(static)
    for (int n = 0; n < c->n; n++)
        for (int oh = 0; oh < c->oh; oh++)
            for (int ow = 0; ow < c->ow; ow++) {
                real *to = y + output(c, n, oh, ow);
                for (int k = 0; k < c->oc; k++)
                    to[k] = b ? b[k] : 0;
                for (int r = 0; r < c->window.kernel_h; r++)
                    for (int s = 0; s < c->window.kernel_w; s++) {
                        const ptrdiff_t at = tap(c, n, oh, ow, r, s);
                        for (int i = 0; at >= 0 && i < c->ic; i++) {
                            int count;
                            const int first = output_channels(c, i, &count);
                            for (int k = first; k < first + count; k++)
                                to[k] = M_FMA(x[at + i], w[weight(c, r, s, i) + (size_t)k], to[k]);
                        }
                    }
            }
}

void CPU(conv_backward_data)(real *dx, const real *dy, const real *w, const cpu_conv *c,
                             bool accumulate) {
    const size_t image = (size_t)c->ih * (size_t)c->iw * (size_t)c->ic;
#pragma omp parallel for schedule(static)
    for (int n = 0; n < c->n; n++) {
        if (!accumulate) memset(dx + (size_t)n * image, 0, sizeof(real) * image);
        for (int oh = 0; oh < c->oh; oh++)
            for (int ow = 0; ow < c->ow; ow++)
                for (int r = 0; r < c->window.kernel_h; r++)
                    for (int s = 0; s < c->window.kernel_w; s++) {
                        const ptrdiff_t at = tap(c, n, oh, ow, r, s);
                        const real *from = dy + output(c, n, oh, ow);
                        for (int i = 0; at >= 0 && i < c->ic; i++) {
                            int count;
                            const int first = output_channels(c, i, &count);
                            real sum = dx[at + i];
                            for (int k = first; k < first + count; k++)
                                sum = M_FMA(from[k], w[weight(c, r, s, i) + (size_t)k], sum);
                            dx[at + i] = sum;
                        }
                    }
    }
}

void CPU(conv_backward_filter)(real *dw, real *db, const real *dy, const real *x, const cpu_conv *c,
                               bool accumulate) {
    const int taps = c->window.kernel_h * c->window.kernel_w;
    if (!accumulate)
        memset(dw, 0, sizeof(real) * (size_t)(taps * (c->ic / c->groups)) * (size_t)c->oc);
    if (db && !accumulate) memset(db, 0, sizeof(real) * (size_t)c->oc);
#pragma omp parallel for schedule(static)
    for (int t = 0; t < taps; t++)
        for (int n = 0; n < c->n; n++)
            for (int oh = 0; oh < c->oh; oh++)
                for (int ow = 0; ow < c->ow; ow++) {
                    const int r = t / c->window.kernel_w, s = t % c->window.kernel_w;
                    const ptrdiff_t at = tap(c, n, oh, ow, r, s);
                    const real *from = dy + output(c, n, oh, ow);
                    for (int i = 0; at >= 0 && i < c->ic; i++) {
                        real *to = dw + weight(c, r, s, i);
                        int count;
                        const int first = output_channels(c, i, &count);
                        for (int k = first; k < first + count; k++)
                            to[k] = M_FMA(x[at + i], from[k], to[k]);
                    }
                }
    for (size_t row = 0; db && row < (size_t)c->n * (size_t)c->oh * (size_t)c->ow; row++)
        for (int k = 0; k < c->oc; k++)
            db[k] += dy[row * (size_t)c->oc + (size_t)k];
}
