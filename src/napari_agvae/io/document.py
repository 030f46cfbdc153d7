"""The JSON in a file that says which layers its frames are; docs/FORMAT.md specifies it."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from agvae.container import Header
from napari_agvae.io.attributes import MAX_DOCUMENT, from_json, geometry, to_json
from napari_agvae.io.layer_frames import LayerFrames
from napari_agvae.io.values import FrameMaps

LayerData = tuple[Any, dict[str, Any], str]
"""(data, attributes, "image"), as napari has it."""

MAX_LAYERS = 1024
MAX_NAME = 1000
MAX_AXES = 32

_BANDS = {"L": 1, "LA": 4, "RGB": 3, "RGBA": 4, "I;16": 1}


@dataclass(frozen=True)
class StoredLayer:
    """A layer in a file.

    Attributes:
        shape: sizes of the axes before Y and X; its frames follow each other, the last axis fastest.
        bands: 1 for grey, 3 RGB, 4 RGBA.
        values: how to get values from grey or colour; None where they are the values.
        name: of the layer, or None.
        attributes: keyword arguments of a napari image layer, but for its name.
    """

    shape: tuple[int, ...]
    bands: int
    values: FrameMaps | None = None
    name: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of frames."""
        return math.prod(self.shape)


def describe_layer(
    frames: LayerFrames, attributes: Mapping[str, Any], values: FrameMaps | None, *, alone: bool = True
) -> dict[str, Any]:
    """The members of a layer, as docs/FORMAT.md has them, without what a file means with no document.

    Metadata that JSON has no types for, and what is beyond the limits of the format, is left out with a warning.

    Args:
        frames: the layer's.
        attributes: the layer's, as napari gives them to writers.
        values: how its values become codes; None if they are the codes.
        alone: whether it is the only layer of the file.

    Raises:
        TypeError: its place is impossible.
    """
    ndim = len(frames.shape) + 2
    member = to_json(attributes, ndim, frames.bands)
    for key, value in list(member.items()):
        try:
            from_json({key: value}, ndim, frames.bands)
        except ValueError as error:
            if key in geometry(ndim):
                msg = f"layer {frames.name!r} cannot be saved as .agv: {error}"
                raise TypeError(msg) from error
            warnings.warn(f"{key} of layer {frames.name!r} is not saved: it is beyond what .agv holds", stacklevel=2)
            del member[key]
    if frames.dtype == "uint8" and member.get("contrast_limits") == [0, 255]:
        del member["contrast_limits"]
    if values is not None:
        member["values"] = values.to_json()
    if not alone:
        member |= {"name": frames.name[:MAX_NAME], "bands": frames.bands}
    if member or frames.shape != ((frames.count,) if frames.count > 1 else ()):
        member["shape"] = list(frames.shape)
    return member


def pack_layers(layers: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes | None:
    """The document of layers, each as `describe_layer` gives it; None where there is nothing to say.

    Metadata that are too large are left out, the largest first, with a warning.

    Args:
        names: of the layers, for messages.

    Raises:
        TypeError: there are more than 1024 layers, or it would have more than 4 MiB without any metadata.
    """
    if len(layers) > MAX_LAYERS:
        msg = f"a .agv file holds at most {MAX_LAYERS} layers, not {len(layers)}: stack them, or save them one by one"
        raise TypeError(msg)
    if not any(layers):
        return None
    data = _dumps({"layers": list(layers)})
    if len(data) > MAX_DOCUMENT:
        data = _dumps({"layers": _within(MAX_DOCUMENT - len(data), layers, names)})
    if len(data) > MAX_DOCUMENT:
        size, name = max((len(_dumps(layer)), name) for layer, name in zip(layers, names, strict=True))
        msg = (
            f"the description of the layers takes {len(data)} bytes, of which {MAX_DOCUMENT} can be saved, and that of "
            f"layer {name!r} {size} of them: save fewer layers or frames in one file"
        )
        raise TypeError(msg)
    return data


def _within(room: int, layers: Sequence[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """The layers without their largest metadata, until there is room."""
    kept = [{**layer, "metadata": dict(layer["metadata"])} if "metadata" in layer else layer for layer in layers]
    sizes = [
        (len(_dumps({key: value})), number, key)
        for number, layer in enumerate(kept)
        for key, value in layer.get("metadata", {}).items()
    ]
    for size, number, key in sorted(sizes, reverse=True):
        if room >= 0:
            break
        del kept[number]["metadata"][key]
        room += size - 1
        warnings.warn(
            f"metadata {key!r} of layer {names[number]!r} is not saved: it has {size} bytes, and what a file says of "
            f"its layers at most {MAX_DOCUMENT}",
            stacklevel=4,
        )
    return kept


def _dumps(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def plain_layer(header: Header) -> StoredLayer:
    """The layer of a file without a document."""
    return StoredLayer((header.frames,) if header.frames > 1 else (), _BANDS[header.mode])


def parse_layers(data: bytes, header: Header) -> list[StoredLayer]:
    """The layers of a file.

    Raises:
        ValueError: the document is not as docs/FORMAT.md says, or does not fit the file.
    """
    if len(data) > MAX_DOCUMENT:
        msg = f"the description of its layers has {len(data)} bytes"
        raise ValueError(msg)
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        msg = f"the description of its layers is no JSON ({error!s:.100})"
        raise ValueError(msg) from error
    members = document.get("layers") if isinstance(document, dict) else None
    if not isinstance(members, list) or not 1 <= len(members) <= MAX_LAYERS:
        msg = "the description of its layers has none, or too many"
        raise ValueError(msg)
    layers = [_parse_layer(member, header) for member in members]
    if sum(layer.count for layer in layers) != header.frames:
        msg = f"the description of its layers does not fit {header.frames} frames"
        raise ValueError(msg)
    return layers


def _parse_layer(member: Any, header: Header) -> StoredLayer:
    shape, values, name = (), None, None
    bands = _BANDS[header.mode]
    good = isinstance(member, dict)
    if good:
        shape, bands = member.get("shape", []), member.get("bands", bands)
        values, name = member.get("values"), member.get("name")
        good = (
            isinstance(shape, list)
            and len(shape) <= MAX_AXES - 2
            and all(type(size) is int and 1 <= size <= header.frames for size in shape)
            and type(bands) is int
            and bands in ((1,) if header.mode == "I;16" else (1, 3, 4))
            and (values is None or isinstance(values, dict))
            and (name is None or (isinstance(name, str) and len(name) <= MAX_NAME))
        )
    if not good:
        msg = "the description of a layer is impossible"
        raise ValueError(msg)
    if values is not None:
        values = FrameMaps.from_json(values, math.prod(shape))
    attributes = from_json(member, len(shape) + 2, bands)
    return StoredLayer(tuple(shape), bands, values, name, attributes)


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is no number"
    raise ValueError(msg)
