"""One slice of an image layer as the codec takes it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agvae.boxes import Box
from napari_agvae.document import describe_layer, pack_layers
from napari_agvae.frames import LayerFrames
from napari_agvae.settings import VALUES
from napari_agvae.values import FrameMaps, alpha_map

MAX_PIXELS = 2**27
"""Of a slice to preview, which is held in memory."""


class LayerSlice:
    """Rows and columns of a layer at one index of its leading axes.

    Args:
        data, attributes: as `LayerFrames` takes them.
        index: one integer for each leading axis.
        value_range: as `LayerFrames.value_map` takes it.

    Attributes:
        values: (Y, X) or (Y, X, bands) of the layer's type.
        count: how many slices the layer has.
        codes: the same in uint8 or uint16, as the writer gives them to `agvae.encode`.
        range: of codes of 16 bits, what the file maps them from; None for 8 bits.

    Raises:
        TypeError: the layer cannot be coded; the text says why.
    """

    def __init__(
        self, data: Any, attributes: Mapping[str, Any], index: tuple[int, ...], value_range: str = VALUES
    ) -> None:
        frames = LayerFrames(data, attributes)
        if frames.width * frames.height > MAX_PIXELS:
            msg = (
                f"layer {frames.name!r} is too large to preview: {frames.width} x {frames.height} pixels, of which "
                f"{MAX_PIXELS} fit; crop it, or save it to see its size"
            )
            raise TypeError(msg)
        self.count = frames.count
        number = int(np.ravel_multi_index(index, frames.shape)) if index else 0
        self.values = frames.frame(number)
        self._attributes = attributes
        self._own = LayerFrames(self.values, {**attributes, "rgb": frames.bands > 1, "multiscale": False})
        self.value_map = frames.value_map(self.values, value_range, number)
        self.codes = self._own.codes(self.values, self.value_map)
        deep = self.codes.dtype == np.uint16
        self.range = (int(self.codes.min()), int(self.codes.max())) if deep else None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.codes.shape[1], self.codes.shape[0]

    def crop(self, box: Box) -> NDArray[Any]:
        """The codes of a box."""
        return self.codes[box.slices]

    def unrounded(self, box: Box) -> NDArray[Any]:
        """The codes of a box as what a file holds is compared with them: those of colour float32, before rounding."""
        codes = self.crop(box)
        if self.value_map is None or self.range is not None:
            return codes
        colour = self.value_map.scaled(self.values[box.slices][..., :3])
        return np.concatenate((colour, codes[..., 3:]), axis=-1, dtype=np.float32)

    def document(self) -> bytes | None:
        """What the writer stores besides the pixels, where the slice is all of the layer."""
        with warnings.catch_warnings():  # the writer's are of what is saved
            warnings.simplefilter("ignore")
            maps = None if self.value_map is None else FrameMaps((self.value_map,))
            return pack_layers([describe_layer(self._own, self._attributes, maps)], [self._own.name])

    def to_values(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Decoded codes as values of the layer."""
        if self.value_map is None:
            return codes
        if codes.ndim == 2:
            return self.value_map.to_values(codes)
        parts = [self.value_map.to_values(codes[..., :3])]
        if codes.shape[2] == 4:
            parts.append(alpha_map(self.values.dtype).to_values(codes[..., 3:]))
        return np.concatenate(parts, axis=-1)
