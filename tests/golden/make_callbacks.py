#!/usr/bin/env python3
"""Writes tests/golden/callbacks.h: what Keras's EarlyStopping and ReduceLROnPlateau decide, and the
names that its ModelCheckpoint makes of templates. Made with Keras 3.15.1 (KERAS_BACKEND=torch)."""
import itertools
import random
import types

import keras

EPOCHS = 24
OUT = "tests/golden/callbacks.h"


class Optimizer:
    def __init__(self, rate):
        self.learning_rate = keras.ops.convert_to_tensor(rate)


def model(rate=0.1):
    made = types.SimpleNamespace(stop_training=False, optimizer=Optimizer(rate), metrics=[])
    made.get_weights = lambda: []
    return made


def series(seed):
    """Values that a float holds exactly, so that Keras's comparisons in f32 are exact."""
    draw = random.Random(seed)
    return [round((2 - 0.05 * i + draw.uniform(-0.3, 0.3)) * 64) / 64 for i in range(EPOCHS)]


def early(values, **options):
    callback = keras.callbacks.EarlyStopping("val_loss", **options)
    callback.set_model(model())
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {"val_loss": value})
        if callback.model.stop_training:
            return epoch + 1
    return 0


def plateau(values, **options):
    callback = keras.callbacks.ReduceLROnPlateau("val_loss", **options)
    callback.set_model(model())
    callback.on_train_begin()
    reduced = 0
    for epoch, value in enumerate(values):
        before = float(callback.model.optimizer.learning_rate)
        callback.on_epoch_end(epoch, {"val_loss": value})
        reduced |= (float(callback.model.optimizer.learning_rate) != before) << epoch
    return reduced


def names():
    logs = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.23456789, "val_accuracy": 0.98765,
            "val_macro_f1": 1e-05, "learning_rate": 0.001}
    for text in ("model-{epoch:02d}-{val_accuracy:.4f}.h5", "{epoch}.keras", "{epoch:d}-{loss}.h5",
                 "a{{{epoch:5d}}}.h5", "{val_loss:.2e}_{val_loss:G}_{val_accuracy:.1%}.h5",
                 "{val_macro_f1}-{learning_rate:08.4f}-{val_loss:9.3f}.h5", "{epoch:03.1f}.h5",
                 "weights/{epoch:03d}/model.h5", "{val_loss}.h5"):
        callback = keras.callbacks.ModelCheckpoint(text)
        yield text, callback._get_file_path(6, None, logs)


def main():
    with open(OUT, "w") as out:
        out.write("/* Made by tests/golden/make_callbacks.py. */\n")
        out.write(f"enum {{ SERIES = 4, EPOCHS = {EPOCHS} }};\n")
        out.write("static const double series[SERIES][EPOCHS] = {\n")
        for seed in range(4):
            out.write("    {" + ", ".join(f"{v!r}" for v in series(seed)) + "},\n")
        out.write("};\n/* series, patience, start_from_epoch, mode (0 min, 1 max), min_delta, baseline"
                  " (9: none): the epoch after which it stops */\n")
        out.write("static const struct early { int series, patience, start, max; double delta, baseline; "
                  "int stop; } early[] = {\n")
        for seed, patience, start, top, delta, baseline in itertools.product(
                range(4), (0, 1, 3), (0, 5), (0, 1), (0, 0.25), (None, 1.25)):
            stop = early(series(seed), patience=patience, start_from_epoch=start,
                         mode="max" if top else "min", min_delta=delta, baseline=baseline)
            out.write(f"    {{{seed}, {patience}, {start}, {top}, {delta}, "
                      f"{9 if baseline is None else baseline}, {stop}}},\n")
        out.write("};\n/* series, patience, cooldown, mode, factor, min_lr, min_delta: bit k is set if the"
                  " rate falls after epoch k + 1 */\n")
        out.write("static const struct drops { int series, patience, cooldown, max; "
                  "double factor, min_lr, delta; unsigned drops; } drops[] = {\n")
        for seed, patience, cooldown, top, factor, low, delta in itertools.product(
                range(4), (0, 1, 2), (0, 1, 3), (0, 1), (0.5,), (0, 0.02), (0.0001, 0.125)):
            bits = plateau(series(seed), patience=patience, cooldown=cooldown, factor=factor,
                           mode="max" if top else "min", min_lr=low, min_delta=delta)
            out.write(f"    {{{seed}, {patience}, {cooldown}, {top}, {factor}, {low}, {delta}, "
                      f"{bits:#x}}},\n")
        out.write("};\nstatic const char *const names[][2] = {\n")
        for text, name in names():
            out.write(f'    {{"{text}", "{name}"}},\n')
        out.write("};\n")


if __name__ == "__main__":
    main()
