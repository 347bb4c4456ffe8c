"""Models: images, photos and videos."""
from __future__ import annotations

import ctypes as c
import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar, Union

import numpy as np

from ._library import (Backend, Error, FaceResult, PhotoSettings, VideoFn, VideoSettings, check, lib, text)

Path = Union[str, "os.PathLike[str]"]
T = TypeVar("T")
FRAMES_AHEAD = 32  # that a video may be ahead of the loop that takes its frames


@dataclass(frozen=True)
class Face:
    box: Tuple[int, int, int, int]  # x, y, width, height in the picture's pixels
    label: str
    probabilities: np.ndarray  # float32 (classes,)
    confidence: float  # the probability of `label`
    score: Optional[float]  # the detector's; None without a detector
    detected: bool  # in videos False for a face that was followed from other frames
    id: int  # photos: from 1, from left to right; videos: of the person


@dataclass(frozen=True)
class Frame:
    index: int
    time: float  # seconds from the first frame
    width: int
    height: int
    key: bool  # faces were detected on this frame
    cut: bool  # a new scene begins
    faces: List[Face]


class _Worker:
    """What one call at a time uses: a backend, a predictor, photo readers."""

    def __init__(self, model: "Model") -> None:
        self.backend = Backend(model._device, model._threads)
        self.predictor = c.c_void_p()
        self.readers: Dict[Tuple[Any, ...], c.c_void_p] = {}

    def close(self) -> None:
        for reader in self.readers.values():
            lib().mien_photo_close(reader)
        lib().mien_predictor_free(self.predictor)
        self.backend.__exit__()


class Model:
    """A model file or run folder; without a path the included model. Any number of threads may call it:
    `workers` calls run at once on the CPU, each with `threads` threads (0: all), and one on a GPU.

    Calls from other threads than that which made the model run in threads of the model's own: OpenMP keeps a team for
    each thread that calls it, and the teams of many callers would take the CPUs from each other. A GPU must be used from
    one thread."""

    def __init__(self, path: Optional[Path] = None, device: str = "auto", *, threads: int = 0, workers: int = 1,
                 batch: int = 64) -> None:
        if batch < 1 or workers < 1 or threads < 0:
            raise Error("batch and workers must be 1 or more, threads 0 or more")
        self._pointer = c.c_void_p()
        self._path, self._device, self._threads, self._batch = text(path), device, threads, batch
        self._idle: List[_Worker] = []
        self._all: List[_Worker] = []
        self._closed = False
        self._lock = threading.Lock()
        self._process = os.getpid()
        gpus = c.c_int()
        gpu = device.startswith("cuda") or (device == "auto" and lib().mien_backend_gpus(gpus) == 0 and gpus.value > 0)
        self._workers = 1 if gpu else workers
        self._free = threading.Semaphore(self._workers)
        self._home = None if gpu else threading.get_ident()
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(self._workers, "mien", lambda own: setattr(own, "inside", True), (self._own,))
        check(lib().mien_model_load(self._path, self._pointer))
        shape = lib().mien_model_input(self._pointer)
        self.input: Tuple[int, int, int] = (shape.h, shape.w, shape.c)
        count = lib().mien_model_class_count(self._pointer)
        self.classes: List[str] = [lib().mien_model_class_name(self._pointer, k).decode() for k in range(count)]
        self._run(lambda worker: self._predictor(worker))  # errors of the device come now

    @property
    def path(self) -> Optional[str]:
        return None if self._path is None else os.fsdecode(self._path)

    def _run(self, work: Callable[[_Worker], T]) -> T:
        if os.getpid() != self._process:
            raise Error("the model was loaded before this process was forked: load it again here")
        if threading.get_ident() == self._home:
            return self._with_worker(work)
        with self._lock:
            self._check_open()
            call = self._pool.submit(self._with_worker, work)
        return call.result()

    def _check_open(self) -> None:
        if self._closed:
            raise Error("the model is closed")

    def _with_worker(self, work: Callable[[_Worker], T]) -> T:
        with self._free:
            with self._lock:
                if threading.get_ident() == self._home:
                    self._check_open()
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                worker = _Worker(self)
                with self._lock:
                    self._all.append(worker)
            try:
                return work(worker)
            finally:
                with self._lock:
                    self._idle.append(worker)

    def _predictor(self, worker: _Worker) -> c.c_void_p:
        if not worker.predictor:
            check(lib().mien_predictor_create(self._pointer, worker.backend.pointer, self._batch, worker.predictor))
        return worker.predictor

    def predict(self, images: Union[np.ndarray, Sequence[np.ndarray]]) -> np.ndarray:
        """uint8 images (n, h, w, c), or (n, h, w) for a gray model -> float32 probabilities (n, classes)."""
        h, w, channels = self.input
        try:
            pixels = np.asarray(images)
        except ValueError as error:
            raise Error(f"the images differ in size or are no arrays: {error}") from None
        wanted = f"(n, {h}, {w}, {channels})" + (f" or (n, {h}, {w})" if channels == 1 else "")
        if pixels.dtype != np.uint8:
            raise Error(f"the model reads images of uint8 from 0 to 255, not of {pixels.dtype}")
        if pixels.shape[1:] != (h, w, channels) and not (channels == 1 and pixels.shape[1:] == (h, w)):
            raise Error(f"the model reads images of the shape {wanted}, not {pixels.shape}")
        out = np.empty((len(pixels), len(self.classes)), np.float32)
        if len(pixels) == 0:
            return out
        pixels = np.ascontiguousarray(pixels)
        self._run(lambda worker: check(lib().mien_predictor_run(
            self._predictor(worker), pixels.ctypes.data, len(pixels), out.ctypes.data)))
        return out

    def _faces(self, faces: Any, count: int, scored: bool) -> List[Face]:
        def face(f: FaceResult) -> Face:
            p = np.ctypeslib.as_array(f.probabilities, (len(self.classes),)).copy()
            return Face((f.x, f.y, f.width, f.height), self.classes[f.label], p, float(p[f.label]),
                        f.score if scored else None, f.detected, f.id)

        return [face(faces[i]) for i in range(count)]

    def photo(self, picture: Union[Path, np.ndarray], *, detector: str = "haar", min_face: int = 0,
              min_score: Optional[float] = None) -> List[Face]:
        """The faces of a picture file, or of uint8 pixels (h, w) or (h, w, 3), from left to right."""
        pixels: Optional[np.ndarray] = None
        if isinstance(picture, np.ndarray):
            pixels = np.ascontiguousarray(picture)
            if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
                raise Error(f"a picture is uint8 of the shape (h, w) or (h, w, 3), not {pixels.dtype} {pixels.shape}")

        def work(worker: _Worker) -> List[Face]:
            key = (detector, min_face, min_score)
            if key not in worker.readers:
                settings = PhotoSettings(text(detector), min_face, _number(min_score), self._threads)
                reader = c.c_void_p()
                check(lib().mien_photo_open(self._path, worker.backend.pointer, settings, reader))
                worker.readers[key] = reader
            faces, count = c.POINTER(FaceResult)(), c.c_int()
            if pixels is None:
                check(lib().mien_photo_file(worker.readers[key], text(picture), faces, count))
            else:
                channels = 1 if pixels.ndim == 2 else pixels.shape[2]
                check(lib().mien_photo_pixels(worker.readers[key], pixels.ctypes.data, pixels.shape[1],
                                              pixels.shape[0], channels, faces, count))
            return self._faces(faces, count.value, detector != "none")

        return self._run(work)

    def video(self, source: Path, *, detector: str = "haar", every: int = 0, min_face: int = 0,
              min_score: Optional[float] = None, smooth: bool = True, allow_url: bool = False) -> Iterator[Frame]:
        """The frames of a video file or of "camera:N", in order. To end the loop early ends the video."""
        settings = VideoSettings(text(detector), every, min_face, _number(min_score), not smooth, allow_url)
        frames: "queue.Queue[Any]" = queue.Queue(FRAMES_AHEAD)
        stop = threading.Event()

        def put(item: Any) -> bool:
            while not stop.is_set():
                try:
                    frames.put(item, timeout=0.1)
                    return True
                except queue.Full:
                    continue
            return False

        def take(_context: Any, result: Any) -> int:
            try:
                f = result.contents
                return not put(Frame(f.index, f.time, f.width, f.height, f.key, f.cut,
                                     self._faces(f.faces, f.count, detector != "none")))
            except BaseException as error:  # none may pass through C
                put(error)
                return 1

        def run() -> None:
            end: Optional[BaseException] = None
            try:
                with Backend(self._device, self._threads) as backend:
                    check(lib().mien_video_run(self._path, backend.pointer, text(source), settings, VideoFn(take),
                                               None))
            except Error as error:
                end = error
            put(end)

        thread = threading.Thread(target=run, name="mien video", daemon=True)
        thread.start()
        try:
            while isinstance(item := frames.get(), Frame):
                yield item
            if item is not None:
                raise item
        finally:
            stop.set()
            thread.join()

    def close(self) -> None:
        """Frees the model; calls that run end first."""
        if os.getpid() != self._process:
            return  # the threads that could free it are those of another process
        with self._lock:
            if self._closed:
                return
            self._closed = True

        def free() -> None:
            for worker in self._all:
                worker.close()
            lib().mien_model_free(self._pointer)

        if hasattr(self._own, "inside"):  # the last reference went away in a thread of the model's own
            free()
            self._pool.shutdown(wait=False)
        elif self._home is None:  # a GPU is left by the thread that used it
            self._pool.submit(free).result()
            self._pool.shutdown()
        else:
            self._pool.shutdown()
            for _ in range(self._workers):  # until the last call has ended
                self._free.acquire()
            free()
            self._free.release(self._workers)

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "classes", None) is not None and not self._closed:
            try:
                self.close()
            except Exception:  # while the interpreter ends
                pass

    def __repr__(self) -> str:
        return f"mien.Model({self.path!r}, classes={self.classes})"


def _number(value: Optional[float]) -> Any:
    return None if value is None else c.pointer(c.c_double(value))
