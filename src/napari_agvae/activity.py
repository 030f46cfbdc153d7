"""How far long work is, in napari's activity dock, with a button to cancel it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agvae.progress import Stopped, checkpoint, watched
from napari_agvae.texts import plain

_LOOK = 16
"""So many pixels are looked at in the time in which one is coded, or some more."""
_PATIENCE = 0.5
"""Seconds before there is a bar of saving and opening by napari itself, which waits for it."""
_INTERVAL = 0.05
"""Seconds between two updates, in which the window reacts to the user."""


def looked_at(pixels: int) -> None:
    """A checkpoint of the pass before coding, in which the ranges of frames are found."""
    checkpoint(pixels // _LOOK)


def saving(pixels: int) -> int:
    """What the checkpoints of saving so many pixels sum up to."""
    return pixels + pixels // _LOOK


class Progress:
    """How far work is, as a bar in the activity dock with a button to cancel.

    Args:
        description: what is being done.
        total: what is done in the end; 0 if that is not known, for a bar that stays at 0 %, since of an animation the
            canvas is drawn for each step.
        patience: seconds before there is a bar.
        tell: called when it is time for `show`, which the thread of the event loop is to call.

    Attributes:
        done: so far.
    """

    def __init__(
        self, description: str, total: int, patience: float = 0.0, tell: Callable[[], object] | None = None
    ) -> None:
        self._description, self._total, self._tell = description, total, tell or self.show
        self._bar: Any = None
        self._cancelled = False
        self._next = time.monotonic() + patience
        self.done = 0

    def watch(self, amount: int) -> None:
        """For `agvae.progress.watched`; raises Stopped if it was cancelled."""
        self.done += amount
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _INTERVAL
            self._tell()
        if self.cancelled:
            raise Stopped

    def show(self) -> None:
        if self._bar is None:
            from napari.utils import cancelable_progress

            self._bar = cancelable_progress(desc=plain(self._description), total=self._total or 1)
        self._bar.update(min(self.done, self._total) - self._bar.n)

    @property
    def cancelled(self) -> bool:
        return self._cancelled or (self._bar is not None and self._bar.is_canceled)

    def cancel(self) -> None:
        """End the work at its next checkpoint."""
        self._cancelled = True

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def in_activity_dock(description: str, failure: str, pixels: int = 0) -> Iterator[None]:
    """Show how far the codec is, if it works for a window, and let the user cancel.

    Args:
        description: what is being done.
        failure: what is so if it is cancelled.
        pixels: what the checkpoints sum up to, 0 if that is not known.

    Raises:
        InterruptedError: it was cancelled.
    """
    if not _has_window() or threading.current_thread() is not threading.main_thread():
        yield
        return
    progress = Progress(description, pixels, _PATIENCE)
    try:
        with watched(progress.watch):
            yield
    except Stopped:
        msg = f"{failure}: it was cancelled"
        raise InterruptedError(msg) from None
    finally:
        progress.close()


def _has_window() -> bool:
    if not {"napari", "qtpy"} <= sys.modules.keys():  # current_viewer() itself imports Qt
        return False
    import napari

    return napari.current_viewer() is not None
