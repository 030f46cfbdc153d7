"""Bands of a map, worked on side by side, each by one thread.

A float32 kernel that divides its work among threads divides its sums with it, so that last bits depend on the number
of threads, and with them an encoder's bytes.  Here a map is cut into bands of a few rows of one image, whatever the
number of threads, and each band goes through its layers in one thread.  Bands also fit in a core's cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

ROWS = 16

_inside = threading.local()
_pools: dict[int, ThreadPoolExecutor] = {}
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
    bands = [(slice(b, b + 1), top, min(top + ROWS, height)) for b in range(batch) for top in range(0, height, ROWS)]

    def run(band: tuple[slice, int, int]) -> None:
        _inside.band = True
        try:
            with torch.inference_mode():
                work(*band)
        finally:
            _inside.band = False

    threads = torch.get_num_threads()
    if threads == 1:
        for band in bands:
            run(band)
    else:
        for _ in _pool(threads).map(run, bands):
            pass


def _pool(threads: int) -> ThreadPoolExecutor:
    with _lock:
        if threads not in _pools:
            started = threading.Barrier(threads)

            def begin() -> None:
                torch.set_num_threads(1)
                torch.get_num_threads()  # the first call in a thread takes over the number that was set last
                started.wait()

            _pools[threads] = ThreadPoolExecutor(threads, "agvae")
            for future in [_pools[threads].submit(begin) for _ in range(threads)]:
                future.result()
            torch.set_num_threads(threads)  # what threads that start later take over
        return _pools[threads]


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
