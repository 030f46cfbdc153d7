"""One slice of an image layer as the codec takes it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agvae.boxes import Box
from napari_agvae.io.document import describe_layer, pack_layers
from napari_agvae.io.layer_frames import LayerFrames
from napari_agvae.io.values import FrameMaps, alpha_map
from napari_agvae.preferences import VALUES

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
        bounds: of values that are coded in 16 bits the lowest and highest, clipped or not; None for 8 bits.

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
        self._frames = frames
        self.count = frames.count
        number = int(np.ravel_multi_index(index, frames.shape)) if index else 0
        self.values = frames.frame(number)
        self._own = LayerFrames(self.values, {**attributes, "rgb": frames.bands > 1, "multiscale": False})
        self.value_map = frames.value_map(self.values, value_range, number)
        self.codes = self._own.codes(self.values, self.value_map)
        deep = self.codes.dtype == np.uint16
        self.range = (int(self.codes.min()), int(self.codes.max())) if deep else None
        self.bounds = (float(self.values.min()), float(self.values.max())) if deep else None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.codes.shape[1], self.codes.shape[0]

    def crop(self, box: Box) -> NDArray[Any]:
        """The codes of a box."""
        return self.codes[box.slices]

    def reference(self, box: Box) -> NDArray[Any]:
        """What `result` is compared with: grey values, or colour from 0 to 255 before it is rounded; alpha as codes."""
        if self.value_map is None or self.range is not None:
            return self.values[box.slices]
        return np.concatenate((self._scaled(self.values[box.slices]), self.crop(box)[..., 3:]), axis=-1)

    def result(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Decoded codes as values that a file gives back, on the scale of `reference`."""
        if self.value_map is None:
            return codes
        return self.to_values(codes) if self.range is not None else self._scaled(self.to_values(codes))

    def _scaled(self, values: NDArray[Any]) -> NDArray[np.float32]:
        assert self.value_map is not None
        return self.value_map.scaled(values[..., :3]).astype(np.float32)

    def document(self, attributes: Mapping[str, Any]) -> bytes | None:
        """What the writer stores besides the pixels of a layer with these attributes, None where it has more slices."""
        if self.count > 1:
            return None
        with warnings.catch_warnings():  # the writer's are of what is saved
            warnings.simplefilter("ignore")
            maps = None if self.value_map is None else FrameMaps((self.value_map,))
            return pack_layers([describe_layer(self._frames, attributes, maps)], [self._own.name])

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
