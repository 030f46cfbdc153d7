"""`.agv` files as napari layers: one frame as an array of NumPy, several as a dask array that decodes what is shown."""

from __future__ import annotations

import math
import os
import re
import secrets
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import agvae
from napari_agvae.activity import in_activity_dock
from napari_agvae.io.attributes import known_here
from napari_agvae.io.document import LayerData
from napari_agvae.io.file_layers import FileLayer, common_attributes, open_file
from napari_agvae.loading import import_codec
from napari_agvae.preferences import plugin_settings, wanted_device
from napari_agvae.preview.regions import ALIGNMENT

BATCH = 8000
"""Pixels, with those that the codec adds, which are decoded as fast as one of them."""

Source = str | os.PathLike[str]


def get_reader(path: Source | Sequence[Source]) -> Callable[[Source | Sequence[Source]], list[LayerData]] | None:
    """The reader of a path, or of a list of paths to stack; None where one of them does not end in .agv.

    Looks at names only: what is wrong with a file is for the reader to say.  A folder must hold such files.
    """
    paths = [path] if isinstance(path, str | os.PathLike) else path
    if len(paths) == 1 and Path(paths[0]).is_dir():
        return _read if _agv_files(Path(paths[0])) else None
    return _read if paths and all(os.fspath(each).lower().endswith(".agv") for each in paths) else None


def _read(path: Source | Sequence[Source]) -> list[LayerData]:
    what = os.fspath(path) if isinstance(path, str | os.PathLike) else f"{len(path)} files"
    with in_activity_dock(f"Opening {Path(what).name}", f"{what} cannot be opened"):
        return viewer_layers(path)


def viewer_layers(path: Source | Sequence[Source]) -> list[LayerData]:
    """As `read_agv`, for a viewer: without what this napari does not know; damaged frames are grey, with a warning.

    An error while napari takes a slice would leave half a layer in the viewer.
    """
    with agvae.options.using(device=wanted_device(plugin_settings())):
        found = _layers(path, for_viewer=True)
    return [(data, known_here(attributes), kind) for data, attributes, kind in found]


def read_agv(path: Source | Sequence[Source]) -> list[LayerData]:
    """The layers of a file, or of several files that each hold one, stacked along a new first axis.

    Each is (data, attributes, "image"), as `napari.layers.Layer.create` takes it.  Data are uint8 or what was saved,
    (..., Y, X) or in colour (..., Y, X, 3 or 4): of one frame decoded, of more a dask array with a chunk for each,
    or for a few up to 32 pixels a side.
    `attributes["metadata"]["agv"]` is what `agvae.read_info` says of the file, and the map of values, if there is one.
    Of a folder, its .agv files are stacked where that is possible, else each of them gives its layers.

    Raises:
        OSError: a file is not there, damaged, or needs a model that is not to be had; the text names it.
        ValueError: files to stack differ in size or kind, or hold more than one layer.
    """
    return _layers(path, for_viewer=False)


def _layers(path: Source | Sequence[Source], *, for_viewer: bool) -> list[LayerData]:
    if not isinstance(path, str | os.PathLike):
        inside = [_agv_files(Path(each)) if Path(each).is_dir() else [each] for each in path]
        return [_stacked([open_file(each) for part in inside for each in part], for_viewer)]
    files = _sound_files(Path(path)) if Path(path).is_dir() else [open_file(path)]
    if not files:
        msg = f"{path} holds no .agv files"
        raise OSError(msg)
    if len(files) > 1 and not _why_apart(files):
        return [_stacked(files, for_viewer, Path(path).name)]
    layers = [layer for of_file in files for layer in of_file]
    if for_viewer and not all(layer.stored.shape or layer.info["lossless"] for layer in layers):
        import_codec()
    return [_layer_data(layer, for_viewer) for layer in layers]


def _agv_files(folder: Path) -> list[Path]:
    """Those of a folder, 2 before 10; without hidden ones, which macOS leaves beside files on other systems' disks."""
    named = (path for path in folder.iterdir() if path.suffix.lower() == ".agv" and not path.name.startswith("."))
    found = (path for path in named if path.is_file())
    return sorted(found, key=lambda path: [part.zfill(20) for part in re.split(r"(\d+)", path.name.lower())])


def _sound_files(folder: Path) -> list[list[FileLayer]]:
    """The files of a folder, without those that cannot be opened, of which warnings tell.

    Raises:
        OSError: none can be opened.
    """
    sound, errors = [], []
    for path in _agv_files(folder):
        try:
            sound.append(open_file(path))
        except OSError as error:
            errors.append(error)
    if errors and not sound:
        raise errors[0]
    for reason in errors:
        warnings.warn(f"{reason}; it is left out", stacklevel=4)
    return sound


def _layer_data(layer: FileLayer, for_viewer: bool) -> LayerData:
    stored = layer.stored
    data = layer.decode(range(1))[0] if not stored.shape else _lazy([layer], for_viewer)[0]
    name = layer.path.stem if layer.alone or stored.name is None else stored.name
    attributes = {"name": name, **layer.attributes}
    attributes["metadata"] = {**attributes.get("metadata", {}), "agv": layer.info}
    return data, attributes, "image"


def _stacked(files: Sequence[list[FileLayer]], for_viewer: bool, name: str | None = None) -> LayerData:
    if reason := _why_apart(files):
        raise ValueError(reason)
    layers = [layers[0] for layers in files]
    first = layers[0]
    attributes = {"name": name or first.path.stem, **common_attributes(layers)}
    for name, new in (("scale", 1), ("translate", 0), ("units", "pixel"), ("axis_labels", "file")):
        if name in attributes:
            attributes[name] = (new, *attributes[name])
    for name in ("rotate", "shear", "affine"):
        if name in attributes:
            attributes[name] = _with_an_axis(np.array(attributes[name]), len(first.stored.shape) + 2)
    own = [layer.stored.attributes.get("metadata", {}) for layer in layers]
    facts = {"files": [layer.info for layer in layers]} | ({"metadata": own} if any(own) else {})
    attributes["metadata"] = {**attributes.get("metadata", {}), "agv": facts}
    return _lazy(layers, for_viewer), attributes, "image"


def _why_apart(files: Sequence[list[FileLayer]]) -> str:
    """Why files cannot be stacked; empty if they can."""
    first = files[0][0]
    for layers in files:
        layer = layers[0]
        if len(layers) > 1:
            return f"{layer.path} holds {len(layers)} layers: open it without stacking"
        if (layer.shape, layer.dtype) != (first.shape, first.dtype):
            return (
                f"files to stack must be of one size and kind: {first.path} has the shape {first.shape} "
                f"({first.dtype}), {layer.path} {layer.shape} ({layer.dtype})"
            )
    return ""


def _with_an_axis(matrix: NDArray[Any], ndim: int) -> NDArray[Any]:
    """A matrix, or the numbers above the diagonal of one, of `ndim` axes, for one axis more in front of them."""
    if matrix.ndim == 1:
        above, matrix = matrix, np.eye(ndim)
        matrix[np.triu_indices(ndim, 1)] = above
    wider = np.eye(len(matrix) + 1)
    wider[1:, 1:] = matrix
    return wider


def _lazy(layers: Sequence[FileLayer], for_viewer: bool) -> Any:
    """A dask array of layers of one shape, along a new first axis.

    It has a chunk for each frame, or for a few of the last axis before Y where they are tiny.
    """
    import dask.array as da

    first = layers[0]
    axes = (len(layers), *first.stored.shape)
    pixels = math.prod(-(-side // ALIGNMENT) * ALIGNMENT for side in first.size)
    most = max(1, BATCH // pixels) if len(axes) > 1 else 1
    counts = tuple(min(most, axes[-1] - begin) for begin in range(0, axes[-1], most))
    sizes = [*((1,) * axis for axis in axes[:-1]), counts]
    sizes += [(axis,) for axis in first.shape[len(axes) - 1 :]]

    def chunk(block_id: tuple[int, ...]) -> NDArray[Any]:
        *places, block = block_id[: len(axes)]
        number, *begin = (*places, block * most)
        frame = int(np.ravel_multi_index(begin, axes[1:])) if begin else 0
        frames = layers[number].decode(range(frame, frame + counts[block]), for_viewer=for_viewer)
        return np.stack(frames)[(None,) * (len(axes) - 1)]

    name = f"agv-{secrets.token_hex(8)}"  # dask may take what has one name for one array, and files change
    meta = np.empty((0,) * len(sizes), first.dtype)
    return da.map_blocks(chunk, chunks=tuple(sizes), dtype=first.dtype, meta=meta, name=name)
