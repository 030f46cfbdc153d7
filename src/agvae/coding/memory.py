"""How much is worked on at once, and what follows when memory is short."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import NamedTuple, TypeVar

import torch

from agvae.callers import level_of_caller
from agvae.coding.engine import Model
from agvae.coding.loaded import load_model
from agvae.coding.turns import turn
from agvae.file.header import MAX_TILE_SIZE
from agvae.networks import bands
from agvae.processors import processors
from agvae.runtime import at_work
from agvae.settings import options
from agvae.shortage import is_shortage

_BATCH = {"cpu": 2**18, "cuda": 2**24, "mps": 2**22}
"""Pixels of a batch by type of device: enough to keep it busy."""
_SMALLER_SIDES = (512, 256)
"""Largest sides of what g_a and g_s work on at once when memory is short, in pixels."""

T = TypeVar("T")


class Limits(NamedTuple):
    """Pixels of a batch, and the largest side in pixels of what g_a and g_s work on at once."""

    batch: int
    side: int


class Attempt:
    """A block of work with a model, which a shortage of memory ends without an error; see `attempts`."""

    def __init__(self, model: Model, limits: Limits, pixels: int) -> None:
        self.model, self.limits, self._pixels = model, limits, pixels
        self.shortage: BaseException | None = None
        self._held = ExitStack()

    def __enter__(self) -> None:
        with self._held:
            self._held.enter_context(turn(self._pixels))
            self._held.enter_context(at_work())
            self._held.enter_context(_threads(self.model))
            self._held = self._held.pop_all()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._held.close()
        if error is not None and is_shortage(error):  # or a panic of an extension in Rust, which is no Exception
            self.shortage = error.with_traceback(None)  # whose frames hold what is to be freed
        return self.shortage is not None


def attempts(model: Model, pixels: int) -> Iterator[Attempt]:
    """Attempts at some work, until one has enough memory: in smaller parts, and if need be on the CPU.

        for attempt in attempts(model, pixels):
            with attempt:
                result = work(attempt.model, attempt.limits)

    Args:
        pixels: that are worked on; each attempt waits for its `agvae.coding.turns.turn`.

    Raises:
        MemoryError: it is not enough on the CPU either.
    """
    kind = _device_type(model)
    for limits in (Limits(_BATCH[kind], MAX_TILE_SIZE), *(Limits(1, side) for side in _SMALLER_SIDES)):
        attempt = Attempt(model, limits, pixels)
        yield attempt
        if attempt.shortage is None:
            return
        if kind == "cuda":
            torch.cuda.empty_cache()
    if kind == "cpu":
        msg = "not enough memory for this image"
        raise MemoryError(msg) from attempt.shortage
    warnings.warn(
        f"{model.device} is out of memory, coding on the CPU instead", RuntimeWarning, stacklevel=level_of_caller()
    )
    yield from attempts(load_model(model.name, "cpu", model.digest), pixels)


def chunks(items: Iterable[T], pixels: Callable[[T], int], model: Model) -> Iterator[list[T]]:
    """Runs of items that are worth a batch together; one by one where each is large."""
    chunk: list[T] = []
    total = 0
    enough = min(_BATCH[_device_type(model)], options.pixels_at_once or sys.maxsize)
    for item in items:
        chunk.append(item)
        total += pixels(item)
        if total >= enough:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def batches(keys: Sequence[Hashable], sizes: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Positions of equal keys, in runs whose sizes sum to at most `limit`, but at least one by one."""
    groups: dict[Hashable, list[int]] = {}
    for k, key in enumerate(keys):
        groups.setdefault(key, []).append(k)
    for group in groups.values():
        count = max(1, limit // sizes[group[0]])
        for start in range(0, len(group), count):
            yield group[start : start + count]


def _device_type(model: Model) -> str:
    return model.device.type


def _threads(model: Model) -> AbstractContextManager[None]:
    """Work with the threads of `agvae.options`, by default with as many as PyTorch is set to and may run at once."""
    count = options.threads or min(bands.threads(), processors())
    return bands.team(count) if model.in_bands else bands.kernel_threads(count)
