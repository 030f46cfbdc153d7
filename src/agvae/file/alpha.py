"""Lossless coding of the alpha plane of a tile.

A plane is one byte for the prediction, then the residuals modulo 256, row by row, as a raw DEFLATE stream.
A plane of a single value is the byte 4 and that value.  The byte 5 alone says that a tile without loss has its alpha
beside its colour.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from agvae.errors import DamagedFileError

Plane = NDArray[np.uint8]

AXES: tuple[tuple[int, ...], ...] = ((), (1,), (0,), (0, 1))
"""Per prediction the axes along which neighbours are subtracted: none, left, above, left + above - above left."""

CONSTANT = len(AXES)
WITH_COLOUR = bytes((CONSTANT + 1,))

_RAW_DEFLATE = -15


def encode_alpha(plane: Plane) -> bytes:
    """Code a plane without loss.

    Args:
        plane: (h, w) uint8, h and w at least 1.
    """
    first = int(plane[0, 0])
    if (plane == first).all():
        return bytes((CONSTANT, first))
    return min((bytes((kind,)) + _deflate(_difference(plane, axes)) for kind, axes in enumerate(AXES)), key=len)


def decode_alpha(data: bytes, width: int, height: int) -> Plane:
    """The (height, width) uint8 plane that `encode_alpha` coded.

    Raises:
        DamagedFileError: the data do not hold exactly one plane of that size.
    """
    if len(data) == 2 and data[0] == CONSTANT:
        return np.full((height, width), data[1], np.uint8)
    if not data or data[0] >= len(AXES):
        msg = "unknown prediction of alpha"
        raise DamagedFileError(msg)
    plane = np.frombuffer(_inflate(data[1:], width * height), np.uint8).reshape(height, width)
    for axis in AXES[data[0]]:
        plane = np.add.accumulate(plane, axis=axis, dtype=np.uint8)
    return plane


def _difference(plane: Plane, axes: tuple[int, ...]) -> Plane:
    for axis in axes:
        plane = np.diff(plane, axis=axis, prepend=np.uint8(0))
    return plane


def _deflate(plane: Plane) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    return compressor.compress(plane.tobytes()) + compressor.flush()


def _inflate(data: bytes, size: int) -> bytes:
    """Decompress to exactly `size` bytes; memory stays bounded by `size` whatever the data say."""
    decompressor = zlib.decompressobj(_RAW_DEFLATE)
    try:
        plane = decompressor.decompress(data, size + 1)
    except zlib.error as error:
        raise DamagedFileError(str(error)) from error
    if len(plane) != size or not decompressor.eof or decompressor.unused_data:
        msg = "alpha has a wrong size"
        raise DamagedFileError(msg)
    return plane
