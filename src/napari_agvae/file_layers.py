"""The layers that files hold, known from their headers and decoded frame by frame."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import agvae
from agvae.container import AgvError, Header, Reader
from napari_agvae.document import StoredLayer, parse_layers, plain_layer
from napari_agvae.settings import plugin_settings, wanted_device
from napari_agvae.values import alpha_map


class FileLayer(NamedTuple):
    """A layer in a file, not decoded yet; `first` is its first frame, `position` its place among the layers."""

    path: Path
    stamp: tuple[int, ...]
    stored: StoredLayer
    position: int
    first: int
    size: tuple[int, int]
    dtype: np.dtype[Any]
    limits: tuple[float, float] | None
    info: dict[str, Any]
    alone: bool

    @property
    def shape(self) -> tuple[int, ...]:
        colour = (self.stored.bands,) if self.stored.bands > 1 else ()
        return (*self.stored.shape, *self.size, *colour)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What it is known by when its file has been saved anew."""
        return self.stored.name, self.shape, self.dtype

    def now(self) -> FileLayer:
        """The layer as the file has it now: it may have been saved anew since it was opened.

        Raises:
            OSError: the file has no layer of this name, shape and type any more.
        """
        with _named(self.path):
            if _stamp(self.path) == self.stamp:
                return self
        same = [layer for layer in open_file(self.path) if layer.kind == self.kind]
        if len(same) > 1:
            same = [layer for layer in same if layer.position == self.position]
        if len(same) != 1:
            msg = f"{self.path} has changed since it was opened and holds other layers: open it again"
            raise OSError(msg)
        return same[0]

    def decode(self, frame: int, *, for_viewer: bool = False) -> NDArray[Any]:
        """A frame of it, (Y, X) or (Y, X, bands); for a viewer on the device of its choice, grey where damaged."""
        number = self.first + frame
        device = wanted_device(plugin_settings()) if for_viewer else None
        with _named(self.path), agvae.options.using(device=device):
            try:
                pixels = agvae.decode(self.path, frame=number)
            except AgvError as error:
                if not for_viewer:
                    raise
                pixels = agvae.decode(self.path, frame=number, damaged_ok=True)
                warnings.warn(f"{self.path}: {error.reason}; frame {number} is grey where it is damaged", stacklevel=2)
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
    """
    path = Path(path).absolute()  # frames are read later, maybe with another working directory
    with _named(path):
        stamp = _stamp(path)
        if stamp[-1] == 0:
            msg = "it is empty"
            raise AgvError(msg)
        info = agvae.read_info(path)
        with path.open("rb") as file:
            reader = Reader(file)
            header = reader.header
            arrays = reader.metadata.arrays
            stored = [plain_layer(header)] if arrays is None else parse_layers(arrays, header)
            firsts = [*accumulate((layer.count for layer in stored), initial=0)]
            checks = [reader.tiles(first) for layer, first in zip(stored, firsts, strict=False) if not layer.shape]
            last = reader.tile(header.frames - 1, header.tiles_per_frame - 1)
            for tile in chain([last], *checks):
                if tile.error is not None:
                    raise tile.error
        layers = []
        for position, (layer, first) in enumerate(zip(stored, firsts, strict=False)):
            values, facts = layer.values, info
            limits, dtype = _grey_range(header, first, layer.count), np.dtype(np.uint16 if header.range else np.uint8)
            if values is not None:
                limits, facts, dtype = values.range, info | {"values": values.to_json()}, np.dtype(values[0].dtype)
                if layer.bands == 4:
                    alpha_map(dtype)
            size = (header.height, header.width)
            alone = len(stored) == 1
            layers.append(FileLayer(path, stamp, layer, position, first, size, dtype, limits, facts, alone))
    return layers


def _grey_range(header: Header, first: int, count: int) -> tuple[float, float] | None:
    """The lowest and the highest value of some frames, None for 8 bits."""
    if header.ranges is None:
        return header.range
    ranges = header.ranges[2 * first : 2 * (first + count)]
    return min(ranges), max(ranges)


def _stamp(path: Path) -> tuple[int, ...]:
    """What differs once a file has been written anew."""
    state = path.stat()
    return state.st_ino, state.st_mtime_ns, state.st_size


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


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of which file an error is."""
    try:
        yield
    except (SyntaxError, ValueError, OSError, Image.DecompressionBombError) as error:
        reason = error.reason if isinstance(error, AgvError) else getattr(error, "strerror", None) or error
        msg = f"{path} cannot be opened: {reason}"
        raise OSError(msg) from error
