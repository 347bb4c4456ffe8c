/* Default metadata. */
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/model.h"

int mien_best_class(const float *scores, int classes) {
    int best = 0;
    for (int k = 1; k < classes; k++)
        if (scores[k] > scores[best]) best = k;
    return best;
}

void mien_meta_start(mien_meta *meta) {
    *meta = (mien_meta){.resize = "area",
                        .normalise = {.scale = 1 / 255.0, .std = {1, 1, 1, 1}},
                        .crop = MIEN_CROP_DEFAULT,
                        .temperature = 1,
                        .uncertain_below = MIEN_UNCERTAIN_BELOW,
                        .split = {.by = MIEN_BY_USAGE, .seed = 1},
                        .on_bad = {.max = -1}};
}

mien_on_bad mien_meta_on_bad(const mien_meta *meta, const char *source) {
    const bool same = strcmp(source, meta->data) == 0 || mien_same_file(source, meta->data);
    return same ? meta->on_bad : (mien_on_bad){.max = -1};
}

mien_status mien_meta_default(const mien_graph *graph, const char *source, mien_meta *meta) {
    const mien_shape in = graph->nodes[0].out;
    mien_meta_start(meta);
    if (in.c < 1 || in.c > MIEN_INPUT_CHANNELS_MAX)
        return MIEN_FAIL(UNSUPPORTED,
                         "%s: the network's input has %d channels; 1 to %d are supported", source,
                         in.c, MIEN_INPUT_CHANNELS_MAX);
    if (in.h < 1 || in.h > MIEN_INPUT_SIDE_MAX || in.w < 1 || in.w > MIEN_INPUT_SIDE_MAX)
        return MIEN_FAIL(UNSUPPORTED,
                         "%s: the network's input is %dx%d; sides of 1 to %d pixels are supported",
                         source, in.h, in.w, MIEN_INPUT_SIDE_MAX);
    const int most = graph->raw ? MIEN_OUTPUTS_MAX : MIEN_CLASSES_MAX, least = graph->raw ? 1 : 2;
    if (graph->classes < least || graph->classes > most)
        return MIEN_FAIL(UNSUPPORTED, "%s: the network has %d %s; %d to %d are supported", source,
                         graph->classes, graph->raw ? "outputs" : "classes", least, most);
    meta->input = (mien_image_spec){in.h, in.w, in.c};
    MIEN_TRY(mien_new(&meta->class_names, (size_t)graph->classes, MIEN_CLASS_NAME));
    meta->classes = graph->classes;
    for (int i = 0; i < meta->classes; i++)
        snprintf(meta->class_names[i], MIEN_CLASS_NAME, graph->raw ? "output %d" : "class %d", i);
    return MIEN_OK;
}
