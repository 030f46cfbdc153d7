"""The data of an image layer, frame by frame, as the pixels that files hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from agvae.coding.frames import computed, is_masked
from agvae.progress import checkpoint
from napari_agvae.activity import looked_at
from napari_agvae.io.values import MAX_INTEGER, FrameMaps, ValueMap, alpha_map, colour_map, exact_map, grey_map
from napari_agvae.preferences import CONTRAST_LIMITS, EXACT, VALUES

_REFUSED = {
    "b": "true and false, which a lossy codec would blur: save it as labels or as TIFF, or as uint8 without loss",
    "c": "complex numbers: save real and imaginary part, or absolute value and phase, as layers of their own",
}


class LayerFrames:
    """The frames of one image layer, each computed when it is asked for.

    Args:
        data: (..., Y, X), or in colour (..., Y, X, 3 or 4): an array of NumPy, dask, zarr or the like; of a multiscale
            layer the sequence of its levels, of which the finest is taken.
        attributes: the layer's, as napari gives them to writers; looked at are name, rgb, multiscale, contrast_limits.

    Attributes:
        name: of the layer.
        shape: sizes of the axes before Y and X, whose last varies fastest from frame to frame.
        bands: 1 for grey, 3 RGB, 4 RGBA.
        dtype: of the data.

    Raises:
        TypeError: values or axes of the layer cannot be coded.
    """

    def __init__(self, data: Any, attributes: Mapping[str, Any]) -> None:
        self.name = str(attributes.get("name") or "image")
        multiscale = attributes.get("multiscale") or (isinstance(data, list | tuple) and hasattr(data[0], "shape"))
        self._data = data[0] if multiscale else data
        try:
            self.dtype = np.dtype(self._data.dtype)
        except (AttributeError, TypeError):  # of lists and of tensors
            self._data = np.asanyarray(self._data)
            self.dtype = self._data.dtype
        size = tuple(map(int, self._data.shape))
        rgb = attributes.get("rgb")
        if rgb is None:
            rgb = len(size) > 2 and size[-1] in (3, 4)
        self.bands = size[-1] if rgb else 1
        axes = size[:-1] if rgb else size
        if len(axes) < 2 or 0 in size or self.bands not in (1, 3, 4):
            self._refuse(f"has the shape {size}: images have rows and columns, and in colour 3 or 4 bands")
        if self.dtype.kind not in "fiu" or self.dtype.itemsize > 8:
            reason = _REFUSED.get(self.dtype.kind, f"values of the type {self.dtype}: convert them to numbers first")
            self._refuse(f"holds {reason}")
        self.shape = axes[:-2]
        self.height, self.width = axes[-2:]
        self._limits = attributes.get("contrast_limits")

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def in_memory(self) -> bool:
        """Whether all frames can be looked at without being read or computed."""
        array = self._data
        while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
            array = array.base
        return isinstance(self._data, np.ndarray) and not isinstance(array, np.memmap)

    @property
    def deep(self) -> bool:
        """Whether it is coded in 16 bits."""
        return self.bands == 1 and self.dtype != np.uint8

    def frame(self, number: int) -> NDArray[Any]:
        """(Y, X) or (Y, X, bands), by the number of the frame in the order of the file."""
        checkpoint()
        frame = self._data[tuple(map(int, np.unravel_index(number, self.shape)))] if self.shape else self._data
        found = computed(frame)
        if is_masked(found):
            lazy = hasattr(frame, "compute")
            way = "dask.array.ma.filled(layer.data, 0)" if lazy else "layer.data.filled(0)"
            self._refuse(f"holds masked values{self._at(number)}: fill them first, as in layer.data = {way}")
        return np.asarray(found)

    def value_map(self, frame: NDArray[Any], value_range: str = VALUES, number: int = 0) -> ValueMap | None:
        """The map of a frame's grey or colour to codes, over its values, or in grey over the contrast limits.

        None where values are codes: uint8, and grey uint16 but over the contrast limits.

        Args:
            frame: as `frame` gives it.
            value_range: `VALUES`, `CONTRAST_LIMITS`, or `EXACT` for a map that changes no value.
            number: of the frame, for messages.

        Raises:
            TypeError: a value is not finite, or too large, or no value can be within the contrast limits, or each map
                would change one.
        """
        if self.dtype == np.uint8 or (self.deep and self.dtype == np.uint16 and value_range != CONTRAST_LIMITS):
            return None
        if not np.isfinite(frame).all():
            self._refuse(
                f"holds NaN or infinite values{self._at(number)}: replace them first, "
                "as in layer.data = numpy.nan_to_num(layer.data, posinf=0, neginf=0)"
            )
        grey = frame[..., :3] if self.bands > 1 else frame
        if value_range == EXACT:
            return self._exact_map(grey, frame[..., 3:] if self.bands == 4 else None, number)
        low, high = grey.min().item(), grey.max().item()
        if self.bands > 1:
            return self._mapped(colour_map, low, high, number=number)
        if value_range == CONTRAST_LIMITS and self._limits is not None:
            low, high = map(float, self._limits)
            if self.dtype.kind in "iu":
                bounds = np.iinfo(self.dtype)
                low, high = max(math.floor(low), int(bounds.min)), min(math.ceil(high), int(bounds.max))
                if low > high:
                    self._refuse(f"is to be coded between its contrast limits, {self._limits}, where it has no values")
        return self._mapped(grey_map, low, high, number=number)

    def codes(self, frame: NDArray[Any], values: ValueMap | None) -> NDArray[Any]:
        """A frame as `agvae.encode` takes it; `values` as `value_map` gives it."""
        if values is None:
            return frame
        if self.bands == 1:
            return values.to_codes(frame)
        parts = [values.to_codes(frame[..., :3])]
        if self.bands == 4:
            parts.append(self._mapped(alpha_map).to_codes(frame[..., 3:]))
        return np.concatenate(parts, axis=-1).astype(np.uint8)

    def _exact_map(self, values: NDArray[Any], alpha: NDArray[Any] | None, number: int) -> ValueMap:
        found = exact_map(values, colour=self.bands > 1)
        if alpha is not None:
            opacity = self._mapped(alpha_map, number=number)
            found = found if np.array_equal(opacity.to_values(opacity.to_codes(alpha)), alpha) else None
        if found is None:
            self._refuse(
                f"holds {self.dtype} values{self._at(number)} that {16 if self.deep else 8} bits do not hold without "
                "loss: save it with loss, or as TIFF or zarr, or round it, as in layer.data = numpy.rint(layer.data)"
            )
        return found

    def _mapped(self, make: Any, *bounds: float, number: int = 0) -> ValueMap:
        try:
            result: ValueMap = make(self.dtype, *bounds)
        except ValueError:
            where = self._at(number)
            self._refuse(
                f"holds values beyond {MAX_INTEGER:g}{where}, which cannot be mapped exactly: rescale them first"
            )
        return result

    def _at(self, number: int) -> str:
        """Where a frame is, in words."""
        index = tuple(map(int, np.unravel_index(number, self.shape))) if self.shape else ()
        return f" in slice {index[0] if len(index) == 1 else index}" if index else ""

    def _refuse(self, reason: str) -> NoReturn:
        msg = f"layer {self.name!r} cannot be saved as .agv: it {reason}"
        raise TypeError(msg)


class LayerCodes:
    """All frames of a layer as `agvae.encode` takes them, computed anew each time one goes through them.

    Each frame keeps the map that it got when it was first computed.

    Args:
        numbers: of the frames to take; all if not given.
    """

    def __init__(self, frames: LayerFrames, value_range: str = VALUES, numbers: Sequence[int] | None = None) -> None:
        self.frames = frames
        self._value_range = value_range
        self._numbers = range(frames.count) if numbers is None else numbers
        self._maps: list[ValueMap | None] = []

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for place, number in enumerate(self._numbers):
            frame = self.frames.frame(number)
            if place == len(self._maps):
                self._maps.append(self.frames.value_map(frame, self._value_range, number))
                looked_at(self.frames.height * self.frames.width)
            yield self.frames.codes(frame, self._maps[place])

    @property
    def values(self) -> FrameMaps | None:
        """The maps of these frames, once one has gone through them; None where values are codes."""
        maps = [each for each in self._maps if each is not None]
        return FrameMaps(tuple(maps)) if maps else None
