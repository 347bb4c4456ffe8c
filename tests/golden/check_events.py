#!/usr/bin/env python3
"""Reads tests/golden/events.tfevents, which tests/unit/test_callbacks.c composes, with TensorBoard and
compares it with what the test wrote. Made with tensorboard 2.20.0."""
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

a = EventAccumulator("tests/golden/events.tfevents")
a.Reload()
for tag, value in (("epoch_loss", 1.5), ("epoch_accuracy", 0.25)):
    (e,) = a.Scalars(tag)
    assert (e.step, e.value, e.wall_time) == (0, value, 1700000001.25), e
(image,) = a.Images("confusion_matrix")
assert (image.step, image.width, image.height) == (300, 12, 8), image
assert image.encoded_image_string == b"not a png\0"
(h,) = a.Histograms("dense/kernel/histogram")
h = h.histogram_value
assert (h.min, h.max, h.num, h.sum, h.sum_squares) == (-1, 2, 5, 0.75, 5.3125), h
assert len(h.bucket) == len(h.bucket_limit) == 30 and h.bucket_limit[-1] == 2
assert [i for i, n in enumerate(h.bucket) if n] == [0, 5, 10, 12, 29], h.bucket
(h,) = a.Histograms("dense/bias/histogram")
assert (list(h.histogram_value.bucket_limit), list(h.histogram_value.bucket)) == ([3.5], [2])
assert a.FirstEventTimestamp() == 1700000000.5
print("ok")
