"""Turns of calls at the memory of their process: how many pixels are in work at once, over all of its threads.

Who comes first goes first, also where a later one would fit in, so that large pictures have their turn.  No lock is
held anywhere: only the first that waits may begin, and a share that an interrupt left behind ends with its object.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agvae.progress import checkpoint
from agvae.runtime import after_fork
from agvae.settings import options

_INTERVAL = 0.05
"""Seconds between two checkpoints of who waits."""


class _Share:
    """The pixels of one call."""

    def __init__(self, pixels: int) -> None:
        self.pixels, self.begun = pixels, False
        self.called = threading.Event()


_shares: list[weakref.ref[_Share]] = []
"""In the order of their coming."""
_own = threading.local()


@contextmanager
def turn(pixels: int) -> Iterator[None]:
    """Wait until so many pixels may be worked on, and have them counted as such within the block.

    Within another turn of this thread nothing waits, which would be for itself.  Waiting passes checkpoints.
    """
    if _held() is not None:
        yield
        return
    share = _Share(pixels)
    entry = weakref.ref(share)
    try:
        _own.share = entry
        _shares.append(entry)
        while not _may_begin(share):
            checkpoint()
            share.called.wait(_INTERVAL)
            share.called.clear()
        share.begun = True
        _call_next()
        try:
            yield
        finally:
            if options.pixels_at_once is not None:
                _give_back()
    finally:
        _own.share = None
        with suppress(ValueError):  # in a child that was forked within
            _shares.remove(entry)
        _call_next()


def _give_back() -> None:
    """Have glibc return to the system what this thread has freed, which it would keep for each thread by itself."""
    with suppress(AttributeError, OSError, TypeError):  # another libc, or Windows
        ctypes.CDLL(None).malloc_trim(0)


def _held() -> _Share | None:
    entry = getattr(_own, "share", None)
    share: _Share | None = None if entry is None else entry()
    return share


def _may_begin(share: _Share) -> bool:
    limit = options.pixels_at_once
    if limit is None:
        return True
    shares = _alive()
    first = next(other for other in shares if not other.begun)
    at_work = sum(other.pixels for other in shares if other.begun)
    return first is share and (not at_work or at_work + share.pixels <= limit)


def _call_next() -> None:
    """Wake those that wait, of whom the first looks whether it may begin."""
    for share in _alive():
        if not share.begun:
            share.called.set()
            return


def _alive() -> list[_Share]:
    return [share for entry in list(_shares) if (share := entry()) is not None]


after_fork(_shares.clear)
