"""`.agv` files as napari layers: one frame as an array of NumPy, several as a dask array that decodes what is shown."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import agvae
from agvae.container import AgvError, Header, Reader
from napari_agvae.attributes import known_here
from napari_agvae.document import LayerData, StoredLayer, parse_layers, plain_layer
from napari_agvae.loading import import_codec
from napari_agvae.progress import in_activity_dock
from napari_agvae.settings import plugin_settings, use_device
from napari_agvae.values import alpha_map

Source = str | os.PathLike[str]


def get_reader(path: Source | Sequence[Source]) -> Callable[[Source | Sequence[Source]], list[LayerData]] | None:
    """The reader of a path, or of a list of paths to stack; None where one of them does not end in .agv.

    Looks at names only: what is wrong with a file is for the reader to say.
    """
    paths = [path] if isinstance(path, str | os.PathLike) else path
    return _read if paths and all(os.fspath(each).lower().endswith(".agv") for each in paths) else None


def _read(path: Source | Sequence[Source]) -> list[LayerData]:
    name = Path(path).name if isinstance(path, str | os.PathLike) else f"{len(path)} files"
    with in_activity_dock(f"Opening {name}"):
        return viewer_layers(path)


def viewer_layers(path: Source | Sequence[Source]) -> list[LayerData]:
    """As `read_agv`, for a viewer: without what this napari does not know; damaged frames are grey, with a warning.

    An error while napari takes a slice would leave half a layer in the viewer.
    """
    use_device(plugin_settings())
    found = _layers(path, damaged_ok=True, before_decoding=import_codec)
    return [(data, known_here(attributes), kind) for data, attributes, kind in found]


def read_agv(path: Source | Sequence[Source]) -> list[LayerData]:
    """The layers of a file, or of several files that each hold one, stacked along a new first axis.

    Each is (data, attributes, "image"), as `napari.layers.Layer.create` takes it.  Data are uint8 or what was saved,
    (..., Y, X) or in colour (..., Y, X, 3 or 4): of one frame decoded, of more a dask array with a chunk for each.
    `attributes["metadata"]["agv"]` is what `agvae.read_info` says of the file, and the map of values, if there is one.

    Raises:
        OSError: a file is not there, damaged, or needs a model that is not to be had; the text names it.
        ValueError: files to stack differ in size or kind, or hold more than one layer.
    """
    return _layers(path, damaged_ok=False)


def _layers(
    path: Source | Sequence[Source], *, damaged_ok: bool, before_decoding: Callable[[], None] = lambda: None
) -> list[LayerData]:
    if isinstance(path, str | os.PathLike):
        layers = _open(path)
        before_decoding()
        return [_layer_data(layer, damaged_ok) for layer in layers]
    files = [_open(each) for each in path]
    before_decoding()
    return [_stacked(files, damaged_ok)]


class _Layer(NamedTuple):
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

    def now(self) -> _Layer:
        """The layer as the file has it now: it may have been saved anew since it was opened.

        Raises:
            OSError: the file has no layer of this name, shape and type any more.
        """
        with _named(self.path):
            if _stamp(self.path) == self.stamp:
                return self
        same = [layer for layer in _open(self.path) if layer.kind == self.kind]
        if len(same) > 1:
            same = [layer for layer in same if layer.position == self.position]
        if len(same) != 1:
            msg = f"{self.path} has changed since it was opened and holds other layers: open it again"
            raise OSError(msg)
        return same[0]

    def decode(self, frame: int, *, damaged_ok: bool = False) -> NDArray[Any]:
        """A frame of it, (Y, X) or (Y, X, bands)."""
        number = self.first + frame
        with _named(self.path):
            try:
                pixels = agvae.decode(self.path, frame=number)
            except AgvError as error:
                if not damaged_ok:
                    raise
                pixels = agvae.decode(self.path, frame=number, damaged_ok=True)
                warnings.warn(f"{self.path}: {error}; frame {number} is grey where it is damaged", stacklevel=2)
        pixels = _in_bands(pixels, self.stored.bands)
        values = self.stored.values
        if values is None:
            return pixels
        parts = [values[frame].to_values(pixels[..., :3] if self.stored.bands == 4 else pixels)]
        if self.stored.bands == 4:
            parts.append(alpha_map(self.dtype).to_values(pixels[..., 3:]))
        return np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]


def _open(path: Source) -> list[_Layer]:
    """What a file holds, from its header.

    Checks the tiles of layers of one frame, before PyTorch is imported to decode them, and the last tile of the file,
    so that a short one is noticed.
    """
    path = Path(path).absolute()  # frames are read later, maybe with another working directory
    with _named(path):
        stamp = _stamp(path)
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
            layers.append(_Layer(path, stamp, layer, position, first, size, dtype, limits, facts, alone))
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


def _layer_data(layer: _Layer, damaged_ok: bool) -> LayerData:
    stored = layer.stored
    data = layer.decode(0) if not stored.shape else _lazy([layer], damaged_ok)[0]
    name = layer.path.stem if layer.alone or stored.name is None else stored.name
    attributes = {"name": name, **_attributes(layer)}
    attributes["metadata"] = {**stored.attributes.get("metadata", {}), "agv": layer.info}
    return data, attributes, "image"


def _stacked(files: Sequence[list[_Layer]], damaged_ok: bool) -> LayerData:
    for layers in files:
        if len(layers) > 1:
            msg = f"{layers[0].path} holds {len(layers)} layers: open it without stacking"
            raise ValueError(msg)
    layers = [layers[0] for layers in files]
    first = layers[0]
    for layer in layers:
        if (layer.shape, layer.dtype) != (first.shape, first.dtype):
            msg = (
                f"files to stack must be of one size and kind: {first.path} has the shape {first.shape} "
                f"({first.dtype}), {layer.path} {layer.shape} ({layer.dtype})"
            )
            raise ValueError(msg)
    attributes = {"name": first.path.stem, **_attributes(first)}
    for name, new in (("scale", 1), ("translate", 0), ("units", "pixel"), ("axis_labels", "file")):
        if name in attributes:
            attributes[name] = (new, *attributes[name])
    for name in ("rotate", "shear", "affine"):
        if name in attributes:
            attributes[name] = _with_an_axis(np.array(attributes[name]), len(first.stored.shape) + 2)
    attributes["metadata"] = {"agv": {"files": [layer.info for layer in layers]}}
    return _lazy(layers, damaged_ok), attributes, "image"


def _with_an_axis(matrix: NDArray[Any], ndim: int) -> NDArray[Any]:
    """A matrix, or the numbers above the diagonal of one, of `ndim` axes, for one axis more in front of them."""
    if matrix.ndim == 1:
        above, matrix = matrix, np.eye(ndim)
        matrix[np.triu_indices(ndim, 1)] = above
    wider = np.eye(len(matrix) + 1)
    wider[1:, 1:] = matrix
    return wider


def _attributes(layer: _Layer) -> dict[str, Any]:
    """Keyword arguments of napari's image layer."""
    attributes: dict[str, Any] = {"rgb": layer.stored.bands > 1}
    if layer.limits is not None and layer.limits[0] < layer.limits[1] and layer.stored.bands == 1:
        attributes["contrast_limits"] = list(layer.limits)  # else napari would decode frames to find some
    return attributes | {key: value for key, value in layer.stored.attributes.items() if key != "metadata"}


def _lazy(layers: Sequence[_Layer], damaged_ok: bool) -> Any:
    """A dask array of layers of one shape, along a new first axis, with a chunk for each frame."""
    import dask.array as da

    first = layers[0]
    axes = (len(layers), *first.stored.shape)
    sizes = [(1,) * axis for axis in axes] + [(axis,) for axis in first.shape[len(axes) - 1 :]]

    def chunk(block_id: tuple[int, ...]) -> NDArray[Any]:
        frame = int(np.ravel_multi_index(block_id[1 : len(axes)], axes[1:])) if len(axes) > 1 else 0
        return layers[block_id[0]].now().decode(frame, damaged_ok=damaged_ok)[(None,) * len(axes)]

    name = f"agv-{secrets.token_hex(8)}"  # dask may take what has one name for one array, and files change
    meta = np.empty((0,) * len(sizes), first.dtype)
    return da.map_blocks(chunk, chunks=tuple(sizes), dtype=first.dtype, meta=meta, name=name)


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
        msg = f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}"
        raise OSError(msg) from error
