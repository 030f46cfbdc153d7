"""SIGTERM as an end that leaves nothing behind: what is at work is undone, as by an exception, and nothing more is run.

Exit handlers and Python's own end would wait for threads that are inside of native code, or abort at them.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")

_PATIENCE = 10.0
"""Seconds for what is at work to be undone."""


def ended_by_sigterm(work: Callable[[], _T]) -> _T:
    """Do work, which SIGTERM undoes before it ends the process; left to whoever else handles or ignores the signal."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return work()
    try:
        signal.signal(signal.SIGTERM, _undo)
        try:
            return work()
        finally:
            if signal.getsignal(signal.SIGTERM) is _undo:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except _UndoError:
        pass  # only behind it generators that were at work are closed
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
    os._exit(1)  # it is blocked


class _UndoError(BaseException):
    """What ends work; no handler of errors catches it."""


def _undo(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    sys.unraisablehook = lambda _: None  # where it cannot be raised, as in a finalizer, that need not be told
    with suppress(RuntimeError):
        _thread.start_new_thread(_end_late, ())
    raise _UndoError


def _end_late() -> None:
    time.sleep(_PATIENCE)
    os._exit(1)
