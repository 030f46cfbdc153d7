"""Pixels without loss, in formats that others specify and keep: WebP's VP8L for 8 bits, PNG for 16.

Of 8 bits the bare stream of a VP8L chunk is stored (RFC 9649, section 3), without the RIFF container around it.  Its
alpha, where it has any, is no alpha of the image but says which pixels there are.
"""

from __future__ import annotations

import struct
import zlib
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from agvae.errors import DamagedFileError, UnsupportedFileError
from agvae.file.payload import WITHOUT_LOSS, WITHOUT_LOSS_16
from agvae.progress import apart

Pixels = NDArray[np.uint8]

_RIFF = struct.Struct("<4sI4s4sI")
_VP8L_START = struct.Struct("<BI")
_VP8L_MARK = 0x2F
_SIDE_BITS = 14
_PNG_START = struct.Struct(">8sI4sIIBBBBB")
_PNG_CHUNK = struct.Struct(">I4s")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY_16 = (16, 0, 0, 0, 0)
"""Bit depth, colour type, compression, filter and interlace of a header of PNG."""
_EFFORT = {"quality": 80, "method": 4}


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


def encode_exact(values: NDArray[Any]) -> tuple[bytes, bytes]:
    """Kind and payload of a tile without loss: of (h, w, 3) uint8, or of (h, w) uint16 above the lowest."""
    if values.dtype == np.uint8:
        return WITHOUT_LOSS, encode_colour(values)
    return WITHOUT_LOSS_16, encode_deep(values)


def encode_colour(colour: Pixels, there: NDArray[np.bool_] | None = None) -> bytes:
    """A VP8L stream of (h, w, 3) pixels, or of those alone where `there` (h, w).

    Raises:
        UnsupportedFileError: this Pillow lacks WebP.
    """
    _check_webp()
    pixels = colour if there is None else np.dstack((colour, np.where(there, np.uint8(255), np.uint8(0))))
    data = _saved(pixels, "WEBP", lossless=True, **_EFFORT)
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
    _check_webp()
    mark, bits = _VP8L_START.unpack_from(stream) if len(stream) >= _VP8L_START.size else (0, 0)
    side = (1 << _SIDE_BITS) - 1
    if mark != _VP8L_MARK or ((bits & side) + 1, (bits >> _SIDE_BITS & side) + 1) != (width, height):
        msg = "a lossless tile of another size"
        raise DamagedFileError(msg)
    padding = bytes(len(stream) % 2)
    start = _RIFF.pack(b"RIFF", 12 + len(stream) + len(padding), b"WEBP", b"VP8L", len(stream))
    pixels = _loaded("WEBP", start + stream + padding)
    if pixels.ndim != 3:
        msg = "a lossless tile of another mode"
        raise DamagedFileError(msg)
    return pixels[..., :3], None if pixels.shape[2] == 3 else pixels[..., 3] > 127


def encode_deep(values: NDArray[np.uint16]) -> bytes:
    """A PNG of (h, w) values."""
    return _saved(values, "PNG", compress_level=9)


def decode_deep(data: bytes, width: int, height: int) -> NDArray[np.uint16]:
    """The (height, width) values of a PNG of 16-bit grey.

    Raises:
        DamagedFileError: it does not hold a picture of that size.
    """
    expected = (_PNG_SIGNATURE, 13, b"IHDR", width, height, *_GREY_16)
    if len(data) < _PNG_START.size or _PNG_START.unpack_from(data) != expected:
        msg = "a lossless tile of another size"
        raise DamagedFileError(msg)
    if _inflated(data) != height * (1 + 2 * width):  # which Pillow does not mind with LOAD_TRUNCATED_IMAGES
        msg = "a lossless tile without all of its pixels"
        raise DamagedFileError(msg)
    return _loaded("PNG", data).astype(np.uint16, copy=False)


def _inflated(data: bytes) -> int:
    """Bytes that the chunks IDAT of a PNG decompress to, which are no more than 2^22 for a tile."""
    place, coded = len(_PNG_SIGNATURE), []
    while place + 8 <= len(data):
        length, kind = _PNG_CHUNK.unpack_from(data, place)
        if kind == b"IDAT":
            coded.append(data[place + 8 : place + 8 + length])
        place += 12 + length
    try:
        return len(zlib.decompressobj().decompress(b"".join(coded), 1 << 22))
    except zlib.error:
        return -1


def _check_webp() -> None:
    if not can_code():
        msg = "pixels without loss need a Pillow with WebP"
        raise UnsupportedFileError(msg)


def _saved(pixels: NDArray[Any], form: str, **options: Any) -> bytes:
    """A file of one tile, which can take a second."""
    image, file = Image.fromarray(np.ascontiguousarray(pixels)), BytesIO()
    apart(partial(image.save, file, form, **options))
    return file.getvalue()


def _loaded(form: str, data: bytes) -> NDArray[Any]:
    """The pixels of a file whose size was checked."""
    try:
        with (WebPImageFile if form == "WEBP" else PngImageFile)(BytesIO(data)) as image:
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        msg = f"a lossless tile does not decode: {error}"
        raise DamagedFileError(msg) from error
