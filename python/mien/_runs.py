"""Evaluation and training."""
from __future__ import annotations

import ctypes as c
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Union

from ._library import (INTERRUPTED, Backend, Error, EvaluationSettings, Training, TrainingFn, TrainingProgress, check,
                       lib, take_string, text)
from ._model import Model, Path


def evaluate(model: Union[Model, Path, Sequence[Union[Model, Path]]], data: Optional[Path] = None, *,
             split: Optional[str] = None, tta: Optional[str] = None, groups: Optional[Path] = None,
             drop_classes: Sequence[str] = (), soft_labels: Optional[Path] = None, batch: int = 0,
             device: str = "auto", threads: int = 0) -> Dict[str, Any]:
    """What `mien evaluate --json` prints, as a dict. Several models: the mean of their probabilities."""
    many: List[Any] = list(model) if isinstance(model, (list, tuple)) else [model]
    paths = [text(m.path if isinstance(m, Model) else m) for m in many]
    if None in paths:
        raise Error("the included model has no training data: evaluate it by its path, with data")
    settings = EvaluationSettings(text(data), text(split), text(tta), text(groups),
                                  text(",".join(drop_classes)) if drop_classes else None, text(soft_labels), batch)
    out = c.c_void_p()
    with Backend(device, threads) as backend:
        check(lib().mien_evaluation_json((c.c_char_p * len(paths))(*paths), len(paths), backend.pointer, settings, out))
    return json.loads(take_string(out) or "{}")


@dataclass(frozen=True)
class Progress:
    """A few times a second during an epoch, or with `ended` after it; what is not known is None."""
    epoch: int  # from 1
    epochs: int
    done: int  # images of the epoch; 0 after it
    total: int
    loss: float
    ended: bool
    accuracy: Optional[float] = None
    learning_rate: Optional[float] = None
    seconds: Optional[float] = None
    images_per_second: Optional[float] = None
    best: bool = False
    val_loss: Optional[float] = None
    val_accuracy: Optional[float] = None
    val_macro_f1: Optional[float] = None


@dataclass(frozen=True)
class Run:
    folder: str
    metrics: Optional[Dict[str, Any]]  # metrics.json; None without a validation part


def _progress(p: TrainingProgress) -> Progress:
    names = ["epoch", "epochs", "done", "total", "loss", "ended"]
    if p.ended:
        names += ["accuracy", "learning_rate", "seconds", "images_per_second", "best"]
    if p.ended and p.validated:
        names += ["val_loss", "val_accuracy", "val_macro_f1"]
    return Progress(**{name: getattr(p, name) for name in names})


def train(config: Union[Path, Mapping[str, Any], None] = None, *, data: Optional[Path] = None,
          out: Optional[Path] = None, callback: Optional[Callable[[Progress], Any]] = None,
          set: Optional[Mapping[str, Any]] = None, force: bool = False, device: str = "auto",
          threads: int = 0) -> Run:
    """Trains as `mien train` does. `config`: a recipe's name, a YAML file, or its keys as a dict; `set`: keys such as
    {"train.epochs": 3}. `callback` gets a Progress a few times a second and after each epoch; if it returns True or raises, the
    training stops and saves a checkpoint (`mien train --resume`)."""
    failed: List[BaseException] = []

    def tell(_context: Any, progress: Any) -> int:
        try:  # also without a callback: Ctrl-C is noticed here
            return bool(callback and callback(_progress(progress.contents)))
        except BaseException as error:  # none may pass through C
            failed.append(error)
            return 1

    pairs = [f"{key}={_yaml(value)}".encode() for key, value in (set or {}).items()]
    keys = json.dumps(config).encode() if isinstance(config, Mapping) else None
    training = Training(None if keys else text(config), keys, (c.c_char_p * len(pairs))(*pairs), len(pairs),
                        text(data), text(out), force, text(device), threads, TrainingFn(tell), None)
    folder, metrics = c.c_void_p(), c.c_void_p()
    status = lib().mien_training_run(training, folder, metrics)
    run, results = take_string(folder), take_string(metrics)
    if failed and status in (0, INTERRUPTED):
        raise failed[0]
    check(status)
    return Run(run or "", json.loads(results) if results else None)


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
