"""The layers that files hold, known from their headers and decoded frame by frame."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import agvae
from agvae.container import AgvError, Header
from napari_agvae.io.document import StoredLayer, parse_layers, plain_layer
from napari_agvae.io.opened import OpenedFile, named
from napari_agvae.io.values import alpha_map
from napari_agvae.preferences import plugin_settings, wanted_device


class FileLayer(NamedTuple):
    """A layer in a file, not decoded yet; `first` is its first frame."""

    file: OpenedFile
    stored: StoredLayer
    first: int
    size: tuple[int, int]
    dtype: np.dtype[Any]
    limits: tuple[float, float] | None
    info: dict[str, Any]
    alone: bool

    @property
    def path(self) -> Path:
        return self.file.path

    @property
    def shape(self) -> tuple[int, ...]:
        colour = (self.stored.bands,) if self.stored.bands > 1 else ()
        return (*self.stored.shape, *self.size, *colour)

    @property
    def attributes(self) -> dict[str, Any]:
        """Keyword arguments of napari's image layer, but for its name."""
        found: dict[str, Any] = {"rgb": self.stored.bands > 1}
        if self.limits is not None and self.limits[0] < self.limits[1] and self.stored.bands == 1:
            found["contrast_limits"] = list(self.limits)  # else napari would decode frames to find some
        return found | self.stored.attributes

    def decode(self, frames: range, *, for_viewer: bool = False) -> list[NDArray[Any]]:
        """Some frames of it, each (Y, X) or (Y, X, bands).

        Args:
            for_viewer: on the device of its choice, grey where damaged.

        Raises:
            OSError: the file has changed since it was opened, or cannot be read.
        """
        device = wanted_device(plugin_settings()) if for_viewer else None
        numbers = [self.first + frame for frame in frames]
        with named(self.path), agvae.options.using(device=device):
            try:
                found = self.file.decode(numbers)
            except AgvError:
                if not for_viewer:
                    raise
                found = [self._damaged(number) for number in numbers]
        return [self._values(frame, pixels) for frame, pixels in zip(frames, found, strict=True)]

    def _damaged(self, number: int) -> NDArray[Any]:
        """A frame that may be damaged, of which a warning tells."""
        try:
            return self.file.decode([number])[0]
        except AgvError as error:
            (pixels,) = self.file.decode([number], damaged_ok=True)
            warnings.warn(f"{self.path}: {error.reason}; frame {number} is grey where it is damaged", stacklevel=2)
            return pixels

    def _values(self, frame: int, pixels: NDArray[Any]) -> NDArray[Any]:
        pixels = _in_bands(pixels, self.stored.bands)
        values = self.stored.values
        if values is None:
            return pixels
        parts = [values[frame].to_values(pixels[..., :3] if self.stored.bands == 4 else pixels)]
        if self.stored.bands == 4:
            parts.append(alpha_map(self.dtype).to_values(pixels[..., 3:]))
        return np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]


def open_file(path: str | os.PathLike[str]) -> list[FileLayer]:
    """What a file holds, from its header.

    Checks the tiles of layers of one frame, before PyTorch is imported to decode them, and the last tile of the file,
    so that a short one is noticed.

    Raises:
        OSError: it cannot be read, or is damaged; the text names it.
    """
    file = OpenedFile(path)
    with named(file.path), file.opened() as reader:
        info = agvae.read_info(file.path)
        header, arrays = reader.header, reader.metadata.arrays
        stored = [plain_layer(header)] if arrays is None else parse_layers(arrays, header)
        firsts = [*accumulate((layer.count for layer in stored), initial=0)]
        checks = [reader.tiles(first) for layer, first in zip(stored, firsts, strict=False) if not layer.shape]
        last = reader.tile(header.frames - 1, header.tiles_per_frame - 1)
        for tile in chain([last], *checks):
            if tile.error is not None:
                raise tile.error
        layers = []
        for layer, first in zip(stored, firsts, strict=False):
            values, facts = layer.values, info
            limits, dtype = _limits(header, first, layer), np.dtype(np.uint16 if header.range else np.uint8)
            if values is not None:
                facts, dtype = info | {"values": values.to_json()}, np.dtype(values[0].dtype)
                if layer.bands == 4:
                    alpha_map(dtype)
            size = (header.height, header.width)
            layers.append(FileLayer(file, layer, first, size, dtype, limits, facts, len(stored) == 1))
    return layers


def common_attributes(layers: Sequence[FileLayer]) -> dict[str, Any]:
    """Those of the first layer, with contrast limits that hold those of all, and the metadata that all have.

    Warns of what the others have instead.
    """
    found = [layer.attributes for layer in layers]
    common, others = dict(found[0]), found[1:]
    if limits := [each["contrast_limits"] for each in found if "contrast_limits" in each]:
        limits += [layer.limits or (0, 255) for layer in layers if "contrast_limits" not in layer.attributes]
        lows, highs = zip(*limits, strict=True)
        common["contrast_limits"] = [min(lows), max(highs)]
    names = sorted({name for each in found for name in each} - {"contrast_limits", "metadata"})
    lost = [name for name in names if any(_text(each.get(name)) != _text(common.get(name)) for each in others)]
    own = [each.get("metadata", {}) for each in found]
    shared = {key: value for key, value in own[0].items() if all(_text(each.get(key)) == _text(value) for each in own)}
    common["metadata"] = shared
    keys = sorted({key for each in own for key in each} - shared.keys())
    if lost:
        warnings.warn(f"the files differ in {', '.join(lost)}: the stack has those of {layers[0].path}", stacklevel=4)
    if keys:
        warnings.warn(
            f"the files differ in their metadata ({', '.join(map(repr, keys)):.200}): those are in "
            "layer.metadata['agv']['metadata'] alone, for each file, and are not saved with the stack",
            stacklevel=4,
        )
    return common


def _text(value: Any) -> str:
    """Equal for equal attributes."""
    return json.dumps(value, default=lambda array: array.tolist())


def _limits(header: Header, first: int, layer: StoredLayer) -> tuple[float, float] | None:
    """The lowest and the highest value of a layer that begins with a frame, None for 8 bits that are not mapped."""
    if header.range is None:
        return None if layer.values is None else layer.values.range
    ranges = np.array([header.range_of(first + number) for number in range(layer.count)])
    if layer.values is not None:
        ranges = np.array([layer.values[number].to_values(each) for number, each in enumerate(ranges)])
    return ranges.min().item(), ranges.max().item()


def _in_bands(pixels: NDArray[Any], bands: int) -> NDArray[Any]:
    """Decoded pixels as (Y, X) for one band, else (Y, X, bands)."""
    planes = np.atleast_3d(pixels)
    grey = planes.shape[2] < 3
    if bands == 1:
        if grey:
            return planes[..., 0]
        mean: NDArray[Any] = ((planes[..., :3].sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)
        return mean
    colour = np.repeat(planes[..., :1], 3, axis=2) if grey else planes[..., :3]
    if bands == 3:
        return colour
    alpha = planes[..., -1:] if planes.shape[2] % 2 == 0 else np.full_like(planes[..., :1], 255)
    return np.concatenate((colour, alpha), axis=2)
