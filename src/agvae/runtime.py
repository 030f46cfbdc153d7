"""Threads when a process forks or ends: at the end none is inside of a torch operator, since that would abort it.

Python stops daemon threads where they next want the interpreter, and one that comes out of an operator then takes the
process down with it.  So whoever calls operators is `at_work`, and passes `pulse` between them.  Exit handlers find all
threads at work.  After the last of them a thread stays at its next `pulse`, and the process waits for nothing longer
than one operator.  No lock is held anywhere, so that an exception from a signal handler can leave none behind.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

PATIENCE = 10.0
"""Seconds for which the end waits for an operator."""
_DAY = 86400
"""Seconds; Python would stop a thread that woke while it ends, which frames of C++ beneath it do not survive."""

_busy: set[int] = set()
_helping: set[int] = set()
"""Identifiers of threads that may be inside of an operator, for themselves (but for the main one) or for others."""
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
    with _among(_busy):
        pulse()
        yield


def helping() -> AbstractContextManager[None]:
    """`at_work` for a thread that works for another one, which waits for it: it does not stay."""
    return _among(_helping)


@contextmanager
def _among(threads: set[int]) -> Iterator[None]:
    thread = threading.get_ident()
    threads.add(thread)
    try:
        yield
    finally:
        threads.discard(thread)


def pulse() -> None:
    """Called between two operators: where a thread stays when the process ends."""
    if _ending and threading.get_ident() in _busy:
        _busy.discard(threading.get_ident())
        while True:
            time.sleep(_DAY)


class _LastHandler:
    """What only the register of exit handlers holds, and so is freed when all of them have run.

    As a handler it would run before older ones, which may wait for a thread.
    """

    def __call__(self) -> None:
        pass

    def __del__(self) -> None:
        if not threading.main_thread().is_alive():  # else a program has cleared the register
            _end()


def _end() -> None:
    global _ending
    _ending = True
    deadline = time.monotonic() + PATIENCE
    while not (_busy | _helping).isdisjoint(sys._current_frames()) and time.monotonic() < deadline:
        with suppress(KeyboardInterrupt):
            time.sleep(0.001)


def _after_fork() -> None:
    global _ending
    _ending = False
    _busy.intersection_update({threading.get_ident()})
    _helping.clear()


atexit.register(_LastHandler())
after_fork(_after_fork)
# PyTorch may be imported for the first time in an exit handler, when Python can no longer load this module, which it
# needs, and runs finalizers only if there was one before.
with suppress(RuntimeError):
    import concurrent.futures.thread  # noqa: F401
weakref.finalize(at_work, tuple)
