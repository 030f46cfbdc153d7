"""Watch long work from outside: how far it is, and a place to stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agvae.runtime import pulse

_local = threading.local()


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


def checkpoint(amount: int = 0) -> None:
    """Called between two steps of long work, with the pixels or bytes done since the last call."""
    pulse()
    watch = getattr(_local, "watch", None)
    if watch is not None:
        watch(amount)
