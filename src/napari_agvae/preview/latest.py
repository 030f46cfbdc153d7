"""One thread that works on the latest request; older ones that wait are dropped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from agvae.progress import Stopped

T = TypeVar("T")


class Turn:
    """What the work on one request asks whether to go on.

    Attributes:
        yielding: whether to stop when a newer request waits; until it is set, only `LatestWins.stop` stops the work,
            so that a stream of requests cannot keep all of them from being finished.
    """

    def __init__(self, newer: Callable[[], bool]) -> None:
        self._newer = newer
        self.yielding = False
        self.stopped = False

    def check(self, pixels: int = 0) -> None:
        """Raises Stopped if the work is to end; fit for `agvae.progress.watched`."""
        if self.stopped or (self.yielding and self._newer()):
            raise Stopped


class LatestWins(Generic[T]):
    """Runs `work(request, turn)` in a daemon thread of its own, one at a time.

    Args:
        work: stops when `turn.check()` raises.
        failed: called in the thread with the request and the exception that the work raised.
        idle: called when a piece of work has ended, however it did, and no other waits: in the thread, or by `stop`
            where that had not begun.
        ended: called once after `close`, when the thread is at its end or if there was none.
    """

    def __init__(
        self,
        work: Callable[[T, Turn], None],
        failed: Callable[[T, Exception], None],
        idle: Callable[[], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._work, self._failed, self._idle, self._ended = work, failed, idle, ended
        self._changed = threading.Condition()
        self._waiting: list[T] = []
        self._turn: Turn | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        with self._changed:
            return bool(self._waiting) or self._turn is not None

    def submit(self, request: T) -> None:
        """Work on this next, instead of what waits now; does nothing after `close`."""
        with self._changed:
            if self._closed:
                return
            self._waiting[:] = [request]
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="agvae preview", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self) -> None:
        """Drop what waits and end what runs, at its next check."""
        with self._changed:
            idle = bool(self._waiting) and self._turn is None and not self._closed
            self._waiting.clear()
            if self._turn is not None:
                self._turn.stopped = True
        if idle:
            self._idle()

    def close(self, timeout: float = 0.0) -> None:
        """Stop for good; wait at most `timeout` seconds for the thread to end, which it does at its next check."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        self.stop()
        if thread is None:
            self._ended()
        elif thread is not threading.current_thread():
            thread.join(timeout)

    def _newer(self) -> bool:
        return bool(self._waiting)

    def _run(self) -> None:
        self._serve()
        self._ended()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                request = self._waiting.pop()
                turn = self._turn = Turn(self._newer)
            try:
                self._work(request, turn)
            except Stopped:
                pass
            except Exception as error:
                if not turn.stopped:
                    self._failed(request, error)
            del request
            with self._changed:
                self._turn = None
                idle = not self._waiting and not self._closed
            if idle:
                self._idle()
