"""The pixels of a preview layer: reconstruction where it is known, the original elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agvae.boxes import Box

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

    def restore(self, keep: Box | None = None) -> None:
        """Show the original again, but for a box."""
        for box in self._painted:
            if box != keep:
                self.pixels[box.slices] = self.original[box.slices]
        self._painted = [box for box in self._painted if box == keep]

    def paint(self, box: Box, values: NDArray[Any]) -> None:
        """Show the reconstruction of a box."""
        self.pixels[box.slices] = values
        if box not in self._painted:
            self._painted.append(box)

    def layer_data(self, axes: int, pixels: NDArray[Any] | None = None) -> Any:
        """The pixels, or others, as a layer takes them, with so many leading axes of size 1; no pixel is copied.

        Of large slices a list of levels, each with every second row and column of the one before.
        """
        pixels = self.pixels if pixels is None else pixels
        levels = [thinned(pixels, axes, 2**k) for k in range(self.level_count)]
        return levels if len(levels) > 1 else levels[0]

    @property
    def level_count(self) -> int:
        """Of the pyramid, 1 for none."""
        count, pixels = 1, self.pixels.shape[0] * self.pixels.shape[1]
        while pixels > PLAIN:
            count, pixels = count + 1, pixels // 4
        return count

    def difference(self, axes: int) -> Any:
        """|original - pixels| as a layer takes it: one `Difference`, or a list of them."""
        levels = [Difference(self, axes, 2**k) for k in range(self.level_count)]
        return levels if len(levels) > 1 else levels[0]


class Difference:
    """|original - reconstruction| times a gain, computed where it is looked at; an array as napari takes it.

    Of uint8 it is uint8, clipped at 255, with alpha opaque; of other types float32.

    Args:
        canvas: what is compared.
        axes: number of leading axes, of size 1.
        step: every so many rows and columns.
    """

    def __init__(self, canvas: PreviewCanvas, axes: int = 0, step: int = 1) -> None:
        self._canvas, self._axes, self._step = canvas, axes, step
        self.gain = 1.0
        self.shape = thinned(canvas.pixels, axes, step).shape
        self.ndim, self.size = len(self.shape), math.prod(self.shape)
        self.dtype = np.dtype(np.uint8 if canvas.pixels.dtype == np.uint8 else np.float32)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        a = thinned(self._canvas.original, self._axes, self._step)[key]
        b = thinned(self._canvas.pixels, self._axes, self._step)[key]
        if self.dtype == np.uint8:
            found: NDArray[Any] = np.minimum((np.maximum(a, b) - np.minimum(a, b)) * np.float32(self.gain), 255).astype(
                np.uint8
            )
            if self.shape[-1] == 4 and self._canvas.pixels.ndim == 3 and found.ndim:
                found[..., 3] = 255
            return found
        difference: NDArray[Any] = np.abs(a.astype(np.float32) - b.astype(np.float32)) * np.float32(self.gain)
        return difference

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole: NDArray[Any] = self[...].astype(dtype or self.dtype)
        return whole


def thinned(pixels: NDArray[Any], axes: int, step: int) -> NDArray[Any]:
    """Every so many rows and columns, with so many leading axes of size 1; a view."""
    return pixels[(None,) * axes + (slice(None, None, step),) * 2]
