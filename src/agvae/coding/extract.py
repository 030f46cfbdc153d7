"""Files back to frames, or boxes of them.  Without a tile that a model coded, nothing here needs PyTorch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agvae.boxes import Box
from agvae.coding.frames import Pixels
from agvae.coding.lossless import decode_colour, decode_deep, decode_whole, decode_with_alpha
from agvae.coding.windows import padded
from agvae.errors import DamagedFileError, Failures, about
from agvae.file.alpha import WITH_COLOUR, decode_alpha
from agvae.file.header import MAX_TILE_SIZE, Header, tile_box, tiles_touched
from agvae.file.layout import Reader
from agvae.file.payload import MIXED, NETWORK, WITHOUT_LOSS, TileData, split_mixed
from agvae.progress import checkpoint
from agvae.shortage import loading

_SHADES = ("L", "LA", "RGB", "RGBA")
_LOST, _LOST_16, _LOST_ALPHA, _OPAQUE = 128, 0.5, 255, 255
_THIN = 2**20
"""Pixels, with those that a thin image is padded with, whose work no limit forbids."""
_AROUND = 9 * MAX_TILE_SIZE**2
"""Pixels of the tiles around a small box, whose work no limit forbids."""


class Job(NamedTuple):
    """What to decode: a frame of an opened file, or a box of it."""

    reader: Reader
    frame: int = 0
    box: tuple[int, int, int, int] | None = None


class Part(NamedTuple):
    """A decoded job, not yet in the shape of its mode.

    Attributes:
        colour: (H, W, 3) as the codec gives it, an array or a tensor.
        alpha: (H, W), of modes that have it.
    """

    header: Header
    frame: int
    colour: Any
    alpha: NDArray[np.uint8] | None

    def pixels(self, *, indices: bool = False) -> Pixels:
        """As `agvae.decode` gives them, of what is an array."""
        pixels = finished(self.colour, self.header, self.alpha, self.frame)
        return pixels if indices or self.header.palette is None else _coloured(pixels, self.header.palette)


class _Wanted(NamedTuple):
    """A job that was looked at, the tiles that it needs, and what the model coded of them."""

    header: Header
    frame: int
    box: Box
    tiles: Mapping[int, TileData]
    coded: Mapping[int, bytes]
    filename: str | None


def decoded(jobs: Iterable[Job], *, damaged_ok: bool, indices: bool = False) -> Iterator[Pixels]:
    """The pixels of each job, decoded as they are asked for; raises what `agvae.decode` does.

    Args:
        indices: give those of mode P, (H, W), and not the colours that they stand for.
    """
    for part in colours(jobs, damaged_ok=damaged_ok):
        assert isinstance(part, Part)
        yield part.pixels(indices=indices)


def colours(
    jobs: Iterable[Job | Exception], *, damaged_ok: bool, failures: Failures = (), on_device: bool = False
) -> Iterator[Part | Exception]:
    """What each job is made of, decoded as it is asked for.

    Args:
        jobs: an error among them is given back in its place.
        failures: kinds of errors to give in the place of a job instead of raising them.
        on_device: what the model coded of 8 bits stays on its device.
    """
    wanted = (_tried(job, damaged_ok, failures) for job in jobs)
    for needs_model, group in groupby(wanted, lambda one: isinstance(one, _Wanted) and _needs_model(one.tiles)):
        for one, colour in _by_model(group, damaged_ok, failures, on_device) if needs_model else _without(group):
            if isinstance(colour, Exception):
                yield colour
                continue
            try:
                with about(one.filename):
                    for there, pixels, laid in _exact_tiles(one, damaged_ok):
                        _lay(colour, there, pixels, laid)
                    alpha = _alpha(one, damaged_ok) if one.header.has_alpha else None
            except failures as error:
                yield error
            else:
                yield Part(one.header, one.frame, colour, alpha)


def _tried(job: Job | Exception, damaged_ok: bool, failures: Failures) -> _Wanted | Exception:
    try:
        return job if isinstance(job, Exception) else _looked_at(job, damaged_ok)
    except failures as error:
        return error


def _without(group: Iterable[_Wanted | Exception]) -> Iterator[tuple[Any, Any]]:
    """Those of which no model coded anything; of an error itself."""
    for one in group:
        yield one, one if isinstance(one, Exception) else _empty(one)


def _by_model(
    wanted: Iterable[Any], damaged_ok: bool, failures: Failures, on_device: bool
) -> Iterator[tuple[_Wanted, Any]]:
    """What the model coded of each."""
    with loading():
        from agvae.coding.reconstruction import DecodeRequest
        from agvae.coding.tiles import decode_images

    waiting: deque[_Wanted] = deque()

    def requests() -> Iterator[DecodeRequest]:
        for one in wanted:
            waiting.append(one)
            stays = on_device and one.header.mode in _SHADES
            yield DecodeRequest(one.header, one.coded, one.box, one.filename, stays)

    for colour in decode_images(requests(), damaged_ok=damaged_ok, failures=failures):
        yield waiting.popleft(), colour


def _coded_by_model(tiles: Mapping[int, TileData], damaged_ok: bool) -> Iterator[tuple[int, bytes]]:
    """What the model coded of each tile."""
    for number, tile in tiles.items():
        if tile.payload is not None and tile.kind == NETWORK:
            yield number, tile.payload
        elif tile.payload is not None and tile.kind == MIXED:
            try:
                yield number, split_mixed(tile.payload)[1]
            except DamagedFileError:
                if not damaged_ok:
                    raise


def _empty(wanted: _Wanted) -> NDArray[Any]:
    """What is seen of lost tiles: grey, of black and white white, of a palette the opaque colour next to grey."""
    dtype, grey = (np.float32, _LOST_16) if wanted.header.mode == "I;16" else (np.uint8, _LOST)
    if wanted.header.mode == "1":
        grey = 255
    elif wanted.header.palette is not None:
        colours = np.frombuffer(wanted.header.palette, np.uint8).reshape(-1, 4).astype(int)
        grey = int(np.abs(colours - (_LOST, _LOST, _LOST, _OPAQUE)).sum(axis=1, initial=0).argmin())
    return np.full((wanted.box.height, wanted.box.width, 3), grey, dtype)


def _exact_tiles(
    wanted: _Wanted, damaged_ok: bool
) -> Iterator[tuple[tuple[slice, slice], NDArray[Any], NDArray[np.bool_] | None]]:
    """Where in a box tiles without loss belong, their colour, and where that is to be seen if not everywhere."""
    for number, tile in wanted.tiles.items():
        place = tile_box(wanted.header, number)
        shared = place.overlap(wanted.box)
        if tile.kind == NETWORK or tile.payload is None or shared is None:
            continue
        checkpoint()
        there, inside = shared.within(wanted.box), shared.within(place)
        try:
            if tile.kind == MIXED:
                pixels, laid = decode_colour(split_mixed(tile.payload)[0], place.width, place.height)
            else:
                pixels, laid = exact_pixels(tile, wanted.header.range_of(wanted.frame), place), None
        except DamagedFileError:
            if not damaged_ok:
                raise
        else:
            yield there, pixels[inside], None if laid is None else laid[inside]
        checkpoint(shared.area)


def _lay(colour: Any, there: tuple[slice, slice], pixels: NDArray[Any], laid: NDArray[np.bool_] | None) -> None:
    """Put the colour of a tile into that of a box, which may be on a device."""
    if isinstance(colour, np.ndarray):
        np.copyto(colour[there], pixels, where=True if laid is None else laid[..., None])
        return
    import torch

    new = torch.tensor(pixels, device=colour.device)
    if laid is not None:
        new = new.where(torch.tensor(laid, device=colour.device)[..., None], colour[there])
    colour[there] = new


def exact_pixels(tile: TileData, bounds: tuple[int, int] | None, place: Box) -> NDArray[Any]:
    """The colour (h, w, 3), or (h, w, 1), of a tile without loss, as the codec gives that of others.

    Raises:
        DamagedFileError: the payload does not decode to a tile of that place, or of 16 bits to values within bounds.
    """
    payload = tile.payload or b""
    if tile.alpha == WITH_COLOUR:
        return decode_with_alpha(payload, place.width, place.height)[..., :3]
    if bounds is None:
        return decode_whole(payload, place.width, place.height)
    low, high = bounds
    values = decode_deep(payload, place.width, place.height)
    if int(values.max()) > high - low:
        msg = "a lossless tile beyond its range"
        raise DamagedFileError(msg)
    return values[..., None] / np.float32(max(high - low, 1))


def _coloured(indices: Pixels, palette: bytes) -> Pixels:
    """(H, W, 3), or 4 if a colour is transparent."""
    colours = np.zeros((256, 4), np.uint8)
    colours[:, 3] = 255
    colours[: len(palette) // 4] = np.frombuffer(palette, np.uint8).reshape(-1, 4)
    pixels: Pixels = colours[:, : 3 if (colours[:, 3] == 255).all() else 4][indices]
    return pixels


def _looked_at(job: Job, damaged_ok: bool) -> _Wanted:
    with about(job.reader.filename):
        header, frame = job.reader.header, index(job.frame)
        if not 0 <= frame < header.frames:
            msg = f"frame must be from 0 to {header.frames - 1}, not {frame}"
            raise ValueError(msg)
        box = _checked_box(header, job.box)
        touched = tiles_touched(header, box)
        if job.box is not None:
            _check_work(box, sum(padded(tile_box(header, number)).area for number in touched), _AROUND)
        tiles = {number: job.reader.tile(frame, number) for number in touched}
        if job.box is not None and _needs_model(tiles):
            around = set(_checked_tiles(header, box)) - tiles.keys()
            tiles |= {number: job.reader.tile(frame, number) for number in sorted(around)}
        for tile in tiles.values():
            if tile.error is not None and not damaged_ok:
                raise tile.error
        return _Wanted(header, frame, box, tiles, dict(_coded_by_model(tiles, damaged_ok)), job.reader.filename)


def _needs_model(tiles: Mapping[int, TileData]) -> bool:
    return any(tile.kind in (NETWORK, MIXED) and tile.payload is not None for tile in tiles.values())


def finished(colour: NDArray[Any], header: Header, alpha: NDArray[np.uint8] | None, frame: int = 0) -> Pixels:
    """(H, W, 3) colour of a frame as the codec gives it, and alpha, in the shape of the mode."""
    if (bounds := header.range_of(frame)) is not None:
        low, high = bounds
        x = colour.mean(axis=2, dtype=np.float32)
        np.clip(x, 0, 1, out=x)
        x *= high - low
        x += low
        values: Pixels = np.rint(x, out=x).astype(np.uint16)
        return values
    if header.grey or not header.mode.startswith("RGB"):
        grey = ((colour.sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)
        if header.mode == "1":
            return np.where(grey > 127, np.uint8(255), np.uint8(0))
        if not header.grey:
            return grey if alpha is None else np.stack((grey, alpha), axis=2)
        colour = np.repeat(grey[..., None], 3, axis=2)
    return colour if alpha is None else np.concatenate((colour, alpha[..., None]), axis=2)


def _checked_box(header: Header, wanted: tuple[int, int, int, int] | None) -> Box:
    """The box, in whole numbers and within the image; Pillow's rule against decompression bombs holds for it, too."""
    box = header.box
    try:
        if wanted is not None:
            box = Box(*map(index, wanted))
    except (TypeError, ValueError):
        box = Box(0, 0, 0, 0)
    if not (0 <= box.left < box.right <= header.width and 0 <= box.top < box.bottom <= header.height):
        msg = f"box must be (left, top, right, bottom) within {header.width} x {header.height} pixels, not {wanted!r}"
        raise ValueError(msg)
    _check_work(box, box.area, 0)
    _check_work(box, padded(box).area, _THIN)
    return box


def _checked_tiles(header: Header, box: Box) -> list[int]:
    """The tiles that a box needs, all of which must be decoded: many, where it is long and thin."""
    with loading():
        from agvae.coding.tiles import tiles_needed

    numbers = tiles_needed(header, box)
    _check_work(box, sum(padded(tile_box(header, number)).area for number in numbers), _AROUND)
    return numbers


def _check_work(box: Box, worked: int, free: int) -> None:
    """Pillow's rule against decompression bombs, by the pixels that are worked on; `free` are allowed in any case."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and worked > max(2 * limit, free):
        msg = (
            f"image size ({box.width} x {box.height} pixels, which take the work of {worked}) "
            f"exceeds limit of {2 * limit} pixels"
        )
        raise Image.DecompressionBombError(msg)


def _alpha(wanted: _Wanted, damaged_ok: bool) -> NDArray[np.uint8]:
    box = wanted.box
    plane = np.full((box.height, box.width), _LOST_ALPHA, np.uint8)
    for number, tile in wanted.tiles.items():
        checkpoint()
        place = tile_box(wanted.header, number)
        shared = place.overlap(box)
        if tile.alpha is None or shared is None:
            continue
        try:
            part = _plane(tile.alpha, tile, place)
        except DamagedFileError:
            if not damaged_ok:
                raise
            continue
        plane[shared.within(box)] = part[shared.within(place)]
    return plane


def _plane(alpha: bytes, tile: TileData, place: Box) -> NDArray[np.uint8]:
    """The alpha (h, w) of a tile."""
    if alpha == WITH_COLOUR and tile.kind == WITHOUT_LOSS:
        return decode_with_alpha(tile.payload or b"", place.width, place.height)[..., 3]
    return decode_alpha(alpha, place.width, place.height)
