"""Looking for a quality: of which the file of a layer has some size, or the slice on view some rate or likeness."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

from agvae import decode, options, read_info
from agvae.boxes import Box
from agvae.coding.frames import Frames
from agvae.coding.rate_control import encode_to_psnr, encode_to_size
from agvae.container import Metadata
from agvae.encoding import encode_frames
from agvae.quality import parse_quality
from napari_agvae.docks.tasks import Task
from napari_agvae.io.document import describe_layer, pack_layers
from napari_agvae.io.layer_frames import LayerCodes, LayerFrames
from napari_agvae.loading import load_codec
from napari_agvae.preview.live import Request
from napari_agvae.preview.measured import psnr, rounded
from napari_agvae.preview.slices import LayerSlice
from napari_agvae.preview.survey import Survey

UNITS = ("kB", "bpp", "dB")
FEWEST, ENOUGH = 4, 2**23
"""Frames, and pixels of them, from which the size of the file of a stack is told."""
_SEARCH = 8
"""A search codes its frames about so often; decoding counts as well."""


class Found(NamedTuple):
    """A level, and the size of the file in words, empty where no file was looked for."""

    level: int
    size: str = ""


def find_quality(
    request: Request, pixels: int, frames: int, value: float, unit: str, done: Callable[[Found], None]
) -> Task:
    """The task of finding the level of a target.

    Args:
        request: of the slice on view.
        pixels, frames: of a slice, and of the layer.
        value, unit: "kB", 1000 bytes of the file of the whole layer, at most; of the slice on view "bpp", bits per
            pixel, at most, or "dB", its PSNR.
        done: takes what is found.
    """
    of_file = unit == "kB"
    count = len(spread(frames, pixels)) if of_file else 1

    def work() -> Found:
        with options.using(device=request.device):
            load_codec(request.model)
            return _of_file(request, value * 1000) if of_file else _of_slice(request, value, unit)

    what = f"a file of {value:g} {unit}" if of_file else f"{value:g} {unit}"
    return Task(f"Looking for {what}", work, _SEARCH * pixels * count, done)


def spread(count: int, pixels: int) -> list[int]:
    """Numbers of frames of so many pixels: all of a small stack, else some that are spread evenly."""
    taken = min(count, max(FEWEST, ENOUGH // pixels))
    return [(2 * k + 1) * count // (2 * taken) for k in range(taken)]


def _of_file(request: Request, size: float) -> Found:
    """The level at which the file of the layer has at most so many bytes; of a large stack that is an estimate."""
    layer = LayerFrames(request.data, request.attributes)
    numbers = spread(layer.count, layer.width * layer.height)
    codes = LayerCodes(layer, request.value_range, numbers)
    frames = Frames(codes)
    with warnings.catch_warnings():  # the writer's are of what is saved
        warnings.simplefilter("ignore")
        documents = [
            pack_layers([describe_layer(layer, request.attributes, values)], [layer.name])
            for values in (codes.values, None)
        ]
    fixed = len(documents[1] or b"")
    share = len(numbers) / layer.count
    target = size if share == 1 else max(1, fixed + (size - fixed) * share)
    try:
        data = encode_to_size(_coder(frames, documents[0], request.model), target)
    except ValueError as error:
        if share == 1:
            raise
        msg = f"{error} (of {len(numbers)} of the {layer.count} slices)"
        raise ValueError(msg) from error
    if share == 1:
        return Found(_level(data), f"{rounded(len(data))} ({layer.count})")
    return Found(_level(data), f"≈ {rounded(fixed + (len(data) - fixed) / share)} ({layer.count})")


def _of_slice(request: Request, value: float, unit: str) -> Found:
    source = LayerSlice(request.data, request.attributes, request.index, request.value_range)
    everything = Box(0, 0, *source.size)
    survey = Survey(request.data, request.attributes, request.value_range)
    frames = survey.original(source, everything).frames
    coder = _coder(frames, source.document(request.attributes), request.model)
    if unit == "bpp":
        return Found(_level(encode_to_size(coder, value * everything.area / 8)))
    original = source.reference(everything)
    data = encode_to_psnr(
        coder,
        lambda data: psnr(original, source.result(decode(data)), source.bounds),
        value,
    )
    return Found(_level(data))


def _coder(frames: Frames, document: bytes | None, model: str | None) -> Callable[[int], bytes]:
    """Gives the file of a level: with what is without loss at that level, since only a level can be set."""
    return lambda level: encode_frames(frames, level, Metadata(arrays=document), model)


def _level(data: bytes) -> int:
    return parse_quality(read_info(data)["quality"])
