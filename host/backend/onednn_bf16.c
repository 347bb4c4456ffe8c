/* bf16 inference: which operators compute in it. They are built and run like those of f32
 * (onednn_build.c, onednn.c): oneDNN rounds x to bf16 in scratch, multiplies it by weights that are
 * stored in bf16, and adds up in f32. Activations stay in f32. */
#include "host/backend/onednn.h"

bool mien_onednn_has_bf16(void) {
    return onednn_has(dnnl_cpu_isa_avx512_core_bf16);
}

/* Winograd in f32 multiplies a quarter as often, bf16 twice as fast: where Winograd computes few
 * pixels over the image's border it is the quicker one, measured at 1 and 64 images with
 * AVX512-BF16. Not in bf16: its transforms would lose too many digits. */
static bool winograd_is_faster(const mien_backend *b, const mien_linear_desc *d) {
    static const double most_waste = 1.25;
    return !onednn_has(dnnl_cpu_isa_avx512_core_amx) && onednn_can_winograd(b, d) &&
           cpu_winograd_waste(d) <= most_waste;
}

/* Few channels, as of an image or of classes, gain nothing; and accuracy depends most on these. */
bool onednn_wants_bf16(const mien_backend *b, const mien_linear_desc *d) {
    enum { CHANNELS = 16 };
    return b->compute == MIEN_COMPUTE_BF16 && !d->training && mien_linear_groups(d) == 1 &&
           !d->transposed && d->in.c >= CHANNELS && d->out.c >= CHANNELS &&
           !winograd_is_faster(b, d);
}
