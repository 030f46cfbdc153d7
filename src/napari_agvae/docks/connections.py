"""Connections to events of napari, made and ended together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Connections:
    """Every emitter calls the function beside it, until `end`."""

    def __init__(self, *pairs: tuple[Any, Callable[..., None]]) -> None:
        self._pairs = pairs
        for emitter, function in pairs:
            emitter.connect(function)

    def end(self) -> None:
        for emitter, function in self._pairs:
            emitter.disconnect(function)
        self._pairs = ()
