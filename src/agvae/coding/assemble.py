"""Frames to the bytes of files: the container, the codec and the alpha plane put together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO

import numpy as np

from agvae.boxes import grid
from agvae.coding.colours import Laid
from agvae.coding.extract import Job, decoded
from agvae.coding.frames import Frames
from agvae.coding.lossless import encode_exact, exact_values
from agvae.coding.transparency import Alpha, with_alpha
from agvae.file.header import TILE_SIZE, WITHOUT_MODEL, Header
from agvae.file.layout import Reader, write_container
from agvae.file.metadata import Metadata
from agvae.file.payload import WITHOUT_LOSS, TileData
from agvae.metrics import psnr_of
from agvae.progress import checkpoint
from agvae.quality import MAX_LEVEL
from agvae.shortage import loading

Level = int | None
"""As in `agvae.quality`; None for pixels without loss."""


def coded_files(
    files: Iterable[tuple[Frames, Metadata]],
    level: Level,
    model: str | None,
    *,
    tile_size: int = TILE_SIZE,
    laid: Iterable[Laid | None] | None = None,
    found: list[Laid | None] | None = None,
    steps: int = 0,
) -> Iterator[bytes]:
    """The bytes of each file, coded as they are asked for; raises what `agvae.coding.choice.encode_images` does.

    Args:
        tile_size: side of the tiles in pixels, as a header has it.
        laid: of each frame the blocks to code without loss, as `encode_images` takes them.
        found: where to put those of each frame.
        steps: of `agvae.coding.refine`.
    """
    if level is None:
        return _without_loss(files, tile_size)
    return _at_level(files, level, model, tile_size, laid, found, steps)


def _at_level(
    files: Iterable[tuple[Frames, Metadata]],
    level: int,
    model: str | None,
    tile_size: int,
    laid: Iterable[Laid | None] | None,
    found: list[Laid | None] | None,
    steps: int,
) -> Iterator[bytes]:
    with loading():
        from agvae.coding.choice import Seen, encode_images

    waiting: deque[tuple[Frames, Metadata, Seen]] = deque()

    def images() -> Iterator[Seen]:
        for frames, metadata in files:
            boxes = grid(*frames.size, tile_size)
            for number, (colour, alpha) in enumerate(frames):
                seen = Seen.of(colour, alpha, boxes, bounds=frames.range_of(number), exact=frames.exact)
                waiting.append((frames, metadata, seen))
                yield seen

    tiles: list[TileData] = []
    for encoded in encode_images(images(), level, tile_size, model, laid=laid, steps=steps):
        if found is not None:
            found.append(encoded.laid)
        frames, metadata, seen = waiting.popleft()
        tiles += with_alpha(encoded.tiles, seen.alpha)
        header = header_of(frames, level, encoded.model, encoded.digest, tile_size)
        if len(tiles) == header.tile_count:
            yield write_container(header, metadata, tiles)
            tiles = []


def _without_loss(files: Iterable[tuple[Frames, Metadata]], tile_size: int) -> Iterator[bytes]:
    for frames, metadata in files:
        header = header_of(frames, MAX_LEVEL, WITHOUT_MODEL, bytes(8), tile_size)
        boxes = grid(*frames.size, tile_size)
        tiles: list[TileData] = []
        for number, (colour, plane) in enumerate(frames):
            values = exact_values(colour, header.range_of(number))
            alpha = None if plane is None else Alpha(plane, values, boxes)
            coded = ((WITHOUT_LOSS, encode_exact(values[box.slices])) for box in boxes)
            for tile, box in zip(with_alpha(coded, alpha), boxes, strict=True):
                tiles.append(tile)
                checkpoint(box.area)
        yield write_container(header, metadata, tiles)


def header_of(frames: Frames, level: int, model: str, digest: bytes, tile_size: int = TILE_SIZE) -> Header:
    """The header of a file of these frames."""
    return Header(
        *frames.size,
        frames.mode,
        level,
        model,
        digest,
        tile_size,
        frames=frames.count,
        grey=frames.grey,
        range=frames.range,
        ranges=frames.ranges,
        palette=frames.palette,
    )


def with_thumbnail(metadata: Metadata, frames: Frames, side: int, level: Level, model: str | None) -> Metadata:
    """The metadata with a thumbnail of the first frame whose longer side has `side` pixels.

    There is none of an image that is not larger itself, nor of black and white or a palette, which have no shades.
    """
    if max(frames.size) <= side or frames.mode in ("1", "P"):
        return metadata
    small = Frames([frames.thumbnail(side)])
    (data,) = coded_files([(small, Metadata())], level, model)
    return replace(metadata, thumbnail=data)


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
