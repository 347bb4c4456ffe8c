"""Finds and declares libmien.so. Its structures are those of include/mien."""
from __future__ import annotations

import atexit
import ctypes as c
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any, List, Optional

VERSION = "0.1.0"
SONAME = "libmien.so.0"
STATUS = ("ok", "invalid argument", "not found", "input/output error", "wrong format", "out of memory",
          "no such device", "device fault", "not supported", "training diverged", "interrupted")
INTERRUPTED = STATUS.index("interrupted")


class Error(Exception):
    """What went wrong, in the words of the command line. `status` is the kind, such as "not found"."""

    def __init__(self, message: str, status: str = "invalid argument") -> None:
        super().__init__(message)
        self.status = status


class Shape(c.Structure):
    _fields_ = [(k, c.c_int) for k in "nhwc"]


class BackendOptions(c.Structure):
    _fields_ = [("threads", c.c_int), ("pin", c.c_bool), ("deterministic", c.c_bool), ("compute", c.c_int),
                ("training", c.c_bool)]


class FaceResult(c.Structure):
    _fields_ = [("id", c.c_longlong), ("x", c.c_int), ("y", c.c_int), ("width", c.c_int), ("height", c.c_int),
                ("detected", c.c_bool), ("score", c.c_double), ("label", c.c_int),
                ("probabilities", c.POINTER(c.c_float))]


class PhotoSettings(c.Structure):
    _fields_ = [("detector", c.c_char_p), ("min_face", c.c_int), ("min_score", c.POINTER(c.c_double)),
                ("threads", c.c_int)]


class VideoSettings(c.Structure):
    _fields_ = [("detector", c.c_char_p), ("every", c.c_int), ("min_face", c.c_int),
                ("min_score", c.POINTER(c.c_double)), ("no_smoothing", c.c_bool), ("allow_url", c.c_bool)]


class VideoFrame(c.Structure):
    _fields_ = [("index", c.c_longlong), ("time", c.c_double), ("width", c.c_int), ("height", c.c_int),
                ("key", c.c_bool), ("cut", c.c_bool), ("faces", c.POINTER(FaceResult)), ("count", c.c_int)]


class EvaluationSettings(c.Structure):
    _fields_ = [(k, c.c_char_p) for k in ("data", "split", "tta", "groups", "drop_classes", "soft_labels")]
    _fields_ += [("batch", c.c_int)]


class TrainingProgress(c.Structure):
    _fields_ = [("epoch", c.c_int), ("epochs", c.c_int), ("done", c.c_size_t), ("total", c.c_size_t),
                ("loss", c.c_double), ("ended", c.c_bool), ("accuracy", c.c_double), ("learning_rate", c.c_double),
                ("seconds", c.c_double), ("images_per_second", c.c_double), ("validated", c.c_bool),
                ("best", c.c_bool), ("val_loss", c.c_double), ("val_accuracy", c.c_double),
                ("val_macro_f1", c.c_double)]


VideoFn = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(VideoFrame))
TrainingFn = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(TrainingProgress))
LogFn = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_char_p)


class Training(c.Structure):
    _fields_ = [("config", c.c_char_p), ("config_text", c.c_char_p), ("set", c.POINTER(c.c_char_p)),
                ("set_count", c.c_int), ("data", c.c_char_p), ("out", c.c_char_p), ("force", c.c_bool),
                ("device", c.c_char_p), ("threads", c.c_int), ("progress", TrainingFn), ("context", c.c_void_p)]


_FACES = (c.POINTER(c.POINTER(FaceResult)), c.POINTER(c.c_int))
_P, _OUT, _TEXT = c.c_void_p, c.POINTER(c.c_void_p), c.c_char_p
# name: (result, arguments); c.c_int as a result is a status
_FUNCTIONS = {
    "mien_version": (_TEXT, ()),
    "mien_error_message": (_TEXT, ()),
    "mien_log_sink": (None, (LogFn, _P)),
    "mien_string_free": (None, (_P,)),
    "mien_backend_open": (c.c_int, (_TEXT, c.POINTER(BackendOptions), _OUT)),
    "mien_backend_gpus": (c.c_int, (c.POINTER(c.c_int),)),
    "mien_backend_close": (None, (_P,)),
    "mien_model_load": (c.c_int, (_TEXT, _OUT)),
    "mien_model_free": (None, (_P,)),
    "mien_model_class_count": (c.c_int, (_P,)),
    "mien_model_class_name": (_TEXT, (_P, c.c_int)),
    "mien_model_input": (Shape, (_P,)),
    "mien_predictor_create": (c.c_int, (_P, _P, c.c_int, _OUT)),
    "mien_predictor_free": (None, (_P,)),
    "mien_predictor_run": (c.c_int, (_P, _P, c.c_int, _P)),
    "mien_photo_open": (c.c_int, (_TEXT, _P, c.POINTER(PhotoSettings), _OUT)),
    "mien_photo_close": (None, (_P,)),
    "mien_photo_file": (c.c_int, (_P, _TEXT, *_FACES)),
    "mien_photo_pixels": (c.c_int, (_P, _P, c.c_int, c.c_int, c.c_int, *_FACES)),
    "mien_video_run": (c.c_int, (_TEXT, _P, _TEXT, c.POINTER(VideoSettings), VideoFn, _P)),
    "mien_evaluation_json": (c.c_int, (c.POINTER(_TEXT), c.c_int, _P, c.POINTER(EvaluationSettings), _OUT)),
    "mien_training_run": (c.c_int, (c.POINTER(Training), _OUT, _OUT)),
}
_lock = threading.Lock()
_library: Optional[Any] = None
_path = ""


def _candidates() -> List[str]:
    here = Path(__file__).resolve().parent
    wanted = os.environ.get("MIEN_LIBRARY")
    if wanted:
        return [wanted]  # and no other, so that nobody tests a library that was not meant
    found = [here / SONAME, here.parent.parent / "build" / "release" / SONAME]
    found += [Path(prefix) / "lib" / SONAME for prefix in (sys.prefix, "/usr/local", "/usr")]
    return [str(path) for path in found if path.exists()] + [SONAME]


@LogFn
def _log(_context: Any, level: int, line: bytes) -> None:
    logging.getLogger("mien").log((logging.DEBUG, logging.INFO, logging.WARNING)[level], line.decode(errors="replace"))


def lib() -> Any:
    """The library, loaded by the first call."""
    global _library, _path
    with _lock:
        if _library:
            return _library
        why = ""
        for path in _candidates():
            try:
                loaded = c.CDLL(path)
                break
            except OSError as error:
                why = why or str(error)
        else:
            raise Error(f"{SONAME} cannot be loaded ({why}): run make install, or set MIEN_LIBRARY to its path",
                        "not found")
        try:
            for name, (result, arguments) in _FUNCTIONS.items():
                function = getattr(loaded, name)
                function.restype, function.argtypes = result, arguments
            version = loaded.mien_version().decode()
        except AttributeError as error:
            raise Error(f"'{path}' is not a libmien.so of version {VERSION}: {error}", "not supported") from None
        if version != VERSION:
            raise Error(f"'{path}' has version {version}, this package needs {VERSION}: install both from one "
                        "source", "not supported")
        loaded.mien_log_sink(_log, None)
        atexit.register(loaded.mien_log_sink, LogFn(), None)
        _library, _path = loaded, path
        return loaded


def library_path() -> str:
    """The path of the library in use."""
    lib()
    return _path


def check(status: int) -> None:
    """Raises the error of this thread's last call."""
    if status:
        raise Error(lib().mien_error_message().decode(errors="replace"), STATUS[status])


def text(value: Any) -> Optional[bytes]:
    """A path or word as the library reads it; None stays None."""
    return None if value is None else os.fsencode(value)


def take_string(pointer: c.c_void_p) -> Optional[str]:
    """Copies and frees a string that the library returned."""
    if not pointer.value:
        return None
    try:
        return c.string_at(pointer.value).decode()
    finally:
        lib().mien_string_free(pointer)


class Backend:
    """An open device."""

    def __init__(self, device: str, threads: int) -> None:
        self.pointer = c.c_void_p()
        check(lib().mien_backend_open(text(device), BackendOptions(threads=threads), self.pointer))

    def __enter__(self) -> "Backend":
        return self

    def __exit__(self, *_: Any) -> None:
        lib().mien_backend_close(self.pointer)
        self.pointer = c.c_void_p()
