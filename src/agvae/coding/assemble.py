"""Frames to the bytes of files and back: the container, the codec and the alpha plane put together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agvae.boxes import Box, grid
from agvae.coding.frames import Frames, Pixels
from agvae.coding.reconstruction import DecodeRequest
from agvae.coding.tiles import decode_images, encode_images, tiles_needed
from agvae.coding.windows import padded
from agvae.errors import DamagedFileError, about
from agvae.file.alpha import decode_alpha, encode_alpha
from agvae.file.header import MAX_TILE_SIZE, TILE_SIZE, Header, tile_box
from agvae.file.layout import Reader, write_container
from agvae.file.metadata import Metadata
from agvae.file.payload import TileData
from agvae.metrics import psnr_of
from agvae.progress import checkpoint
from agvae.quality import DEFAULT_QUALITY, parse_quality

THUMBNAIL_SIDE = 384
"""Longer side of an embedded thumbnail in pixels."""
_LOST_ALPHA = 255
_THIN = 2**20
"""Pixels, with those that a thin image is padded with, whose work no limit forbids."""
_AROUND = 9 * MAX_TILE_SIZE**2
"""Pixels of the tiles around a small box, whose work no limit forbids."""


class Job(NamedTuple):
    """What to decode: a frame of an opened file, or a box of it."""

    reader: Reader
    frame: int = 0
    box: tuple[int, int, int, int] | None = None


def coded_files(files: Iterable[tuple[Frames, Metadata]], level: int, model: str | None) -> Iterator[bytes]:
    """The bytes of each file, coded as they are asked for; raises what `agvae.coding.tiles.encode_images` does."""
    waiting: deque[tuple[Frames, Metadata, list[bytes | None]]] = deque()

    def colours() -> Iterator[NDArray[Any]]:
        for frames, metadata in files:
            boxes = grid(*frames.size, TILE_SIZE)
            for colour, alpha in frames:
                waiting.append(
                    (frames, metadata, [None if alpha is None else _encode_alpha(alpha, box) for box in boxes])
                )
                yield colour

    tiles: list[TileData] = []
    for encoded in encode_images(colours(), level, TILE_SIZE, model):
        frames, metadata, alphas = waiting.popleft()
        tiles += map(TileData, encoded.tiles, alphas)
        header = header_of(frames, level, encoded.model, encoded.digest)
        if len(tiles) == header.tile_count:
            yield write_container(header, metadata, tiles)
            tiles = []


def header_of(frames: Frames, level: int, model: str, digest: bytes) -> Header:
    """The header of a file of these frames."""
    return Header(
        *frames.size,
        frames.mode,
        level,
        model,
        digest,
        frames=frames.count,
        grey=frames.grey,
        range=frames.range,
        ranges=frames.ranges,
    )


def with_thumbnail(metadata: Metadata, frames: Frames, model: str | None) -> Metadata:
    """The metadata with a thumbnail of the first frame, unless the image is that small itself."""
    if max(frames.size) <= THUMBNAIL_SIDE:
        return metadata
    small = Frames([frames.thumbnail(THUMBNAIL_SIDE)])
    (data,) = coded_files([(small, Metadata())], parse_quality(DEFAULT_QUALITY), model)
    return replace(metadata, thumbnail=data)


def decoded(jobs: Iterable[Job], *, damaged_ok: bool) -> Iterator[Pixels]:
    """The pixels of each job, decoded as they are asked for; raises what `agvae.decode` does."""
    waiting: deque[tuple[Header, NDArray[np.uint8] | None, int]] = deque()

    def requests() -> Iterator[DecodeRequest]:
        for job in jobs:
            with about(job.reader.filename):
                request, alpha = _request(job, damaged_ok)
            waiting.append((request.header, alpha, index(job.frame)))
            yield request

    for colour in decode_images(requests(), damaged_ok=damaged_ok):
        yield finished(colour, *waiting.popleft())


def psnr(data: bytes, frames: Frames) -> float:
    """PSNR in dB of grey or colour over all frames of a file made of them, infinite if they are equal.

    The peak is 255, for 16 bits the range of the frame's values.  Pixels of alpha 0 do not count, unless they are to be
    exact.
    """
    reader = Reader(BytesIO(data))
    error, count = 0.0, 0
    jobs = (Job(reader, k) for k in range(frames.count))
    for number, ((colour, alpha), pixels) in enumerate(zip(frames, decoded(jobs, damaged_ok=False), strict=True)):
        low, high = reader.header.range_of(number) or (0, 255)
        bands = np.atleast_3d(pixels)[..., : 3 if frames.mode.startswith("RGB") else 1]
        x_hat = (bands - np.float32(low)) / np.float32(max(high - low, 1))
        x = colour[..., : bands.shape[2]] / np.float32(255 if colour.dtype == np.uint8 else 1)
        squares = np.square(x_hat - x)
        if alpha is not None and not frames.exact:
            squares = squares[alpha > 0]
        error, count = error + float(squares.sum(dtype=np.float64)), count + squares.size
    return psnr_of(error / count)


def _request(job: Job, damaged_ok: bool) -> tuple[DecodeRequest, NDArray[np.uint8] | None]:
    """What the codec needs for a job, and the alpha of it."""
    header, frame = job.reader.header, index(job.frame)
    if not 0 <= frame < header.frames:
        msg = f"frame must be from 0 to {header.frames - 1}, not {frame}"
        raise ValueError(msg)
    box = _checked_box(header, job.box)
    numbers = range(header.tiles_per_frame) if job.box is None else _checked_tiles(header, box)
    tiles = {number: job.reader.tile(frame, number) for number in numbers}
    for tile in tiles.values():
        if tile.error is not None and not damaged_ok:
            raise tile.error
    alpha = _decode_alpha(header, tiles, box, damaged_ok) if header.has_alpha else None
    payloads = {number: tile.payload for number, tile in tiles.items() if tile.payload is not None}
    return DecodeRequest(header, payloads, box, job.reader.filename), alpha


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


def _encode_alpha(alpha: NDArray[np.uint8], box: Box) -> bytes:
    checkpoint()
    return encode_alpha(alpha[box.slices])


def _decode_alpha(header: Header, tiles: dict[int, TileData], box: Box, damaged_ok: bool) -> NDArray[np.uint8]:
    plane = np.full((box.height, box.width), _LOST_ALPHA, np.uint8)
    for number, tile in tiles.items():
        checkpoint()
        place = tile_box(header, number)
        shared = place.overlap(box)
        if tile.alpha is None or shared is None:
            continue
        try:
            part = decode_alpha(tile.alpha, place.width, place.height)
        except DamagedFileError:
            if not damaged_ok:
                raise
            continue
        plane[shared.within(box)] = part[shared.within(place)]
    return plane
