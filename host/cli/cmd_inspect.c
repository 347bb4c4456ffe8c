/* mien inspect MODEL: shows the contents of a model file. */
#include <stdio.h>

#include "host/base/json.h"
#include "host/cli/cli.h"
#include "host/cli/model_flags.h"
#include "host/formats/format.h"

/* A layer's output is that of its last node. */
static void shape_json(const mien_graph *graph, int layer, mien_json *json) {
    const mien_node *node = &graph->nodes[mien_layer_end(graph, layer) - 1];
    mien_json_open(json, "output_shape", '[');
    if (!node->flat) {
        mien_json_integer(json, NULL, node->out.h);
        mien_json_integer(json, NULL, node->out.w);
    }
    mien_json_integer(json, NULL, node->out.c);
    mien_json_close(json, ']');
}

static void numbers(mien_json *json, const char *key, const double *values, int count) {
    mien_json_open(json, key, '[');
    for (int i = 0; i < count; i++)
        mien_json_number(json, NULL, values[i]);
    mien_json_close(json, ']');
}

static bool is_int8(const mien_model *model, int layer) {
    for (int i = layer; i < mien_layer_end(&model->graph, layer); i++)
        if (model->quant.nodes && model->quant.layers[i].w_scale) return true;
    return false;
}

/* What only models of other programs have. */
static void head_json(const mien_meta *meta, mien_json *json) {
    if (meta->head != MIEN_HEAD_SOFTMAX) {
        mien_json_string(json, "head", mien_head_name(meta->head));
        mien_json_integer(json, "outputs", meta->classes);
        mien_json_open(json, "output_shape", '[');
        for (int i = 0; i < meta->output_rank; i++)
            mien_json_integer(json, NULL, meta->output_shape[i]);
        mien_json_close(json, ']');
    }
    if (!meta->unknown) return;
    mien_json_open(json, "unknown", '[');
    if (meta->unknown & MIEN_UNKNOWN_CLASSES) mien_json_string(json, NULL, "classes");
    if (meta->unknown & MIEN_UNKNOWN_PREPROCESSING) mien_json_string(json, NULL, "preprocessing");
    mien_json_close(json, ']');
}

static void head_text(const mien_meta *meta, mien_text *out) {
    if (meta->head == MIEN_HEAD_VALUES) {
        mien_text_printf(out, "\noutputs       %d numbers", meta->classes);
        for (int i = 0; i < meta->output_rank && meta->output_rank > 1; i++)
            mien_text_printf(out, "%s%d", i ? "x" : ": ", meta->output_shape[i]);
        return;
    }
    mien_text_printf(out, "\nclasses       ");
    if (meta->unknown & MIEN_UNKNOWN_CLASSES)
        mien_text_printf(out, "%d, not named in the file: give --classes", meta->classes);
    for (int i = 0; i < meta->classes && !(meta->unknown & MIEN_UNKNOWN_CLASSES); i++)
        mien_text_printf(out, "%s%s", i ? ", " : "", meta->class_names[i]);
    if (meta->head == MIEN_HEAD_LOGITS)
        mien_text_puts(out, "\nhead          logits; a softmax was added");
    if (meta->head == MIEN_HEAD_SIGMOID)
        mien_text_puts(out, "\nhead          sigmoid: a probability for each class by itself");
}

static void model_json(const mien_model *model, mien_text *out) {
    mien_json json = {.text = out, .pretty = true};
    const mien_meta *meta = &model->meta;
    const mien_graph_totals t = mien_graph_sum(&model->graph);
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "format", model->format->name);
    mien_json_string(&json, "producer", meta->producer);
    mien_json_open(&json, "layers", '[');
    for (int i = 0; i < model->graph.count; i++) {
        const mien_node *node = &model->graph.nodes[i];
        if (node->implicit) continue;
        const mien_graph_totals own = mien_layer_sum(&model->graph, i);
        mien_json_open(&json, NULL, '{');
        mien_json_string(&json, "name", node->name);
        mien_json_string(&json, "class", node->def->class_name);
        shape_json(&model->graph, i, &json);
        mien_json_integer(&json, "params", own.params);
        if (model->quant.nodes) mien_json_bool(&json, "int8", is_int8(model, i));
        mien_json_number(&json, "flops", own.flops);
        mien_json_close(&json, '}');
    }
    mien_json_close(&json, ']');
    mien_json_integer(&json, "params", t.params);
    mien_json_integer(&json, "trainable", t.trained);
    mien_json_number(&json, "flops", t.flops);
    mien_json_open(&json, "input", '{');
    mien_json_integer(&json, "height", meta->input.height);
    mien_json_integer(&json, "width", meta->input.width);
    mien_json_integer(&json, "channels", meta->input.channels);
    mien_json_close(&json, '}');
    mien_json_open(&json, "preprocessing", '{');
    mien_json_string(&json, "resize", meta->resize);
    mien_json_number(&json, "scale", meta->normalise.scale);
    numbers(&json, "mean", meta->normalise.mean, meta->input.channels);
    numbers(&json, "std", meta->normalise.std, meta->input.channels);
    mien_json_close(&json, '}');
    mien_json_open(&json, "crop", '{');
    mien_json_bool(&json, "square", meta->crop.square);
    mien_json_number(&json, "margin", meta->crop.margin);
    mien_json_close(&json, '}');
    mien_json_number(&json, "temperature", meta->temperature);
    mien_json_number(&json, "uncertain_below", meta->uncertain_below);
    mien_json_open(&json, "classes", '[');
    for (int i = 0; i < meta->classes && meta->head != MIEN_HEAD_VALUES; i++)
        mien_json_string(&json, NULL, meta->class_names[i]);
    mien_json_close(&json, ']');
    head_json(meta, &json);
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}

static void model_text(const mien_model *model, mien_text *out) {
    const mien_meta *meta = &model->meta;
    mien_graph_summary(&model->graph, out);
    head_text(meta, out);
    if (model->quant.nodes) {
        mien_text_printf(out, "\nint8         ");
        for (int i = 0; i < model->graph.count; i++)
            if (is_int8(model, i)) mien_text_printf(out, " %s", model->graph.nodes[i].name);
        mien_text_printf(out, " (%s)", model->calibration);
    }
    mien_text_printf(out, "\ninput         %dx%dx%d, ", meta->input.height, meta->input.width,
                     meta->input.channels);
    if (meta->unknown & MIEN_UNKNOWN_PREPROCESSING)
        mien_text_puts(out, "scaling not in the file: give --preprocess\n");
    else
        mien_text_printf(out, "x = (pixel * %.6g - %.6g) / %.6g\n", meta->normalise.scale,
                         meta->normalise.mean[0], meta->normalise.std[0]);
    mien_text_printf(
        out, "faces         %s the detector's box, margin %.6g; uncertain below %.6g\n",
        meta->crop.square ? "square around" : "all", meta->crop.margin, meta->uncertain_below);
    if (!meta->recipe[0] && !meta->part_count[MIEN_TRAIN]) {
        mien_text_printf(out, "made by       %s\n", meta->producer[0] ? meta->producer : "unknown");
        return;
    }
    mien_text_printf(out, "trained on    %s: %zu images (validation %zu, test %zu)\n", meta->data,
                     meta->part_count[MIEN_TRAIN], meta->part_count[MIEN_VAL],
                     meta->part_count[MIEN_TEST]);
    mien_text_printf(out, "made by       %s (%s), recipe %s, epoch %d, step %lld\n", meta->producer,
                     meta->commit, meta->recipe, meta->epoch, meta->step);
}

static int run(int argc, char **argv, const cli_command *self) {
    cli_common common = {0};
    cli_list rest = {0};
    mien_model_options options = {0};
    const cli_flag flags[] = {CLI_MODEL_FLAGS(options)};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &rest, 1, &common,
                   &exit_status))
        return exit_status;
    if (!cli_model_flags(&options, 1)) return EXIT_USAGE;
    char found[MIEN_PATH];
    mien_model model = {0};
    mien_text text = {0};
    mien_status status = cli_default_model(&rest, found);
    if (status == MIEN_OK) status = mien_model_open_with(rest.items[0], &options, &model);
    if (status == MIEN_OK) {
        if (common.json)
            model_json(&model, &text);
        else
            model_text(&model, &text);
        status = cli_print(&text);
    }
    mien_model_release(&model);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_inspect = {"inspect", "[MODEL] [--json]",
                                 "shows layers, shapes, parameters, preprocessing and provenance",
                                 "  mien inspect                     the included model\n"
                                 "  mien inspect runs/sample-1\n  mien inspect best.h5 --json\n",
                                 run};
