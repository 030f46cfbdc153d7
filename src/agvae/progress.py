"""Watch long work from outside: how far it is, and a place to stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context

from agvae.runtime import pulse

_local = threading.local()
_INTERVAL = 0.05
"""Seconds between two checkpoints while work is done in another thread."""


class Stopped(Exception):
    """For whoever watches, to end work that is not wanted any more; nothing here catches it."""


@contextmanager
def watched(watch: Callable[[int], None]) -> Iterator[None]:
    """Call `watch` often, in this thread, while the codec works or weights are downloaded for it.

    Args:
        watch: takes the pixels coded or decoded, or the bytes downloaded, since its last call, 0 in between.  An
            exception that it raises ends the work and comes out of the function that was called.
    """
    before = getattr(_local, "watch", None)
    _local.watch = watch
    try:
        yield
    finally:
        _local.watch = before


@contextmanager
def uncounted() -> Iterator[None]:
    """For work beside that which is counted: it can be stopped, and adds nothing to the amount."""
    watch = getattr(_local, "watch", None)
    if watch is None:
        yield
        return
    with watched(lambda _: watch(0)):
        yield


class Apart(threading.Thread):
    """Work in which nothing is a checkpoint, done with the options of whoever makes it.

    It is a daemon, since what is not wanted any more is left to itself.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(name="agvae apart", daemon=True)
        self._work, self._context = work, copy_context()
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._context.run(self._work)
        except BaseException as error:
            self._error = error

    @property
    def successful(self) -> bool:
        """Whether it is done, and raised nothing."""
        return not self.is_alive() and self._error is None

    def wait(self) -> None:
        """Pass checkpoints until it is done; raises what it raised."""
        while self.is_alive():
            checkpoint()
            self.join(_INTERVAL)
        if self._error is not None:
            raise self._error


def apart(work: Callable[[], object]) -> None:
    """Do work in which nothing is a checkpoint; whoever watches can stop waiting for it, and it goes on to its end."""
    if getattr(_local, "watch", None) is None:
        work()
        return
    thread = Apart(work)
    try:
        thread.start()
    except RuntimeError:  # there are too many
        work()
    else:
        thread.wait()


def checkpoint(amount: int = 0) -> None:
    """Called between two steps of long work, with the pixels or bytes done since the last call."""
    pulse()
    watch = getattr(_local, "watch", None)
    if watch is not None:
        watch(amount)
