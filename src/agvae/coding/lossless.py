"""Pixels without loss, in a format that others specify and keep: WebP's VP8L (RFC 9649, section 3).

The bare stream of a VP8L chunk is stored, without the RIFF container around it.  Its alpha, where it has any, is that
of the image where a tile says so, and else says which pixels there are.  Values of 16 bits are colours: the lower byte
is green, the upper one blue, which takes a fifth to a half less than PNG.
"""

from __future__ import annotations

import struct
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features
from PIL.WebPImagePlugin import WebPImageFile

from agvae.errors import DamagedFileError, UnsupportedFileError
from agvae.progress import apart

Pixels = NDArray[np.uint8]

_RIFF = struct.Struct("<4sI4s4sI")
_VP8L_START = struct.Struct("<BI")
_VP8L_MARK = 0x2F
_SIDE_BITS = 14
_EFFORT, _MORE_EFFORT = {"quality": 80, "method": 4}, {"quality": 100, "method": 4}
"""The second for tiles of a palette: they take 3 % less, and little time in any case."""
_PALETTE = 256


def can_code() -> bool:
    """Whether this Pillow has WebP."""
    return bool(features.check("webp"))


def exact_values(colour: NDArray[Any], bounds: tuple[int, int] | None) -> NDArray[Any]:
    """What `encode_exact` takes of colour (H, W, 3) as the codec takes it.

    Args:
        bounds: of 16 bits the values that stand for 0 and 1.
    """
    if bounds is None:
        return colour
    low, high = bounds
    return np.rint(colour[..., 0] * np.float32(high - low)).astype(np.uint16)


def encode_exact(values: NDArray[Any]) -> bytes:
    """The payload of a tile without loss: of (h, w, 3) uint8, or of (h, w) uint16 above the lowest."""
    return encode_colour(values) if values.dtype == np.uint8 else encode_deep(values)


def encode_colour(colour: Pixels, there: NDArray[np.bool_] | None = None) -> bytes:
    """A VP8L stream of (h, w, 3) pixels, or of those alone where `there` (h, w).

    Raises:
        UnsupportedFileError: this Pillow lacks WebP.
    """
    return _encoded(colour if there is None else np.dstack((colour, np.where(there, np.uint8(255), np.uint8(0)))))


def encode_with_alpha(colour: Pixels, alpha: Pixels) -> bytes:
    """A VP8L stream of (h, w, 3) colour, also where it is not seen, and (h, w) alpha, which has to have two values.

    Raises:
        UnsupportedFileError: this Pillow lacks WebP.
    """
    return _encoded(np.dstack((colour, alpha)), exact=True)


def _encoded(pixels: Pixels, **options: Any) -> bytes:
    _check_webp()
    data = _saved(pixels, **options)
    _, _, _, kind, length = _RIFF.unpack_from(data)
    if kind != b"VP8L":
        msg = f"this Pillow writes lossless WebP as {kind!r}"
        raise UnsupportedFileError(msg)
    return data[_RIFF.size : _RIFF.size + length]


def decode_colour(stream: bytes, width: int, height: int) -> tuple[Pixels, NDArray[np.bool_] | None]:
    """The (height, width, 3) pixels of a VP8L stream, and which of them are there, None for all.

    Raises:
        DamagedFileError: it does not hold a picture of that size.
        UnsupportedFileError: this Pillow lacks WebP.
    """
    pixels = _decoded(stream, width, height)
    return pixels[..., :3], None if pixels.shape[2] == 3 else pixels[..., 3] > 127


def decode_with_alpha(stream: bytes, width: int, height: int) -> Pixels:
    """The (height, width, 4) pixels of `encode_with_alpha`; raises what `decode_colour` does, also without alpha."""
    pixels = _decoded(stream, width, height)
    if pixels.shape[2] == 3:
        msg = "a lossless tile without its alpha"
        raise DamagedFileError(msg)
    return pixels


def _decoded(stream: bytes, width: int, height: int) -> Pixels:
    _check_webp()
    mark, bits = _VP8L_START.unpack_from(stream) if len(stream) >= _VP8L_START.size else (0, 0)
    side = (1 << _SIDE_BITS) - 1
    if mark != _VP8L_MARK or ((bits & side) + 1, (bits >> _SIDE_BITS & side) + 1) != (width, height):
        msg = "a lossless tile of another size"
        raise DamagedFileError(msg)
    padding = bytes(len(stream) % 2)
    start = _RIFF.pack(b"RIFF", 12 + len(stream) + len(padding), b"WEBP", b"VP8L", len(stream))
    pixels = _loaded(start + stream + padding)
    if pixels.ndim != 3:
        msg = "a lossless tile of another mode"
        raise DamagedFileError(msg)
    return pixels


def decode_whole(stream: bytes, width: int, height: int) -> Pixels:
    """The (height, width, 3) pixels of a stream that has all of them; raises what `decode_colour` does, also if not."""
    colour, there = decode_colour(stream, width, height)
    if there is not None:
        msg = "a lossless tile with holes"
        raise DamagedFileError(msg)
    return colour


def encode_deep(values: NDArray[np.uint16]) -> bytes:
    """A VP8L stream of (h, w) values."""
    lower, upper = (values & 255).astype(np.uint8), (values >> 8).astype(np.uint8)
    alike = bool((lower == upper).all())  # 8 bits times 257, which as grey take the fewest bytes
    return encode_colour(np.dstack((upper if alike else np.zeros_like(lower), lower, upper)))


def decode_deep(stream: bytes, width: int, height: int) -> NDArray[np.uint16]:
    """The (height, width) values of `encode_deep`; raises what `decode_whole` does."""
    colour = decode_whole(stream, width, height)
    return colour[..., 1] | colour[..., 2].astype(np.uint16) << np.uint16(8)


def _check_webp() -> None:
    if not can_code():
        msg = "pixels without loss need a Pillow with WebP"
        raise UnsupportedFileError(msg)


def _saved(pixels: NDArray[Any], **options: Any) -> bytes:
    """A WebP file of one tile, which can take a second."""
    image, file = Image.fromarray(np.ascontiguousarray(pixels)), BytesIO()
    effort = _MORE_EFFORT if image.getcolors(_PALETTE) else _EFFORT
    apart(partial(image.save, file, "WEBP", lossless=True, **effort, **options))
    return file.getvalue()


def _loaded(data: bytes) -> NDArray[Any]:
    """The pixels of a WebP file whose size was checked."""
    try:
        with WebPImageFile(BytesIO(data)) as image:
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        msg = f"a lossless tile does not decode: {error}"
        raise DamagedFileError(msg) from error
