"""How many bits the values of a picture have in its file, which Pillow may read as fewer."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agvae.conversion.jpeg_xl import header_of

_HEAD = 1 << 16
"""Bytes at the start of a file in which its header is."""
_TIFF_BITS, _SAMPLE_FORMAT = 258, 339
_SIGNED = 2


def bits_of(image: Image.Image) -> int:
    """Bits of a band in the file of an image that is not loaded yet, as far as easily known: 16 for 9 to 16, or 8."""
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_TIFF_BITS, (1,))))  # type: ignore[attr-defined]
    if image.format in ("AVIF", "JPEG2000", "JXL"):
        file = getattr(image, "fp", None)
        return 8 if file is None else _bits_in_header(file, image.format)
    if "bit_depth" in image.info:  # of pillow-heif
        return int(image.info["bit_depth"])
    for tile in getattr(image, "tile", ()):
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(";16" in argument for argument in arguments if isinstance(argument, str)):
            return 16
        if tile[0] in ("ppm", "ppm_plain") and arguments[-1] > 255:
            return int(arguments[-1]).bit_length()
    return 8


def has_unread_signs(image: Image.Image) -> bool:
    """Whether a frame has 8-bit integers with signs, which Pillow reads as if they had none."""
    if image.format != "TIFF" or image.mode != "L":
        return False
    return _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ())  # type: ignore[attr-defined]


def has_raised_values(image: Image.Image) -> bool:
    """Whether an image that is not loaded yet has values with signs, to which Pillow adds half of their range."""
    file = getattr(image, "fp", None)
    return image.format == "JPEG2000" and file is not None and _component(head_of(file)) > 0x7F


def check_signs(image: Image.Image, *, all_frames: bool) -> None:
    """Refuse an opened TIFF file with values below 0 that Pillow reads as others.

    Raises:
        ValueError: there are some.
    """
    for number in range(getattr(image, "n_frames", 1) if all_frames else 1):
        image.seek(number)
        if has_unread_signs(image):
            check_range(np.asarray(image).view(np.int8))
    image.seek(0)


def check_range(values: NDArray[Any]) -> None:
    """Refuse integers that are not of 16 bits without a sign.

    Raises:
        ValueError: there are some.
    """
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 0xFFFF:
        msg = f"AGV holds 16 bits, 0 to 65535, and this has values from {low} to {high}: bring them into that range"
        raise ValueError(msg)


def _bits_in_header(file: IO[bytes], form: str) -> int:
    if form == "JXL":
        header = header_of(file)
        return header.bits if header else 8
    head = head_of(file)
    if form == "AVIF":  # high_bitdepth and twelve_bit of the box av1C
        at = head.find(b"av1C")
        flags = head[at + 6] if 0 <= at < len(head) - 6 else 0
        return 12 if flags & 0x60 == 0x60 else 10 if flags & 0x40 else 8
    return (_component(head) & 0x7F) + 1


def _component(head: bytes) -> int:
    """What a JPEG 2000 file says of its first component (Ssiz in the segment SIZ): bits less one, and a sign."""
    at = head.find(b"\xff\x4f\xff\x51")
    return head[at + 42] if 0 <= at < len(head) - 42 else 7


def head_of(file: IO[bytes]) -> bytes:
    """The first bytes of a file, whose place stays as it is."""
    place = file.tell()
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(place)
    return head
