"""Layers of a preview, removed when napari is not amid removing layers itself."""

from __future__ import annotations

from qtpy.QtCore import QTimer

from napari_agvae.docks.preview_layers import PreviewLayers

_APART = 50
"""Milliseconds, in which napari draws."""


def remove_later(layers: PreviewLayers) -> None:
    """One layer after the other: with some OpenGL, vispy crashes if several go between two of its drawings."""
    waiting = [layers]  # Qt may keep the function for long

    def remove() -> None:
        left = waiting.pop()
        if left.remove_one():
            remove_later(left)

    QTimer.singleShot(_APART, remove)
