"""Opening and saving by napari itself, which waits for it: a bar in the activity dock, with a button to cancel."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agvae.progress import checkpoint, watched
from napari_agvae.texts import plain

_LOOK = 16
"""So many pixels are looked at in the time in which one is coded, or some more."""
_PATIENCE = 0.5
"""Seconds before the bar appears."""
_INTERVAL = 0.05
"""Seconds between two updates, in which the window reacts to the user."""


def looked_at(pixels: int) -> None:
    """A checkpoint of the pass before coding, in which the ranges of frames are found."""
    checkpoint(pixels // _LOOK)


def saving(pixels: int) -> int:
    """What the checkpoints of saving so many pixels sum up to."""
    return pixels + pixels // _LOOK


@contextmanager
def in_activity_dock(description: str, pixels: int = 0) -> Iterator[None]:
    """Show how far the codec is, if it works for a window, and let the user cancel.

    Args:
        description: what is being done.
        pixels: what the checkpoints sum up to; 0 if that is not known, for a bar that stays at 0 %.

    Raises:
        InterruptedError: it was cancelled.
    """
    if not _has_window() or threading.current_thread() is not threading.main_thread():
        yield
        return
    bar = _Bar(description, pixels)
    try:
        with watched(bar.advance):
            yield
    finally:
        bar.close()


class _Bar:
    def __init__(self, description: str, pixels: int) -> None:
        self._description, self._pixels = description, pixels
        self._bar: Any = None
        self._done = 0
        self._next = time.monotonic() + _PATIENCE

    def advance(self, pixels: int) -> None:
        self._done += pixels
        if time.monotonic() < self._next:
            return
        if self._bar is None:
            from napari.utils import cancelable_progress

            # No total would mean an animation, for each of whose steps the canvas is drawn.
            self._bar = cancelable_progress(desc=plain(self._description), total=self._pixels or 1)
        self._bar.update(min(self._done, self._pixels) - self._bar.n)
        self._next = time.monotonic() + _INTERVAL
        if self._bar.is_canceled:
            msg = "it was cancelled"
            raise InterruptedError(msg)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _has_window() -> bool:
    if not {"napari", "qtpy"} <= sys.modules.keys():  # current_viewer() itself imports Qt
        return False
    import napari

    return napari.current_viewer() is not None
