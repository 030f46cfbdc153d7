"""Pixels to the bytes of a file and back: the container, the codec and the alpha plane put together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agvae.alpha import decode_alpha, encode_alpha
from agvae.container import (
    MODES,
    TILE_SIZE,
    DamagedFileError,
    Header,
    Metadata,
    Reader,
    TileData,
    check_model_name,
    grid_boxes,
    tile_boxes,
    write_container,
)
from agvae.quality import level_to_quality, parse_quality, split_level

Pixels = NDArray[np.uint8]
Source = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes]

_LOST_ALPHA = 255
_CONVERSIONS = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}


def encode(
    image: Pixels | Image.Image,
    quality: float | None = None,
    *,
    s: int | None = None,
    l: float | None = None,  # noqa: E741
    metadata: Metadata | None = None,
    model: str | None = None,
) -> bytes:
    """The bytes of an .agv file.

    Args:
        image: uint8 pixels of shape (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB, or
            (H, W, 4) RGBA, not premultiplied; or a Pillow image, of which only the pixels are taken.
        quality: 1 to 6, or 10 to 100 on the percent scale; 3.5 if not given.
        s, l: instead of quality, the gain vector 1 .. 6 and the interpolation in [0, 1).
        metadata: what to store besides the pixels.
        model: name of the model to code with; the default one if not given.

    Raises:
        ValueError: an argument is outside its range, or the image is empty.
        TypeError: metadata is not a `Metadata`.
        OSError: the image's mode cannot be written, or the model is not to be had.
    """
    level = parse_quality(quality, s=s, l=l)
    pixels = image_pixels(image) if isinstance(image, Image.Image) else np.asarray(image)
    return encode_pixels(pixels, level, Metadata() if metadata is None else metadata, model)


def decode(source: Source, *, damaged_ok: bool = False) -> Pixels:
    """The pixels of a file's first frame, uint8: (H, W) for mode L, (H, W, 2) LA, (H, W, 3) RGB, (H, W, 4) RGBA.

    Args:
        source: the bytes of a file (any bytes-like object), its path, or a seekable binary file.
        damaged_ok: fill tiles that are damaged or missing with opaque neutral grey instead of raising.

    Raises:
        SyntaxError: not an .agv file.
        OSError: the file is truncated, damaged (`agvae.container.AgvError`), or needs a model that is not to be had.
        PIL.Image.DecompressionBombError: it claims more than twice `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    with _opened(source) as fp:
        return decode_pixels(Reader(fp, damaged_ok=damaged_ok), damaged_ok=damaged_ok)


def read_info(source: Source) -> dict[str, Any]:
    """What the header of a file says, in types that JSON has; decodes nothing.

    Args:
        source: the bytes of a file (any bytes-like object), its path, or a seekable binary file, whose position
            stays.

    Returns:
        width, height, mode, quality, s, l, bytes (of the file), bpp (bits per pixel of a frame), model, digest
        (hexadecimal), frames, tiles (per frame), tile_size, and metadata (a list of the names present).

    Raises:
        SyntaxError: not an .agv file.
        agvae.container.AgvError: the header is truncated, damaged or too new.
    """
    with _opened(source) as fp:
        start = fp.tell()
        try:
            reader = Reader(fp)
            size = fp.seek(0, os.SEEK_END) - start
        finally:
            fp.seek(start)
    header = reader.header
    s, l = split_level(header.level)  # noqa: E741
    return {
        "width": header.width,
        "height": header.height,
        "mode": header.mode,
        "quality": level_to_quality(header.level),
        "s": s,
        "l": l,
        "bytes": size,
        "bpp": 8 * size / (header.width * header.height * header.frames),
        "model": header.model,
        "digest": header.digest.hex(),
        "frames": header.frames,
        "tiles": header.tiles_per_frame,
        "tile_size": header.tile_size,
        "metadata": [name for name, value in vars(reader.metadata).items() if value is not None],
    }


def image_pixels(image: Image.Image) -> Pixels:
    """Pixels of a Pillow image in the mode to write, as `encode` takes them.

    L, LA, RGB and RGBA stay, with transparency in `info` they gain alpha; 1, P, PA, La, RGBa, RGBX and YCbCr are
    converted.

    Raises:
        OSError: modes whose meaning would be lost (16-bit, CMYK, LAB, HSV, I, F).
        ValueError: the transparency in `info` is not one for this mode.
    """
    mode = _CONVERSIONS.get(image.mode, image.mode)
    if mode not in MODES[:4]:
        msg = f"cannot write mode {image.mode} as AGV"
        raise OSError(msg)
    if image.has_transparency_data and not mode.endswith("A"):
        mode += "A"
    if mode == image.mode:
        return np.asarray(image)
    try:
        return np.asarray(image.convert(mode))
    except (TypeError, ValueError, OverflowError) as error:
        if "transparency" not in image.info:
            raise
        msg = f"cannot apply transparency {image.info['transparency']!r} to mode {image.mode}: {error}"
        raise ValueError(msg) from error


def encode_pixels(pixels: Pixels, level: int, metadata: Metadata, model: str | None = None) -> bytes:
    """The bytes of a file from pixels as `encode` takes them, and a level (see `agvae.quality`).

    Raises:
        ValueError: pixels of wrong shape or type, or none at all; not the name of a model.
        TypeError: metadata is not a `Metadata`.
        OSError: the model is not to be had.
    """
    if not isinstance(metadata, Metadata):
        msg = f"metadata must be an agvae.Metadata, not {type(metadata).__name__}"
        raise TypeError(msg)
    if model is not None:
        check_model_name(model)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and not 1 <= pixels.shape[2] <= 4):
        msg = f"pixels must be uint8 of shape (H, W) or (H, W, 1 to 4), not {pixels.dtype} of shape {pixels.shape}"
        raise ValueError(msg)
    if pixels.size == 0:
        msg = "cannot write empty image"
        raise ValueError(msg)
    from agvae.codec import encode_tiles

    height, width = pixels.shape[:2]
    bands = pixels.reshape(height, width, -1)
    mode = MODES[bands.shape[2] - 1]
    colour = bands[..., :3] if mode.startswith("RGB") else np.broadcast_to(bands[..., :1], (height, width, 3))
    encoded = encode_tiles(colour, level, TILE_SIZE, model)
    header = Header(
        width,
        height,
        mode,
        level,
        encoded.model,
        encoded.digest,
        grey=mode.startswith("RGB") and bool((colour[..., :1] == colour[..., 1:]).all()),
    )
    alphas: list[bytes | None] = [None] * len(encoded.tiles)
    if header.has_alpha:
        alphas = [encode_alpha(bands[t:b, l:r, -1]) for l, t, r, b in grid_boxes(width, height, TILE_SIZE)]  # noqa: E741
    return write_container(header, metadata, map(TileData, encoded.tiles, alphas))


def decode_pixels(reader: Reader, *, damaged_ok: bool = False) -> Pixels:
    """The pixels of the first frame of an opened file, as `decode` gives them; raises the same errors."""
    header = reader.header
    _check_size(header)
    tiles = list(reader.tiles(0))
    for tile in tiles:
        if tile.error is not None and not damaged_ok:
            raise tile.error
    alpha = _decode_alpha(header, tiles, damaged_ok) if header.has_alpha else None
    from agvae.codec import decode_tiles

    colour = decode_tiles(header, [tile.payload for tile in tiles], damaged_ok=damaged_ok)
    if header.grey or not header.mode.startswith("RGB"):
        grey = ((colour.sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)
        if not header.grey:
            return grey if alpha is None else np.stack((grey, alpha), axis=2)
        colour = np.repeat(grey[..., None], 3, axis=2)
    return colour if alpha is None else np.concatenate((colour, alpha[..., None]), axis=2)


@contextmanager
def _opened(source: Source) -> Iterator[IO[bytes]]:
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as fp:
            yield fp
    elif hasattr(source, "read"):
        yield cast(IO[bytes], source)
    else:
        try:
            data = memoryview(source)
        except TypeError as error:
            msg = f"source must be the bytes of a file, its path or a binary file, not {type(source).__name__}"
            raise TypeError(msg) from error
        yield BytesIO(data.tobytes())


def _check_size(header: Header) -> None:
    """Pillow's rule against decompression bombs, for files that it did not open."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and header.width * header.height > 2 * limit:
        msg = f"image size ({header.width} x {header.height} pixels) exceeds limit of {2 * limit} pixels"
        raise Image.DecompressionBombError(msg)


def _decode_alpha(header: Header, tiles: list[TileData], damaged_ok: bool) -> Pixels:
    plane = np.full((header.height, header.width), _LOST_ALPHA, np.uint8)
    for tile, (left, top, right, bottom) in zip(tiles, tile_boxes(header), strict=True):
        if tile.alpha is not None:
            try:
                plane[top:bottom, left:right] = decode_alpha(tile.alpha, right - left, bottom - top)
            except DamagedFileError:
                if not damaged_ok:
                    raise
    return plane
