"""Which layers the plugin's docks made: napari has no mark for layers that are no user's."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

_own: WeakSet[Any] = WeakSet()


def claim(layer: Any) -> None:
    """Take down that a preview made a layer."""
    _own.add(layer)


def is_own(layer: Any) -> bool:
    """Whether a layer was made by a preview."""
    return layer in _own


def shows_preview(data: Any) -> bool:
    """Whether data are those of such a layer, of which writers get no more; a copy of it is the user's."""
    return any(layer.data is data for layer in _own)
