"""Emotion from faces: a thin binding over libmien.so (docs/python.md).

>>> import mien
>>> model = mien.Model("best.h5")
>>> model.predict(images)             # uint8 (n, h, w[, c]) -> float32 (n, classes)
>>> model.photo("photo.jpg")          # a list of Face
>>> for frame in model.video("talk.mp4"): ...
>>> mien.evaluate(model, "fer2013.csv")["accuracy"]
>>> mien.train("sample", out="run", callback=print).folder
"""
from ._library import Error, library_path
from ._model import Face, Frame, Model
from ._runs import Progress, Run, evaluate, train

__version__ = "0.1.0"
__all__ = ["Error", "Face", "Frame", "Model", "Progress", "Run", "evaluate", "library_path", "train"]
