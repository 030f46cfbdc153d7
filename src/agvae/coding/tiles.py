"""Tiles through a model, coded and decoded in batches of equal shape, whichever images they are of.

An image is cut into independent tiles.  g_a and g_s see a tile with a halo as wide as their receptive field, so the
result is that of the whole image; the entropy coder sees one tile's latents alone.  Tiles of equal shape, of one
image or of several, go through the networks as one batch.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agvae.boxes import Box, around
from agvae.coding.engine import Model, Packed
from agvae.coding.loaded import model_of
from agvae.coding.memory import Limits, attempts, batches, chunks
from agvae.coding.reconstruction import DecodeRequest, Reconstruction, synthesis_window
from agvae.coding.refine import MARGIN, Part, refined
from agvae.coding.windows import STRIDE, Window, latent_shape, padded
from agvae.errors import AgvError, DamagedFileError, Failures, about
from agvae.file.header import MAX_TILE_SIZE, Header, tile_box, tile_boxes, tiles_touched
from agvae.progress import checkpoint

Colour = NDArray[Any]
"""(H, W, 3), uint8, or float32 in [0, 1]."""


def decode_images(
    requests: Iterable[DecodeRequest], *, damaged_ok: bool = False, failures: Failures = ()
) -> Iterator[Any]:
    """Decode frames or boxes, as they are asked for: (h, w, 3) uint8, for mode "I;16" float32 in [0, 1].

    They are arrays, or tensors where a request says so.  Tiles without a payload, and with `damaged_ok` damaged ones,
    are neutral grey.

    Args:
        failures: kinds of errors to give in the place of a picture instead of raising them.

    Raises:
        DamagedFileError: a tile does not decode.
        UnsupportedFileError: a file needs other weights than those known under their name.
        agvae.errors.WeightsError: a file needs a model that is not to be had.
        MemoryError: an image does not fit in memory.
    """
    for _, same_model in itertools.groupby(requests, lambda request: (request.header.model, request.header.digest)):
        first = next(same_model)
        group = itertools.chain([first], same_model)  # noqa: B031 - goes on where `next` was
        try:
            with about(first.filename):
                loaded = model_of(first.header)
        except failures as error:
            yield from (_of_file(error, request.filename) for request in group)
        else:
            for chunk in chunks(group, lambda request: padded(request.area).area, loaded):
                yield from _decode_chunk(loaded, chunk, damaged_ok, failures)


def tiles_needed(header: Header, box: Box) -> list[int]:
    """Indices of the tiles of a frame that decoding a box needs: those that it or its halo touches.

    Raises as `decode_images` does, since the halo is the model's.
    """
    outer = synthesis_window(model_of(header), header, box).outer.overlap(header.box)
    assert outer is not None
    return tiles_touched(header, outer)


def latents_sha256(header: Header, tiles: Iterable[bytes]) -> str:
    """SHA-256 over the latents of tiles: int32 little-endian z, then y step by step, tile by tile.

    Args:
        tiles: payloads in the order of the file, of one frame or more.

    Raises:
        DamagedFileError: a tile does not decode; others as `decode_images`.
    """
    model = model_of(header)
    digest = hashlib.sha256()
    for payload, box in zip(tiles, itertools.cycle(tile_boxes(header)), strict=False):
        for attempt in attempts(model, padded(box).area):
            with attempt:
                (latents,) = attempt.model.unpack([payload], [header.level], *latent_shape(box))
        if isinstance(latents, DamagedFileError):
            raise latents
        digest.update(latents.tobytes())
    return digest.hexdigest()


def encode_tiles(
    model: Model, limits: Limits, tiles: Sequence[tuple[Colour, Box]], level: int
) -> Iterator[tuple[int, Packed]]:
    """Code boxes of images, each as a tile; gives their positions in the sequence in any order."""
    parts = _together(model, tiles)
    shapes = [(_analysis_window(model, part.image, part.box).shape, part.image.dtype) for part in parts]
    for batch in batches(shapes, [padded(part.box).area for part in parts], limits.batch):
        chosen = [parts[k] for k in batch]
        y = _analyse(model, [(part.image, part.box) for part in chosen], level, limits.side)
        latents = {
            number: of_part[padded(tiles[number][1]).within(padded(part.box), STRIDE)]
            for part, of_part in zip(chosen, y, strict=True)
            for number in part.tiles
        }
        numbers = list(latents)
        of_tiles = [latents[number].shape for number in numbers]
        for group in batches(of_tiles, [padded(tiles[number][1]).area for number in numbers], limits.batch):
            same = [numbers[k] for k in group]
            packed = model.pack(torch.stack([latents[number] for number in same]), [level] * len(same))
            yield from zip(same, packed, strict=True)
            checkpoint(sum(tiles[number][1].area for number in same))


class _Part(NamedTuple):
    """A box of an image that goes through g_a at once, and the numbers of the tiles in it."""

    image: Colour
    box: Box
    tiles: list[int]


def _together(model: Model, tiles: Sequence[tuple[Colour, Box]]) -> list[_Part]:
    """Tiles of one size that are neighbours in squares no larger than a tile may be, where that is less work."""
    squares: dict[tuple[int, ...], list[int]] = {}
    size = max((max(box.width, box.height) for _, box in tiles), default=1)
    side = MAX_TILE_SIZE // size * size
    for number, (image, box) in enumerate(tiles):
        square = box.left // side, box.top // side
        squares.setdefault((id(image), *square), []).append(number)
    parts = []
    for numbers in squares.values():
        image = tiles[numbers[0]][0]
        alone = [_Part(image, tiles[number][1], [number]) for number in numbers]
        joined = _Part(image, around([part.box for part in alone]), numbers)
        work = [_analysis_window(model, image, part.box).outer.area for part in (joined, *alone)]
        parts += [joined] if work[0] <= sum(work[1:]) else alone
    return parts


def refine_tile(
    model: Model, limits: Limits, image: Colour, box: Box, level: int, steps: int, seen: NDArray[np.bool_] | None
) -> tuple[Packed, float]:
    """Code a box of an image as a tile, with so many steps of `agvae.coding.refine`; and the bits that they win.

    Args:
        seen: (H, W), the pixels of the image that count; None for all.
    """
    outer = Window(box, (image.shape[1], image.shape[0]), STRIDE * MARGIN).outer
    y = _analyse(model, [(image, outer)], level, limits.side)
    x = _images([_pixels(image, outer)], model)
    counted = np.zeros((outer.height, outer.width), np.bool_)
    there = (np.ones(image.shape[:2], np.bool_) if seen is None else seen)[outer.slices]
    counted[: there.shape[0], : there.shape[1]] = there
    part = Part(x, y, *padded(box).within(outer, STRIDE), box.area, None if counted.all() else counted)
    return refined(model, part, level, steps)


def synthesise(model: Model, limits: Limits, wanted: Sequence[tuple[Reconstruction, Box]]) -> None:
    """Put the pixels of boxes where they belong; latents there and in the halo must be known."""
    parts = [
        (image, synthesis_window(model, image.request.header, part))
        for image, box in wanted
        for part in box.split(limits.side)
    ]
    shapes = [window.shape for _, window in parts]
    for batch in batches(shapes, [padded(window.outer).area for _, window in parts], limits.batch):
        windows = [parts[k] for k in batch]
        y_hat = torch.stack([image.latents(window) for image, window in windows])
        levels = [image.request.header.level for image, _ in windows]
        found = model.synthesise(y_hat, levels, windows[0][1].inner)
        for (image, window), x in zip(windows, found, strict=True):
            image.put_pixels(window.box, x)
        checkpoint(sum(window.box.area for _, window in windows))


def _analyse(model: Model, tiles: Sequence[tuple[Colour, Box]], level: int, side: int) -> Tensor:
    """Gained y (B, h, w, M) of tiles that can share a batch, made of parts of at most `side` pixels a side."""
    first = tiles[0][1]
    shape = (len(tiles), *latent_shape(first), model.network.config.latent)
    y = torch.empty(shape, dtype=torch.float32, device=model.device)
    for parts in zip(*(box.split(side) for _, box in tiles), strict=True):
        checkpoint()
        windows = [_analysis_window(model, image, part) for (image, _), part in zip(tiles, parts, strict=True)]
        x = _images([_pixels(image, window.outer) for (image, _), window in zip(tiles, windows, strict=True)], model)
        found = model.analyse(x, [level] * len(tiles))
        y[(slice(None), *padded(parts[0]).within(first, STRIDE))] = found[(slice(None), *windows[0].inner_latents)]
    return y


def _images(pixels: Sequence[Colour], model: Model) -> Tensor:
    """(B, 3, H, W) float32 in [0, 1] on the model's device."""
    x = torch.from_numpy(np.stack(pixels)).to(model.device).permute(0, 3, 1, 2).float()
    return x / 255 if pixels[0].dtype == np.uint8 else x


def _pixels(image: Colour, box: Box) -> Colour:
    """The pixels of a box; beyond the image, those of its edge."""
    left, top, right, bottom = box
    rows = np.minimum(np.arange(top, bottom), image.shape[0] - 1)
    columns = np.minimum(np.arange(left, right), image.shape[1] - 1)
    pixels: Colour = image[rows][:, columns]
    return pixels


def _decode_chunk(model: Model, chunk: Sequence[DecodeRequest], damaged_ok: bool, failures: Failures) -> list[Any]:
    """Pictures, or with `failures` errors, for which those that came together are decoded once more, one by one."""
    try:
        for attempt in attempts(model, sum(map(_work_of, chunk))):
            with attempt:
                decoded = _decode(attempt.model, attempt.limits, chunk, damaged_ok=damaged_ok)
    except failures as error:
        if len(chunk) == 1:
            return [error]
        return [found for one in chunk for found in _decode_chunk(model, [one], damaged_ok, failures)]
    return decoded


def _work_of(request: DecodeRequest) -> int:
    """Pixels that are worked on: those of a box, or of the tiles that it needs."""
    tiles = (padded(tile_box(request.header, number)).area for number in request.tiles)
    return max(padded(request.area).area, sum(tiles))


def _of_file(error: Exception, filename: str | None) -> Exception:
    """The same error, of another file."""
    other = copy.copy(error)
    if isinstance(other, AgvError):
        other.filename = filename
    return other


def _decode(model: Model, limits: Limits, requests: Sequence[DecodeRequest], *, damaged_ok: bool) -> list[Any]:
    images = [Reconstruction(model, request) for request in requests]
    runs = [image.coded(limits.batch) for image in images]
    for step in range(max(map(len, runs))):
        there = [(image, run[step : step + 2]) for image, run in zip(images, runs, strict=True) if step < len(run)]
        _unpack(model, limits, [(image, *tile) for image, run in there for tile in run[0]], damaged_ok=damaged_ok)
        following = [(image, run[1][0][0].top if len(run) > 1 else None) for image, run in there]
        synthesise(model, limits, [(image, box) for image, bottom in following for box in image.wanted(bottom)])
    return [image.pixels for image in images]


def _unpack(
    model: Model, limits: Limits, coded: Sequence[tuple[Reconstruction, Box, bytes]], *, damaged_ok: bool
) -> None:
    """Put the latents of tiles where they belong, batch by batch."""
    shapes = [latent_shape(box) for _, box, _ in coded]
    for batch in batches(shapes, [padded(box).area for _, box, _ in coded], limits.batch):
        tiles = [coded[k] for k in batch]
        levels = [image.request.header.level for image, _, _ in tiles]
        found = model.unpack([payload for _, _, payload in tiles], levels, *shapes[batch[0]])
        for (image, box, _), latents in zip(tiles, found, strict=True):
            if not isinstance(latents, DamagedFileError):
                image.put_latents(box, latents.y_hat)
            elif not damaged_ok:
                latents.filename = image.request.filename
                raise latents


def _analysis_window(model: Model, image: Colour, box: Box) -> Window:
    return Window(box, (image.shape[1], image.shape[0]), model.network.analysis.halo())
