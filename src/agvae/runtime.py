"""The end of the process: no thread is inside of a torch operator then, since that would abort it.

Python stops daemon threads where they next want the interpreter, and one that comes out of an operator then takes the
process down with it.  So whoever calls operators is `at_work`, passes `pulse` between them, and stays there once the
process ends, which waits for nothing longer than one operator.  No lock is held anywhere, so that an exception from a
signal handler can leave none behind.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE = 1.0
"""Seconds after which the process has not ended: a later exit handler waits for this thread, so it goes on."""
PATIENCE = 10.0
"""Seconds for which the end waits for an operator."""

_busy: set[int] = set()
"""Identifiers of the threads, other than the main one, that may be inside of an operator."""
_ending = False


def after_fork(renew: Callable[[], None]) -> None:
    """Have a function called in every forked child, which has none of its parent's threads, but what they held."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


@contextmanager
def at_work() -> Iterator[None]:
    """For calls of operators; may be nested."""
    if threading.get_ident() in _busy or threading.current_thread() is threading.main_thread():
        yield
        return
    with helping():
        pulse()
        yield


@contextmanager
def helping() -> Iterator[None]:
    """`at_work` for a thread that works for another one, which waits for it; it never stays."""
    thread = threading.get_ident()
    _busy.add(thread)
    try:
        yield
    finally:
        _busy.discard(thread)


def pulse() -> None:
    """Called between two operators: where a thread stays when the process ends."""
    thread = threading.get_ident()
    if _ending and thread in _busy and thread not in _late:
        _busy.discard(thread)
        time.sleep(GRACE)
        _late.add(thread)
        _busy.add(thread)


_late: set[int] = set()
"""Threads that were let go on at the end."""


def _end() -> None:
    global _ending
    _ending = True
    deadline = time.monotonic() + PATIENCE
    while not _busy.isdisjoint(sys._current_frames()) and time.monotonic() < deadline:
        time.sleep(0.001)


def _after_fork() -> None:
    global _ending
    _ending = False
    _busy.intersection_update({threading.get_ident()})
    _late.clear()


# When agvae is imported: exit handlers that programs register later run before, with all threads still working.  As a
# finalizer, so that those of PyTorch are found in such a handler, where it may be imported for the first time; which
# also needs `concurrent.futures.thread` to be there already.
weakref.finalize(at_work, _end)
after_fork(_after_fork)
