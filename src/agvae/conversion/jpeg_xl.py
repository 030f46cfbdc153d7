"""What the header of a JPEG XL file says of its pixels, and the boxes around them (ISO/IEC 18181-1 and -2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_CODESTREAM = b"\xff\x0a"
_HEADER = 1 << 16
"""The most bytes in which the header is looked for; names of bands alone can make it long."""
_MOST_BOXES = 10_000
_Distribution = tuple[tuple[int, int], ...]
"""How U32 codes a number: for each selector the bits that follow, and what they are added to."""
_SIDE: _Distribution = ((9, 1), (13, 1), (18, 1), (30, 1))
_PREVIEW_SIDE: _Distribution = ((6, 1), (8, 65), (10, 321), (12, 1345))
_PREVIEW_EIGHTHS: _Distribution = ((0, 16), (0, 32), (5, 1), (9, 33))
_INTEGER_BITS: _Distribution = ((0, 8), (0, 10), (0, 12), (6, 1))
_FLOAT_BITS: _Distribution = ((0, 32), (0, 16), (0, 24), (6, 1))
_FURTHER_BANDS: _Distribution = ((0, 0), (0, 1), (4, 2), (12, 1))
_ENUM: _Distribution = ((0, 0), (0, 1), (4, 2), (6, 18))
_SHIFT: _Distribution = ((0, 0), (0, 3), (0, 4), (3, 1))
_NAME: _Distribution = ((0, 0), (4, 0), (5, 16), (10, 48))
_CFA: _Distribution = ((0, 1), (2, 0), (4, 3), (8, 19))
_ALPHA_BAND, _SPOT_BAND, _CFA_BAND = 0, 2, 5


@dataclass(frozen=True)
class Header:
    """What the header says.

    Attributes:
        bits: of a value of the colours, or of a further band if that has more.
        film: whether it may have several frames.
        further: bands beside the colours, as alpha is one.
    """

    bits: int = 8
    film: bool = False
    further: int = 0


class _Bits:
    """Bits of bytes, from the lowest of each on.

    Raises:
        ValueError: there are no more.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> int:
        start, end = self._at, self._at + count
        if end > 8 * len(self._data):
            msg = "the header ends early"
            raise ValueError(msg)
        self._at = end
        return int.from_bytes(self._data[start // 8 : (end + 7) // 8], "little") >> start % 8 & ((1 << count) - 1)

    def number(self, distribution: _Distribution) -> int:
        bits, least = distribution[self.take(2)]
        return least + self.take(bits)


def header_of(file: IO[bytes]) -> Header | None:
    """What the header of a file says; None, if there is none that can be read."""
    place = file.tell()
    try:
        file.seek(0)
        return _header(_Bits(_codestream(file)))
    except ValueError:
        return None
    finally:
        file.seek(place)


def boxes(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Kind and length of the content of each box of a file; when one is given, the file is at its content."""
    start, end = 0, file.seek(0, os.SEEK_END)
    for _ in range(_MOST_BOXES):
        if start >= end:
            return
        file.seek(start)
        head = file.read(16)
        size, kind, begin = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if size == 1:
            size, begin = int.from_bytes(head[8:], "big"), start + 16
        last = start + size if size else end
        if len(head) < 8 or last < begin:
            return
        file.seek(begin)
        yield kind, min(last, end) - begin
        start = last


def _codestream(file: IO[bytes]) -> bytes:
    """The first bytes of the codestream, which may lie in parts (`jxlp`, after the number of each)."""
    if file.read(2) == _CODESTREAM:
        return file.read(_HEADER)
    found = b""
    for kind, size in boxes(file):
        if kind in (b"jxlc", b"jxlp"):
            number = 4 * (kind == b"jxlp")
            found += file.read(min(size, _HEADER))[number:]
        if kind == b"jxlc" or len(found) >= _HEADER:
            break
    if not found.startswith(_CODESTREAM):
        msg = "there is no codestream"
        raise ValueError(msg)
    return found[2:]


def _header(bits: _Bits) -> Header:
    _skip_size(bits)
    if bits.take(1):  # all is as usual
        return Header()
    film = bool(bits.take(1)) and _skip_extra_fields(bits)
    depth = _depth(bits)
    bits.take(1)  # modular_16bit_buffers
    further = bits.number(_FURTHER_BANDS)
    for _ in range(further):
        depth = max(depth, _band(bits))
    return Header(depth, film, further)


def _skip_size(bits: _Bits) -> None:
    eighths = bits.take(1)
    for side in range(2):
        if side == 0 or not bits.take(3):  # the width follows from the height by a ratio, or is there
            bits.take(5) if eighths else bits.number(_SIDE)


def _skip_extra_fields(bits: _Bits) -> bool:
    """Skip them, and say whether it may have several frames."""
    bits.take(3)  # orientation
    if bits.take(1):
        _skip_size(bits)  # as which it is to be shown
    if bits.take(1):
        distribution = _PREVIEW_EIGHTHS if bits.take(1) else _PREVIEW_SIDE
        bits.number(distribution)
        if not bits.take(3):
            bits.number(distribution)
    if not bits.take(1):
        return False
    bits.number(((0, 100), (0, 1000), (10, 1), (30, 1)))  # ticks of a second
    bits.number(((0, 1), (0, 1001), (8, 1), (10, 1)))
    bits.number(((0, 0), (3, 0), (16, 0), (32, 0)))  # loops
    bits.take(1)  # time codes
    return True


def _depth(bits: _Bits) -> int:
    if not bits.take(1):
        return bits.number(_INTEGER_BITS)
    found = bits.number(_FLOAT_BITS)
    bits.take(4)  # those of the exponent
    return found


def _band(bits: _Bits) -> int:
    """Skip what is said of a further band, and return its bits."""
    if bits.take(1):
        return 8  # alpha as usual
    kind, depth = bits.number(_ENUM), _depth(bits)
    bits.number(_SHIFT)
    bits.take(8 * bits.number(_NAME))
    if kind == _ALPHA_BAND:
        bits.take(1)  # whether it is multiplied in
    elif kind == _SPOT_BAND:
        bits.take(64)
    elif kind == _CFA_BAND:
        bits.number(_CFA)
    return depth
