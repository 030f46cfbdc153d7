"""The pixels of a preview layer: reconstruction where it is known, the original elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agvae.container import Box

PLAIN = 2**20
"""Pixels up to which a layer gets one array; a larger one is given as a pyramid, of which napari draws what is seen."""


class PreviewCanvas:
    """What one preview layer shows, painted in place.

    Args:
        original: (Y, X) or (Y, X, bands) values of the slice.

    Attributes:
        pixels: an array of the same shape and type.
    """

    def __init__(self, original: NDArray[Any]) -> None:
        self.original = original
        self.pixels = original.copy()
        self._painted: list[Box] = []

    def fits(self, original: NDArray[Any]) -> bool:
        """Whether `reset` can take this slice."""
        return self.pixels.shape == original.shape and self.pixels.dtype == original.dtype

    def reset(self, original: NDArray[Any]) -> None:
        """Show another slice of the same shape and type, of which nothing is painted."""
        self.original = original
        np.copyto(self.pixels, original)
        self._painted.clear()

    def restore(self, keep: Box | None = None) -> None:
        """Show the original again, but for a box."""
        for box in self._painted:
            if box != keep:
                self.pixels[_slices(box)] = self.original[_slices(box)]
        self._painted = [box for box in self._painted if box == keep]

    def paint(self, box: Box, values: NDArray[Any]) -> None:
        """Show the reconstruction of a box."""
        self.pixels[_slices(box)] = values
        if box not in self._painted:
            self._painted.append(box)

    def layer_data(self, axes: tuple[int, ...]) -> Any:
        """The pixels as a layer takes them, for every index of its leading axes; no pixel is copied.

        Of large slices a list of levels, each with every second row and column of the one before.
        """
        rgb = self.pixels.ndim == 3
        levels = [np.broadcast_to(self.pixels, (*axes, *self.pixels.shape))]
        while _pixels(levels[-1], rgb) > PLAIN:
            thinned = levels[-1][..., ::2, ::2, :] if rgb else levels[-1][..., ::2, ::2]
            levels.append(thinned)
        return levels if len(levels) > 1 else levels[0]


def _pixels(level: NDArray[Any], rgb: bool) -> int:
    height, width = level.shape[-3:-1] if rgb else level.shape[-2:]
    return int(height * width)


def _slices(box: Box) -> tuple[slice, slice]:
    left, top, right, bottom = box
    return slice(top, bottom), slice(left, right)
