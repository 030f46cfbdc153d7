"""A thread that works for a dock, and its news as Qt signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_agvae.preview.latest import LatestWins, Turn
from napari_agvae.preview.live import Request

Tell = Callable[[Any], None]
Work = Callable[[Request, Turn], None]

_closing: set[Engine] = set()
"""A Qt object must be freed in the thread that made it: these wait until theirs has done with them."""


class Engine(QObject):
    """Works on requests in a thread of its own, the latest first; its signals arrive in the thread that made it.

    Args:
        worker: given what takes a result, and what takes a sentence about what takes long, it gives the work.
        receivers: what the signals are connected to, in the order in which they stand here.
    """

    shown = Signal(object)
    """A result."""
    status = Signal(str)
    """What takes long; empty when it is over."""
    failed = Signal(object)
    """The exception that a request ended with."""
    idle = Signal()
    """Nothing is left to do."""
    _ended = Signal()

    def __init__(self, worker: Callable[[Tell, Tell], Work], *receivers: Callable[..., object]) -> None:
        super().__init__()
        for signal, receiver in zip((self.shown, self.status, self.failed, self.idle), receivers, strict=True):
            signal.connect(receiver)
        work = worker(lambda result: self.shown.emit(result), lambda text: self.status.emit(text))
        self._latest: LatestWins[Request] | None = LatestWins(
            work,
            lambda _, error: self.failed.emit(error),
            lambda: self.idle.emit(),
            lambda: self._ended.emit(),
        )
        self._ended.connect(self._free)

    @property
    def busy(self) -> bool:
        return self._latest is not None and self._latest.busy

    def submit(self, request: Request) -> None:
        """Work on this next, instead of what waits now."""
        if self._latest is not None:
            self._latest.submit(request)

    def stop(self) -> None:
        """Drop what waits and end what runs."""
        if self._latest is not None:
            self._latest.stop()

    def close(self) -> None:
        """Stop for good, without waiting for the thread; no signal comes after it."""
        for signal in (self.shown, self.status, self.failed, self.idle):
            signal.disconnect()
        if self._latest is not None:
            _closing.add(self)
            self._latest.close()

    def _free(self) -> None:
        self._latest = None
        _closing.discard(self)
