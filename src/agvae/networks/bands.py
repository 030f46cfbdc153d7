"""Bands of a map, worked on side by side, each by one thread.

A float32 kernel that divides its work among threads divides its sums with it, so that last bits depend on the number
of threads, and with them an encoder's bytes.  Here a map is cut into bands of a few rows of one image, whatever the
number of threads, and each band goes through its layers in one thread.  Bands also fit in a core's cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

import torch
from torch import Tensor

from agvae.progress import checkpoint

ROWS = 16

_Band: TypeAlias = tuple[slice, int, int]
_Task: TypeAlias = "tuple[Callable[[_Band], None], _Band, SimpleQueue[BaseException | None]]"

_inside = threading.local()
_queues: dict[int, SimpleQueue[_Task]] = {}
_lock = threading.Lock()


def wanted(x: Tensor) -> bool:
    """Whether layers should work on a map (B, H, W, C) in bands: inference in float32 on the CPU, not yet in a band."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.dim() == 4
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not inside()
    )


def inside() -> bool:
    """Whether this thread works on a band."""
    return getattr(_inside, "band", False)


def each_band(work: Callable[[slice, int, int], None], batch: int, height: int) -> None:
    """Call work(image, top, bottom) for bands of rows of each image: the image as a slice of one, bottom excluded."""
    checkpoint()
    bands = [(slice(b, b + 1), top, min(top + ROWS, height)) for b in range(batch) for top in range(0, height, ROWS)]

    def run(band: _Band) -> None:
        _inside.band = True
        try:
            with torch.inference_mode():
                work(*band)
        finally:
            _inside.band = False

    threads = torch.get_num_threads()
    if threads == 1:
        for band in bands:
            checkpoint()
            run(band)
        return
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    tasks = _workers(threads)
    for band in bands:
        tasks.put((run, band, ended))
    errors = [error for _ in bands if (error := ended.get()) is not None]
    if errors:
        raise errors[0]


def _workers(threads: int) -> SimpleQueue[_Task]:
    """The queue of so many workers: daemons, not an executor, which stops at exit before other threads have ended."""
    with _lock:
        if threads not in _queues:
            _queues[threads] = SimpleQueue()
            started = threading.Barrier(threads + 1)
            for _ in range(threads):
                threading.Thread(target=_serve, args=(_queues[threads], started), name="agvae", daemon=True).start()
            started.wait()
            torch.set_num_threads(threads)  # what threads that start later take over
        return _queues[threads]


def _serve(tasks: SimpleQueue[_Task], started: threading.Barrier) -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # the first call in a thread takes over the number that was set last
    started.wait()
    while True:
        run, band, ended = tasks.get()
        try:
            run(band)
            ended.put(None)
        except BaseException as error:  # the caller's, who raises it
            ended.put(error)
        del run, band, ended


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _queues.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
