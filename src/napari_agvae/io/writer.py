"""Image layers of napari to `.agv` files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray

import agvae
from agvae.coding.assemble import Level
from agvae.coding.frames import Frames
from agvae.container import Metadata
from agvae.encoding import encode_frames, parse_level
from agvae.quality import level_to_quality, parse_effort
from agvae.whole_file import check_target, write_whole
from napari_agvae.activity import in_activity_dock, saving
from napari_agvae.io.document import LayerData, describe_layer, pack_layers
from napari_agvae.io.layer_frames import LayerCodes, LayerFrames
from napari_agvae.io.opened import keep_open
from napari_agvae.loading import load_codec
from napari_agvae.own import shows_preview
from napari_agvae.preferences import (
    EXACT,
    RANGES,
    VALUES,
    Settings,
    plugin_settings,
    wanted_device,
    wanted_effort,
    wanted_level,
    wanted_model,
)


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save one image layer, as napari calls it; returns the path written."""
    return write_images(path, [(data, attributes, "image")])


def write_without_loss(path: str, layers: Sequence[LayerData]) -> list[str]:
    """As `write_images`, with all values as they are."""
    return write_images(path, layers, lossless=True)


def write_images(path: str, layers: Sequence[LayerData], *, lossless: bool = False) -> list[str]:
    """Save image layers in one file, as napari calls it; returns the path written.

    Layers that a preview made are left out, with a warning.

    Args:
        lossless: lose nothing, whatever layers, docks and settings say.

    Raises:
        TypeError: there are no others, or as `write_agv`.
    """
    kept = [each for each in layers if not shows_preview(each[0])]
    names = ", ".join(repr(attributes.get("name")) for data, attributes, _ in layers if shows_preview(data))
    if not kept and names:
        msg = f"{path} was not saved: {names} only shows a preview; save the layer itself, or duplicate this one first"
        raise TypeError(msg)
    if names:
        warnings.warn(f"{names} is not saved: it only shows a preview", stacklevel=2)
    return save_images(path, kept, lossless=lossless)


def save_images(path: str, layers: Sequence[LayerData], *, lossless: bool = False) -> list[str]:
    """Save image layers in one file as they, the docks and settings say; returns the path written."""
    settings = plugin_settings()
    sizes = [LayerFrames(data, attributes) for data, attributes, kind in layers if kind == "image"]
    pixels = sum(frames.count * frames.height * frames.width for frames in sizes)
    try:
        level = None if lossless else wanted_level(layers, settings)
        using = agvae.options.using(device=wanted_device(settings))
        with using, in_activity_dock(f"Saving {Path(path).name}", f"{path} was not saved", saving(pixels)):
            return [_save_as_wanted(level, path, layers, settings)]
    except ValueError as error:  # of which napari says no more than that no data were written
        msg = f"{path} was not saved: {error}"
        raise TypeError(msg) from error


def _save_as_wanted(level: Level, path: str, layers: Sequence[LayerData], settings: Settings) -> str:
    model, effort = wanted_model(settings), wanted_effort(settings)
    return save_at(level, path, layers, model=model, value_range=settings.value_range, effort=effort)


def save_at(
    level: Level,
    path: str | os.PathLike[str],
    layers: Sequence[LayerData],
    *,
    model: str | None,
    value_range: str,
    effort: int,
    replace: bool = True,
) -> str:
    """`write_agv` at a level, None for no loss, for which neither a model nor a range of values is needed."""
    if level is None:
        return write_agv(path, layers, lossless=True, replace=replace)
    load_codec(model)
    quality = level_to_quality(level)
    return write_agv(path, layers, quality, model=model, value_range=value_range, effort=effort, replace=replace)


def refuse_labels(path: str, layers: Sequence[LayerData]) -> NoReturn:
    """Say why labels are not saved.

    Raises:
        TypeError: always; napari would only warn that no data were written.
    """
    names = ", ".join(repr(attributes.get("name", kind)) for _, attributes, kind in layers if kind != "image")
    msg = (
        f"{names} cannot be saved as .agv: a lossy codec would change labels; save them as TIFF or zarr, "
        "and select only image layers for .agv"
    )
    raise TypeError(msg)


def write_agv(
    path: str | os.PathLike[str],
    layers: Sequence[LayerData],
    quality: float | None = None,
    *,
    model: str | None = None,
    value_range: str = VALUES,
    lossless: bool = False,
    effort: int = 1,
    replace: bool = True,
) -> str:
    """Save image layers in one file, whole or not at all; returns its path, with .agv added where it was missing.

    uint8 and grey uint16 are coded as they are, other numbers through a `ValueMap` of each frame that the file keeps.
    Frames are computed one at a time: below 64 MiB once, above twice, first for their ranges and then to be coded.
    Lazy arrays of `read_agv` stay as they are where their file is replaced: its old content is kept in memory.
    `agvae.progress.watched` can follow and stop it.

    Args:
        layers: (data, attributes, "image") each, as `Layer.as_layer_data_tuple` gives them; attributes may be {}.
        quality: 1 to 6, or 10 to 100 on the percent scale; 3.5 if not given.
        model: name of the model to code with; the default one if not given.
        value_range: "values" maps all values of a frame, "contrast limits" what is between these in grey layers.
        lossless: instead of a quality, a model and a range, all values as they are; needs no PyTorch.
        effort: 1 to 9, how long to look for fewer bits, as `agvae.encode` takes it.
        replace: whether a file that is there is replaced.

    Raises:
        TypeError: a layer is not an image that can be coded, or holds values that 16 bits, or 8 of colour, do not hold
            without loss, or layers do not fit in one file; the text says why.
        ValueError: the quality or the effort is outside its range, there is no such range of values, one of them is
            given with lossless, or the path has no name.
        OSError: the file cannot be written, or the model is not to be had.
    """
    level = parse_level(quality, lossless=lossless)
    parse_effort(effort)
    if value_range not in RANGES:
        msg = f"value_range must be one of {', '.join(map(repr, RANGES))}, not {value_range!r}"
        raise ValueError(msg)
    if lossless and value_range != VALUES:
        msg = "lossless leaves no range of values to choose: give only one of them"
        raise ValueError(msg)
    target = _target(path)
    check_target(target, replace=replace)
    parts = _parts(layers, EXACT if lossless else value_range)
    frames = Frames(_Pictures(parts), exact=bool(lossless))
    document = pack_layers(
        [
            describe_layer(part.frames, attributes, part.values, alone=len(parts) == 1)
            for part, (_, attributes, _) in zip(parts, layers, strict=True)
        ],
        [part.frames.name for part in parts],
    )
    data = encode_frames(frames, level, Metadata(arrays=document), model, effort=effort)
    keep_open(target)
    write_whole(target, data, replace=replace)
    return str(target)


def _target(path: str | os.PathLike[str]) -> Path:
    """The path to write, with .agv added where it was missing."""
    name = os.path.basename(path)  # noqa: PTH119 - of "folder/" pathlib takes the folder
    if not name.lower().removesuffix(".agv"):
        msg = f"{os.fspath(path)!r} names no file: give it a name before .agv"
        raise ValueError(msg)
    target = Path(path)
    return target if target.suffix.lower() == ".agv" else target.with_name(f"{target.name}.agv")


class _Pictures:
    """The frames of all layers, computed anew each time one goes through them."""

    def __init__(self, parts: Sequence[LayerCodes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return chain.from_iterable(self._parts)


def _parts(layers: Sequence[LayerData], value_range: str) -> list[LayerCodes]:
    if not layers:
        msg = "there are no layers to save"
        raise TypeError(msg)
    for _, attributes, kind in layers:
        if kind != "image":
            refuse_labels("", [({}, attributes, kind)])
    parts = [LayerCodes(LayerFrames(data, attributes), value_range) for data, attributes, _ in layers]
    a = parts[0].frames
    for b in (part.frames for part in parts):
        if (a.height, a.width) != (b.height, b.width) or a.deep != b.deep:
            msg = (
                "layers of one .agv file must have rows and columns of the same size and all 8 or all 16 bits: "
                f"{a.name!r} has {a.height} x {a.width} pixels ({a.dtype}), {b.name!r} {b.height} x {b.width} "
                f"({b.dtype}); save them one by one"
            )
            raise TypeError(msg)
    return parts
